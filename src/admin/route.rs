//! One declaration for each route: from it come who answers a request and what the API's document says of it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use warp::Reply as _;
use warp::reply::Response;

use super::AdminState;
use super::access::Who;
use super::body;
use super::openapi::{Said, Shapes};
use super::refusal::Refusal;
use super::transfer::Pace;
use crate::config::Access;

/// The largest request body, in bytes, where a route does not say otherwise: a selection needs some hundred.
pub(super) const MOST_BODY: usize = 16 * 1024;

/// A request that may be answered, as its handler sees it.
pub(super) struct Call<P, B = ()> {
    /// What there is to look at and to work on.
    pub(super) state: AdminState,
    /// Who asks.
    pub(super) who: Who,
    /// What the path and the query say.
    pub(super) params: P,
    /// What the body says.
    pub(super) body: B,
    /// Where it says that it gets on, if that takes long.
    pub(super) pace: Pace,
}

/// A request that may be answered, not yet read.
pub(super) struct Raw {
    pub(super) state: AdminState,
    /// None on a route that needs no access.
    pub(super) who: Option<Who>,
    /// What the path and the query say, written as a query.
    pub(super) params: String,
    pub(super) body: Bytes,
    pub(super) pace: Pace,
}

type Handler = Arc<dyn Fn(Raw) -> BoxFuture<'static, Result<Response, Refusal>> + Send + Sync>;

/// What a route says of itself.
type Saying = Arc<dyn Fn(&mut Shapes) -> Said + Send + Sync>;

/// A method on a path, and what it does.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) method: Method,
    /// With the names of its parameters between braces, each a segment of its own: `/v1/events/{id}`.
    pub(super) path: &'static str,
    /// What it does, in a line for the API's document.
    pub(super) summary: &'static str,
    /// The least access that it needs.
    pub(super) needs: Option<Access>,
    /// The largest body that it takes, in bytes; 0 where it takes none.
    pub(super) most_body: usize,
    /// How it says no, beside what the others of its kind say.
    pub(super) refusals: Vec<StatusCode>,
    said: Saying,
    handler: Handler,
}

