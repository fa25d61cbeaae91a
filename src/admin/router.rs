//! From a request to the route that answers it: what it may do is looked at before anything of it is read.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use tracing::Instrument as _;
use warp::filters::BoxedFilter;
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Filter as _, Reply as _};

use super::access::{Peer, Who};
use super::refusal::Refusal;
use super::route::{Raw, Route};
use super::transfer::Pace;
use super::{AdminState, routes};
use crate::config::Access;

/// The longest query, in bytes.
const MOST_QUERY: usize = 8 * 1024;

/// Answers every request, whatever its path, with JSON. What has paths of its own goes before it.
pub(super) fn filter(state: AdminState) -> BoxedFilter<(Response,)> {
    let routes: Arc<[Route]> = routes::all().into();
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .and(warp::ext::get::<Pace>())
        .and(warp::body::stream())
        .then(move |method, path: FullPath, query, headers, peer, pace, body| {
            let (routes, state) = (Arc::clone(&routes), state.clone());
            async move {
                let asked = Asked { method, path: path.as_str(), query, headers, peer, pace };
                let mut response =
                    answer(&routes, state, asked, body).await.unwrap_or_else(Refusal::into_response);
                let headers = response.headers_mut();
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
                response
            }
        })
        .boxed()
}

/// A request without its body.
struct Asked<'a> {
    method: Method,
    path: &'a str,
    query: String,
    headers: HeaderMap,
    peer: Peer,
    pace: Pace,
}

async fn answer<B: Buf>(
    routes: &[Route],
    state: AdminState,
    asked: Asked<'_>,
    body: impl Stream<Item = Result<B, warp::Error>> + Send,
) -> Result<Response, Refusal> {
    let (route, in_path) = find(routes, &asked.method, asked.path)?;
    let who = match route.needs {
        None => None,
        Some(needed) => {
            let who = state.gate.admit(&asked.peer, &asked.headers).await?;
            Some(with_access(who, needed, asked.path)?)
        }
    };
    let params = params(&in_path, &asked.query)?;
    let body = match route.most_body {
        0 => Bytes::new(),
        most => read(&asked.headers, body, most).await?,
    };
    carry_out(route, Raw { state, who, params, body, pace: asked.pace }, asked.path).await
}

/// Answers within the process, for somebody who has been let in.
pub(super) async fn answer_within(
    routes: &[Route],
    state: AdminState,
    who: Who,
    method: &Method,
    target: &str,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (route, in_path) = find(routes, method, path)?;
    let who = match route.needs {
        None => None,
        Some(needed) => Some(with_access(who, needed, path)?),
    };
    let raw = Raw { state, who, params: params(&in_path, query)?, body, pace: Pace::default() };
    carry_out(route, raw, path).await
}

async fn carry_out(route: &Route, raw: Raw, path: &str) -> Result<Response, Refusal> {
    let Some(who) = &raw.who else { return route.answer(raw).await };
    // What is logged on the way says for whom it was done.
    let span = tracing::info_span!("admin", %who);
    async {
        let answered = route.answer(raw).await;
        if route.needs == Some(Access::Full) {
            let refused = answered.as_ref().err().map(Refusal::status);
            tracing::info!(path, refused = refused.map(tracing::field::display), "an administrator's order");
        }
        answered
    }
    .instrument(span)
    .await
}

/// The values of the path's parameters, each with its name.
type InPath<'a> = Vec<(&'static str, &'a str)>;

/// The route for this request. Where several fit a path, words in it go before parameters.
fn find<'r, 'a>(
    routes: &'r [Route],
    method: &Method,
    path: &'a str,
) -> Result<(&'r Route, InPath<'a>), Refusal> {
    let fitting: Vec<_> = routes
        .iter()
        .filter_map(|route| route.matches(path).map(|(params, words)| (route, params, words)))
        .collect();
    let most = fitting.iter().map(|(_, _, words)| *words).max().unwrap_or_default();
    let mut methods = Vec::new();
    for (route, params, words) in fitting {
        let looks_only = *method == Method::HEAD && route.method == Method::GET;
        if words == most && (route.method == *method || looks_only) {
            return Ok((route, params));
        }
        if words == most {
            methods.push(route.method.as_str());
        }
    }
    if methods.is_empty() {
        return Err(Refusal::missing("there is nothing at this path"));
    }
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method");
    // The names of methods are words.
    Err(match HeaderValue::from_str(&methods.join(", ")) {
        Ok(methods) => refusal.with_header(header::ALLOW, methods),
        Err(_) => refusal,
    })
}

/// Whoever asks, if they may do this.
fn with_access(who: Who, needed: Access, path: &str) -> Result<Who, Refusal> {
    if who.access >= needed {
        return Ok(who);
    }
    tracing::warn!(%who, path, "refused: it needs full access");
    Err(Refusal::new(
        StatusCode::FORBIDDEN,
        format!("this needs full access, and {who} may only read (admin.listen)"),
    ))
}

/// What path and query say, as a query.
fn params(in_path: &[(&'static str, &str)], query: &str) -> Result<String, Refusal> {
    if query.len() > MOST_QUERY {
        let why = format!("a query has at most {MOST_QUERY} bytes");
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, why));
    }
    let mut params = Vec::new();
    for (name, value) in in_path {
        let value = percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| Refusal::asked(format!("{name}: this is not UTF-8")))?;
        params.push((*name, value));
    }
    let mut params =
        serde_urlencoded::to_string(&params).map_err(|error| Refusal::unreadable("the path", error))?;
    if !params.is_empty() && !query.is_empty() {
        params.push('&');
    }
    Ok(params + query)
}

/// Reads a body in JSON, at most so many bytes of it. A page of somebody else's cannot send one by a browser: of the
/// types that it may send unasked, this is none.
async fn read<B: Buf>(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>> + Send,
    most: usize,
) -> Result<Bytes, Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next()).map(str::trim);
    if !media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json")) {
        let why = "the body must be JSON, and say so: Content-Type: application/json";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    let too_large = || {
        let why = format!("the body is too large: at most {most} bytes are read here");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why)
    };
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if length.and_then(|length| length.parse().ok()).is_some_and(|length: usize| length > most) {
        return Err(too_large());
    }
    let mut read = BytesMut::new();
    let mut body = std::pin::pin!(body);
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| Refusal::unreadable("the body", error))?;
        if part.remaining() > most - read.len() {
            return Err(too_large());
        }
        bytes::BufMut::put(&mut read, part);
    }
    Ok(read.freeze())
}
