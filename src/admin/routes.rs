//! The routes of the admin API.

use std::convert::Infallible;
use std::fmt;

use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use warp::filters::BoxedFilter;
use warp::reject::{LengthRequired, MethodNotAllowed, PayloadTooLarge};
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

use super::api::{
    ApiError, Changed, ConnectionStatus, DaemonStatus, Health, LARGEST_PAGE, Page, PageToken, QueuePage,
    QueueQuery, Selection, SinkStatus, StoreStatus, Users, UsersQuery,
};
use super::explain::{World, explain};
use super::{AdminState, events, metrics, rules};
use crate::metrics::CONTENT_TYPE;
use crate::receive::ReplayError;
use crate::rulebook::RulebookError;
use crate::store::{QueueFilter, StoreError};

/// The largest request body, in bytes: a selection needs some hundred.
pub(super) const MOST_BODY: u64 = 16 * 1024;
/// How many items a page has when nobody says.
const PAGE: u32 = 100;

/// All routes; whatever is asked, the answer is JSON.
pub(super) fn routes(state: AdminState) -> BoxedFilter<(Response,)> {
    let v1 = || warp::path("v1");
    let health = v1().and(warp::path!("health")).and(get(&state, |state, _| health(state)));
    let status = v1().and(warp::path!("status")).and(get(&state, |state, _| status(state)));
    let queue = v1().and(warp::path!("queue")).and(get(&state, queue));
    let retry = v1().and(warp::path!("queue" / "retry")).and(post(&state, retry));
    let drop = v1().and(warp::path!("queue" / "drop")).and(post(&state, drop_items));
    let users = v1().and(warp::path!("users")).and(get(&state, users));
    let events = v1().and(warp::path!("events")).and(get(&state, events::events));
    let event = v1().and(warp::path!("event")).and(get(&state, events::event));
    let replay = v1().and(warp::path!("events" / "replay")).and(post(&state, events::replay));
    let rules = rules::routes(&state);
    let metrics = warp::path!("metrics").and(metrics_page(&state));
    health
        .or(status)
        .unify()
        .or(queue)
        .unify()
        .or(retry)
        .unify()
        .or(drop)
        .unify()
        .or(users)
        .unify()
        .or(events)
        .unify()
        .or(event)
        .unify()
        .or(replay)
        .unify()
        .or(rules)
        .unify()
        .or(metrics)
        .unify()
        .recover(|rejection| async move { Ok::<_, Infallible>(rejected(&rejection).into_response()) })
        .unify()
        .boxed()
}

async fn health(state: AdminState) -> Result<Health, Refusal> {
    // The cheapest question that only a working store can answer.
    state.store.next_evaluation().await?;
    Ok(Health { version: env!("CARGO_PKG_VERSION").into() })
}

async fn status(state: AdminState) -> Result<DaemonStatus, Refusal> {
    let store = state.store.overview().await?;
    let mut deliveries = state.deliveries.status();
    let sinks = store
        .sinks
        .into_iter()
        .map(|(name, queue)| {
            let delivery = deliveries.remove(&name);
            (name, SinkStatus::new(queue, delivery))
        })
        .collect();
    let connections = store
        .connections
        .into_iter()
        .map(|(id, connection)| ConnectionStatus {
            id,
            organization: connection.organization,
            provider: connection.provider,
            enabled: connection.enabled,
            since: connection.stamp.at,
        })
        .collect();
    Ok(DaemonStatus {
        version: env!("CARGO_PKG_VERSION").into(),
        started_at: state.started_at,
        now: (state.clock)(),
        received: state.received.iter().map(|(answer, times)| (answer.as_str().to_owned(), times)).collect(),
        last_event: store.last_event,
        store: StoreStatus {
            active_users: store.active_users,
            inactive_users: store.inactive_users,
            groups: store.groups,
            stale_users: store.stale,
            unreadable_events: store.unreadable,
            bytes: store.bytes,
        },
        connections,
        sinks,
        rules: rules::status(&state).await?,
    })
}

