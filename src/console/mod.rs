//! The console: the admin API as pages for a browser. It stands on the admin API alone: what a page shows it has asked the
//! API, and what a form changes the API changes, for whoever sent it.
//!
//! Pages are made here, whole, and need no script. They fetch their style and their icon from here, and the browser is
//! told to take nothing from anywhere else. `GET` changes nothing; a form is believed when it carries what its session was
//! given and the browser does not say that it comes from elsewhere.

mod api;
mod door;
mod pages;
mod render;
mod reply;
mod session;
#[cfg(test)]
mod tests;
mod visit;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Incoming};
use warp::reply::Response;

use crate::admin::{Pages, Peer, Within};
use crate::config::AdminListenConfig;
use api::{Api, Refused};
use door::Door;
use pages::Answer;
use render::Templates;
use reply::Shown;
use session::{SessionId, Sessions};
use visit::{Fields, Visit, Visitor};

/// Where the console is.
const ROOT: &str = "/console";
/// The largest form, in bytes, but for one that brings rules.
const MOST_FORM: usize = 16 * 1024;
/// The largest form that brings rules.
const MOST_RULES_FORM: usize = crate::yaml::MAX_BYTES + MOST_FORM;

/// The console.
pub struct Console {
    api: Within,
    /// How browsers on the network come in, if they do.
    network: Option<Door>,
    templates: Templates,
    sessions: Sessions,
}

/// The console's templates are wrong: a bug, which its tests find.
#[derive(Debug, thiserror::Error)]
#[error("the console's pages cannot be read: {0}")]
pub struct BrokenTemplates(#[from] minijinja::Error);

impl Console {
    /// A console for this API, which is served on the socket, and where `listen` says.
    ///
    /// # Errors
    /// Never in a build that was tested.
    pub fn new(api: Within, listen: Option<&AdminListenConfig>) -> Result<Self, BrokenTemplates> {
        let network = listen.map(Door::network);
        Ok(Self { api, network, templates: Templates::new()?, sessions: Sessions::new() })
    }

    async fn respond<B>(&self, request: Request<B>, peer: &Peer) -> Response
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let door = match (peer, &self.network) {
            (Peer::Network { .. }, Some(network)) => network,
            _ => &Door::Socket,
        };
        if let Err(refused) = door.check_host(&head) {
            return self.trouble(None, &refused);
        }
        let path = head.uri.path().strip_prefix(ROOT).unwrap_or_default().trim_matches('/').to_owned();
        if let Some(file) = reply::file(&path) {
            return file;
        }
        if head.uri.path() == "/" {
            return reply::see_other(ROOT);
        }
        let query = Fields::parse(head.uri.query().unwrap_or_default().as_bytes());
        let visitor = self.visitor(door, peer, &head, &query);
        let target = head.uri.path_and_query().map_or(ROOT, |target| target.as_str()).to_owned();
        let visit = Visit { path, target, query, visitor };
        let (mut response, signed_in) = match self.visited(&visit, peer, &head, body).await {
            Ok(Answer::Page(shown)) => (self.page(&visit, shown), None),
            Ok(Answer::SeeOther(to)) => (reply::see_other(&to), None),
            Ok(Answer::SignedIn(id, to)) => (reply::see_other(&to), Some(id)),
            Err(refused) => (self.trouble(Some(&visit), &refused), None),
        };
        let told = signed_in.as_ref().or(visit.visitor.is_new.then_some(&visit.visitor.id));
        if let Some(id) = told {
            reply::set_cookie(&mut response, &door.set_cookie(id));
        }
        response
    }

    /// Who sent a request.
    fn visitor(&self, door: &Door, peer: &Peer, head: &Parts, query: &Fields) -> Visitor {
        let known = door.session(&head.headers);
        let is_new = known.is_none();
        let id = known.unwrap_or_else(SessionId::random);
        // A page that renews itself keeps nobody signed in.
        let by_hand = query.get("refresh").is_none();
        let who = self.api.known(peer).or_else(|| self.sessions.who(&id, by_hand, Instant::now()));
        Visitor { id, is_new, who }
    }

    async fn visited<B>(&self, visit: &Visit, peer: &Peer, head: &Parts, body: B) -> Result<Answer, Refused>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let is_post = match head.method {
            Method::GET | Method::HEAD => false,
            Method::POST => true,
            _ => return Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, "the console takes GET and POST")),
        };
        let Some(who) = &visit.visitor.who else {
            return match (visit.path.as_str(), is_post) {
                ("login", false) => Ok(pages::login::ask(visit)),
                ("login", true) => {
                    let form = self.form(visit, head, body).await?;
                    pages::login::sign_in(&self.api, &self.sessions, peer, &form).await
                }
                (_, false) => Ok(pages::login::first(visit)),
                (_, true) => Err(Refused::new(
                    StatusCode::FORBIDDEN,
                    "your session is over, so nothing was done; sign in and do it again",
                )),
            };
        };
        let api = Api { within: &self.api, who };
        if !is_post {
            return pages::show(&api, visit).await;
        }
        let form = self.form(visit, head, body).await?;
        pages::act(&api, &self.sessions, visit, form).await
    }

    /// The form that a request brings, once it is known to be from a page that this browser was shown.
    async fn form<B>(&self, visit: &Visit, head: &Parts, body: B) -> Result<Fields, Refused>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        door::check_same_origin(head)?;
        let most = if pages::brings_rules(&visit.path) && visit.visitor.who.is_some() {
            MOST_RULES_FORM
        } else {
            MOST_FORM
        };
        let body = Limited::new(body, most).collect().await.map_err(|error| {
            Refused::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the form could not be read: {error}"))
        })?;
        let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let form = match multer::parse_boundary(content_type.unwrap_or_default()) {
            Ok(boundary) => Fields::of_multipart(body.to_bytes(), boundary).await?,
            Err(_) => Fields::parse(&body.to_bytes()),
        };
        if form.get("csrf").is_some_and(|token| self.sessions.is_form_token(&visit.visitor.id, token)) {
            return Ok(form);
        }
        Err(Refused::new(
            StatusCode::FORBIDDEN,
            "this page is older than your session or the daemon, so nothing was done; open it anew and try again",
        ))
    }

    fn page(&self, visit: &Visit, shown: Shown) -> Response {
        let csrf = self.sessions.form_token(&visit.visitor.id);
        reply::page(&self.templates, Some(visit), &csrf, shown)
    }

    fn trouble(&self, visit: Option<&Visit>, refused: &Refused) -> Response {
        let csrf = visit.map(|visit| self.sessions.form_token(&visit.visitor.id)).unwrap_or_default();
        reply::page(&self.templates, visit, &csrf, Shown::trouble(refused))
    }
}

/// Whether this is a path of the console.
fn is_ours(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

impl Pages for Console {
    fn answers(&self, path: &str) -> bool {
        path == "/" || is_ours(path)
    }

    fn answer(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> BoxFuture<'static, Response> {
        async move { self.respond(request, &peer).await }.boxed()
    }
}