impl Route {
    /// `GET`: `handler` looks at something. What is asked for is a `P`, from the path's parameters and the query, whose
    /// fields are strings, numbers and words. Needs access to read.
    pub(super) fn get<P, A, F>(
        path: &'static str,
        summary: &'static str,
        handler: impl Fn(Call<P>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + 'static,
        A: Serialize + JsonSchema + 'static,
        F: Future<Output = Result<A, Refusal>> + Send + 'static,
    {
        let said = Arc::new(|shapes: &mut Shapes| Said::json::<P, A>(shapes, None));
        Self::looking(path, summary, said, reading(|_| Ok(()), handler))
    }

    /// `POST`: `handler` does something, with a body that is a `B` in JSON. Needs full access.
    pub(super) fn post<P, B, A, F>(
        path: &'static str,
        summary: &'static str,
        handler: impl Fn(Call<P, B>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + 'static,
        B: DeserializeOwned + JsonSchema + 'static,
        A: Serialize + JsonSchema + 'static,
        F: Future<Output = Result<A, Refusal>> + Send + 'static,
    {
        let said = Arc::new(|shapes: &mut Shapes| {
            let body = shapes.asked::<B>();
            Said::json::<P, A>(shapes, Some(body))
        });
        let looking = Self::looking(path, summary, said, reading(body::read, handler));
        Self { method: Method::POST, needs: Some(Access::Full), most_body: MOST_BODY, ..looking }
    }

    /// `GET` of a text for programs of other kinds. Needs access to read.
    pub(super) fn text<F>(
        path: &'static str,
        summary: &'static str,
        content_type: &'static str,
        handler: impl Fn(AdminState) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<String, Refusal>> + Send + 'static,
    {
        let handler = Arc::new(move |raw: Raw| {
            let text = handler(raw.state);
            async move { Ok(reply(Bytes::from(text.await?), content_type)) }.boxed()
        });
        Self::looking(path, summary, Arc::new(move |_| Said::text(content_type)), handler)
    }

    /// `GET` of something large that is sent as it is read. Needs full access.
    pub(super) fn download<F>(
        path: &'static str,
        summary: &'static str,
        content_type: &'static str,
        handler: impl Fn(AdminState, Pace) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Response, Refusal>> + Send + 'static,
    {
        let handler = Arc::new(move |raw: Raw| handler(raw.state, raw.pace).boxed());
        let looking = Self::looking(path, summary, Arc::new(move |_| Said::text(content_type)), handler);
        Self { needs: Some(Access::Full), ..looking }
    }

    /// `GET` of something that anybody may know: no token is asked for.
    pub(super) fn open<A, F>(
        path: &'static str,
        summary: &'static str,
        handler: impl Fn(AdminState) -> F + Send + Sync + 'static,
    ) -> Self
    where
        A: Serialize + JsonSchema + 'static,
        F: Future<Output = Result<A, Refusal>> + Send + 'static,
    {
        let said = Arc::new(|shapes: &mut Shapes| Said::json::<(), A>(shapes, None));
        let handler =
            Arc::new(move |raw: Raw| handler(raw.state).map(|done| done.map(|answer| json(&answer))).boxed());
        Self { needs: None, ..Self::looking(path, summary, said, handler) }
    }

    /// `GET` without a body, for whoever may read: what the other kinds differ from.
    fn looking(path: &'static str, summary: &'static str, said: Saying, handler: Handler) -> Self {
        Self {
            method: Method::GET,
            path,
            summary,
            needs: Some(Access::Read),
            most_body: 0,
            refusals: Vec::new(),
            said,
            handler,
        }
    }

    /// Changes nothing, though it is a `POST`: access to read is enough.
    pub(super) fn only_looks(mut self) -> Self {
        self.needs = Some(Access::Read);
        self
    }

    /// Takes a body that is as large as this, in bytes.
    pub(super) fn with_body_of(mut self, most: usize) -> Self {
        self.most_body = most;
        self
    }

    /// May answer that there is no such thing (404).
    pub(super) fn may_miss(self) -> Self {
        self.refuses(StatusCode::NOT_FOUND)
    }

    /// May answer that what is asked for, though well-formed, cannot be done (422).
    pub(super) fn may_be_impossible(self) -> Self {
        self.refuses(StatusCode::UNPROCESSABLE_ENTITY)
    }

    /// May answer with this status too.
    pub(super) fn refuses(mut self, status: StatusCode) -> Self {
        self.refusals.push(status);
        self
    }

    /// Whether a request for this path is for this route: then the values of its parameters, each with its name, as they
    /// stand in the path; and how many of its segments are words of their own.
    pub(super) fn matches<'p>(&self, path: &'p str) -> Option<(Vec<(&'static str, &'p str)>, usize)> {
        let (mut ours, mut theirs) = (self.path.split('/'), path.split('/'));
        let (mut params, mut words) = (Vec::new(), 0);
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return Some((params, words)),
                (Some(our), Some(their)) => match parameter(our) {
                    Some(name) if !their.is_empty() => params.push((name, their)),
                    None if our == their => words += 1,
                    _ => return None,
                },
                _ => return None,
            }
        }
    }

    /// The names of the path's parameters.
    pub(super) fn path_params(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(parameter)
    }

    /// What it takes and answers.
    pub(super) fn said(&self, shapes: &mut Shapes) -> Said {
        (self.said)(shapes)
    }

    pub(super) async fn answer(&self, raw: Raw) -> Result<Response, Refusal> {
        (self.handler)(raw).await
    }
}

fn parameter(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// Has a request read before `handler` sees it, and the answer written as JSON.
fn reading<P, B, A, F>(
    body: impl Fn(&[u8]) -> Result<B, Refusal> + Send + Sync + 'static,
    handler: impl Fn(Call<P, B>) -> F + Send + Sync + 'static,
) -> Handler
where
    P: DeserializeOwned,
    A: Serialize,
    F: Future<Output = Result<A, Refusal>> + Send + 'static,
{
    Arc::new(move |raw| match read_call(raw, &body) {
        Ok(call) => handler(call).map(|done| done.map(|answer| json(&answer))).boxed(),
        Err(refusal) => std::future::ready(Err(refusal)).boxed(),
    })
}

fn read_call<P: DeserializeOwned, B>(
    raw: Raw,
    body: impl FnOnce(&[u8]) -> Result<B, Refusal>,
) -> Result<Call<P, B>, Refusal> {
    let Raw { state, who, params, body: bytes, pace } = raw;
    // Every route that reads a call asks for access first.
    let who = who.ok_or_else(|| Refusal::new(StatusCode::UNAUTHORIZED, "nobody asks"))?;
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(params.as_bytes()));
    let params =
        serde_path_to_error::deserialize(pairs).map_err(|error| Refusal::unreadable("the query", error))?;
    Ok(Call { state, who, params, body: body(&bytes)?, pace })
}

fn json(answer: &impl Serialize) -> Response {
    warp::reply::json(answer).into_response()
}

fn reply(body: Bytes, content_type: &'static str) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &'static str) -> Route {
        Route::text(path, "", "text/plain", async |_| Ok(String::new()))
    }

    #[test]
    fn a_parameter_is_one_segment_that_is_not_empty() {
        let route = route("/v1/sinks/{name}/pause");
        assert_eq!(route.matches("/v1/sinks/ldap/pause"), Some((vec![("name", "ldap")], 4)));
        for other in ["/v1/sinks//pause", "/v1/sinks/a/b/pause", "/v1/sinks/a", "/v1/sinks/a/pause/"] {
            assert_eq!(route.matches(other), None, "{other}");
        }
        assert_eq!(route.path_params().collect::<Vec<_>>(), ["name"]);
    }
}