async fn queue(state: AdminState, query: String) -> Result<QueuePage, Refusal> {
    let query: QueueQuery = parse_query(&query)?;
    let limit = page_size(query.limit)?;
    let after = cursor(query.after.as_ref())?;
    sink_exists(&state, query.sink.as_deref())?;
    let filter = QueueFilter { sink: query.sink, id: query.id, state: query.state, after };
    // One more than asked for shows whether there is a next page.
    let found = state.store.queue(&filter, limit + 1).await?;
    Ok(page((state.clock)(), found, limit, |item| item.cursor))
}

async fn retry(state: AdminState, selection: Selection) -> Result<Changed, Refusal> {
    let filter = selected(&state, selection)?;
    let items = state.store.retry(&filter).await?;
    state.deliveries.wake();
    state.deliveries.probe();
    let QueueFilter { sink, id, state, .. } = filter;
    tracing::info!(items, sink, id, ?state, "queue items made due by the administrator");
    Ok(Changed { items: items as u64 })
}

async fn drop_items(state: AdminState, selection: Selection) -> Result<Changed, Refusal> {
    let filter = selected(&state, selection)?;
    let items = state.store.drop_items(&filter, (state.clock)()).await?;
    let QueueFilter { sink, id, state, .. } = filter;
    tracing::warn!(items, sink, id, ?state, "queue items dropped by the administrator");
    Ok(Changed { items: items as u64 })
}

async fn users(state: AdminState, query: String) -> Result<Users, Refusal> {
    let UsersQuery { name } = parse_query(&query)?;
    let found = state.store.users(&name).await?;
    let deliveries = state.deliveries.status();
    let now = (state.clock)();
    let in_force = state.rulebook.in_force();
    let (rules, scopes) = (in_force.rules(), in_force.scopes());
    let world = World { rules: &rules, scopes: &scopes, deliveries: &deliveries, now };
    Ok(Users {
        now,
        rules_file: rules::name_in_force(&state).await?,
        users: found.into_iter().map(|view| explain(view, &world)).collect(),
    })
}

/// Answers `GET` with the page of metrics, the one answer that is not JSON.
fn metrics_page(state: &AdminState) -> BoxedFilter<(Response,)> {
    let state = state.clone();
    let page = move || {
        let state = state.clone();
        async move {
            warp::reply::with_header(metrics::page(&state).await, "content-type", CONTENT_TYPE)
                .into_response()
        }
    };
    warp::get().then(page).boxed()
}

/// How many items a page shall have.
pub(super) fn page_size(asked: Option<u32>) -> Result<u32, Refusal> {
    let limit = asked.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Refusal::asked(format!("limit {limit}: a page has 1 to {LARGEST_PAGE} items")));
    }
    Ok(limit)
}

/// Where the page before ended.
pub(super) fn cursor<C: DeserializeOwned>(after: Option<&PageToken>) -> Result<Option<C>, Refusal> {
    let wrong = || Refusal::asked("after: hand back `next` of the page before, as it was given".into());
    after.map(|token| token.cursor().ok_or_else(wrong)).transpose()
}

/// The page that `found` begins with, which is one item more where there is a next page.
pub(super) fn page<T, C: Serialize>(
    now: Timestamp,
    mut found: Vec<T>,
    limit: u32,
    cursor: impl Fn(&T) -> C,
) -> Page<T> {
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).and_then(|item| PageToken::new(&cursor(item)));
    Page { now, items: found, next }
}

fn selected(state: &AdminState, selection: Selection) -> Result<QueueFilter, Refusal> {
    let filter = selection.filter().map_err(|message| Refusal::asked(message.into()))?;
    sink_exists(state, filter.sink.as_deref())?;
    Ok(filter)
}

