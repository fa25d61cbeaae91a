//! The small application that the demo serves: it has users, and can be down.
//!
//! `PUT /users/{id}` makes a user or replaces one, `DELETE /users/{id}` removes one, `GET /health` says
//! whether it is there. Every request has to show the bearer token. While it is down, everything is
//! answered 503.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rolecall_sink_api::Secret;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::company::{Access, Standing};

/// The largest request body, in bytes.
const MOST_BODY: usize = 64 * 1024;
/// How many requests are remembered; later ones are answered all the same.
const MOST_REQUESTS: usize = 10_000;

/// The application, as long as it is held.
pub(super) struct Application {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

struct Shared {
    token: Secret,
    state: watch::Sender<State>,
}

/// What the application holds.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    down: bool,
    /// By the id in their path.
    users: BTreeMap<String, Value>,
    /// In the order in which they came.
    pub(super) requests: Vec<Exchange>,
}

/// A request, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Value>,
    pub(super) status: StatusCode,
}

impl Exchange {
    /// The id of the user that it is about.
    pub(super) fn user(&self) -> Option<&str> {
        self.path.strip_prefix("/users/")
    }
}

impl Application {
    /// Serves on a free port of this host; who shows `token` may ask.
    pub(super) async fn start(token: Secret) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("cannot listen on 127.0.0.1 for the demo's application")?;
        let address = listener.local_addr().context("cannot tell the port of the demo's application")?;
        let shared = Arc::new(Shared { token, state: watch::Sender::new(State::default()) });
        let listener = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, listener })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Turns everybody away from now on, or no longer.
    pub(super) fn set_down(&self, down: bool) {
        self.shared.state.send_modify(|state| state.down = down);
    }

    /// What it holds now.
    pub(super) fn state(&self) -> State {
        self.shared.state.borrow().clone()
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        // What fails is a connection that its client gave up; the next one is another.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&shared)));
            // An error is a client that went away.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let shown = head.headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let allowed = shown == Some(format!("Bearer {}", shared.token.expose()).as_bytes());
    let body = match Limited::new(body, MOST_BODY).collect().await {
        Ok(body) => serde_json::from_slice(&body.to_bytes()).ok(),
        Err(_) => None,
    };
    let mut exchange =
        Exchange { method: head.method, path: head.uri.path().to_owned(), body, status: StatusCode::OK };
    shared.state.send_modify(|state| {
        exchange.status = if allowed { state.handle(&exchange) } else { StatusCode::UNAUTHORIZED };
        if state.requests.len() < MOST_REQUESTS {
            state.requests.push(exchange.clone());
        }
    });
    Ok(respond(exchange.status))
}

fn respond(status: StatusCode) -> Response<Full<Bytes>> {
    let body = match status {
        StatusCode::NO_CONTENT => Bytes::new(),
        StatusCode::SERVICE_UNAVAILABLE => json!({"error": "down for maintenance"}).to_string().into(),
        _ => json!({"status": status.as_str()}).to_string().into(),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}

impl State {
    /// How the user with this id stands.
    pub(super) fn standing(&self, id: &str) -> Standing {
        let Some(user) = self.users.get(id) else { return Standing::new(Access::Gone, []) };
        let access = if user["active"] == true { Access::Active } else { Access::Inactive };
        let roles = user["roles"].as_array().into_iter().flatten();
        Standing::new(access, roles.filter_map(Value::as_str))
    }

    fn handle(&mut self, request: &Exchange) -> StatusCode {
        if self.down {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        match (&request.method, request.path.as_str(), request.user(), &request.body) {
            (&Method::GET, "/health", ..) => StatusCode::OK,
            (&Method::PUT, _, Some(id), Some(user)) => match self.users.insert(id.to_owned(), user.clone()) {
                None => StatusCode::CREATED,
                Some(_) => StatusCode::OK,
            },
            (&Method::DELETE, _, Some(id), _) => match self.users.remove(id) {
                Some(_) => StatusCode::NO_CONTENT,
                None => StatusCode::NOT_FOUND,
            },
            (&Method::PUT, _, Some(_), None) => StatusCode::BAD_REQUEST,
            _ => StatusCode::NOT_FOUND,
        }
    }
}