/// A mistyped name would look like an empty queue.
fn sink_exists(state: &AdminState, name: Option<&str>) -> Result<(), Refusal> {
    let Some(name) = name else { return Ok(()) };
    let sinks = state.deliveries.status();
    if sinks.contains_key(name) {
        return Ok(());
    }
    let names: Vec<&str> = sinks.keys().map(|sink| sink.as_str()).collect();
    Err(Refusal::asked(match names.as_slice() {
        [] => format!("no sink is named {name:?}: none is configured"),
        names => format!("no sink is named {name:?}; there are: {}", names.join(", ")),
    }))
}

/// Why a request was not done, and the status that says so.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    pub(super) fn asked(message: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message }
    }

    /// It is about something that is not there.
    pub(super) fn missing(message: String) -> Self {
        Self { status: StatusCode::NOT_FOUND, message }
    }

    fn unreadable(what: &str, error: impl fmt::Display) -> Self {
        Self::asked(format!("{what}: {error}"))
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, message: error.to_string() }
    }
}

impl From<RulebookError> for Refusal {
    fn from(error: RulebookError) -> Self {
        match error {
            RulebookError::Store(error) => error.into(),
            RulebookError::Missing(message) => Self::missing(message),
            RulebookError::Wrong(message) => Self { status: StatusCode::UNPROCESSABLE_ENTITY, message },
        }
    }
}

impl From<ReplayError> for Refusal {
    fn from(error: ReplayError) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, message: error.to_string() }
    }
}

impl Reply for Refusal {
    fn into_response(self) -> Response {
        warp::reply::with_status(warp::reply::json(&ApiError { error: self.message }), self.status)
            .into_response()
    }
}

/// Answers `GET` with what `handler` makes of the query string.
pub(super) fn get<T, H, F>(state: &AdminState, handler: H) -> BoxedFilter<(Response,)>
where
    T: Serialize,
    H: Fn(AdminState, String) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<T, Refusal>> + Send + 'static,
{
    let state = state.clone();
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::get().and(query).then(move |query| answer(handler(state.clone(), query))).boxed()
}

/// Answers `POST` with what `handler` makes of the body.
fn post<B, T, H, F>(state: &AdminState, handler: H) -> BoxedFilter<(Response,)>
where
    B: DeserializeOwned,
    T: Serialize,
    H: Fn(AdminState, B) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<T, Refusal>> + Send + 'static,
{
    post_of(MOST_BODY, state, handler)
}

/// [`post`] with a body that may be as long as this.
pub(super) fn post_of<B, T, H, F>(most: u64, state: &AdminState, handler: H) -> BoxedFilter<(Response,)>
where
    B: DeserializeOwned,
    T: Serialize,
    H: Fn(AdminState, B) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<T, Refusal>> + Send + 'static,
{
    let state = state.clone();
    warp::post()
        .and(warp::body::content_length_limit(most))
        .and(warp::body::bytes())
        .then(move |body: bytes::Bytes| {
            let request = serde_json::from_slice(&body).map_err(|e| Refusal::unreadable("the body", e));
            let work = request.map(|request| handler(state.clone(), request));
            answer(async move { work?.await })
        })
        .boxed()
}

async fn answer<T: Serialize>(work: impl Future<Output = Result<T, Refusal>>) -> Response {
    match work.await {
        Ok(answer) => warp::reply::json(&answer).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

pub(super) fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, Refusal> {
    serde_urlencoded::from_str(query).map_err(|e| Refusal::unreadable("the query", e))
}

fn rejected(rejection: &Rejection) -> Refusal {
    let (status, message) = if rejection.is_not_found() {
        (StatusCode::NOT_FOUND, "there is nothing at this path")
    } else if rejection.find::<MethodNotAllowed>().is_some() {
        (StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
    } else if rejection.find::<PayloadTooLarge>().is_some() {
        (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
    } else if rejection.find::<LengthRequired>().is_some() {
        (StatusCode::LENGTH_REQUIRED, "the request needs a Content-Length")
    } else {
        (StatusCode::BAD_REQUEST, "the request could not be read")
    };
    Refusal { status, message: message.into() }
}
