//! Every route, by subject. Adding one is an entry in its subject's list.

mod activity;
mod alerts;
mod events;
mod groups;
mod holds;
mod queue;
mod rules;
mod sinks;
mod status;
mod store;
mod users;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::{LARGEST_PAGE, Page, PageToken};
use super::refusal::Refusal;
use super::route::Route;
use super::{AdminState, metrics};
use crate::store::Found;

/// How many items a page has when nobody says.
const PAGE: u32 = 100;

/// The routes of all subjects.
pub(super) fn all() -> Vec<Route> {
    [
        status::routes(),
        metrics::routes(),
        sinks::routes(),
        queue::routes(),
        holds::routes(),
        users::routes(),
        groups::routes(),
        activity::routes(),
        events::routes(),
        rules::routes(),
        store::routes(),
        alerts::routes(),
    ]
    .concat()
}

/// How many items a page shall have.
fn page_size(asked: Option<u32>) -> Result<u32, Refusal> {
    let limit = asked.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Refusal::asked(format!("limit {limit}: a page has 1 to {LARGEST_PAGE} items")));
    }
    Ok(limit)
}

/// Where the page before ended.
fn cursor<C: DeserializeOwned>(after: Option<&PageToken>) -> Result<Option<C>, Refusal> {
    let wrong = || Refusal::impossible("after: hand back `next` of the page before, as it was given");
    after.map(|token| token.cursor().ok_or_else(wrong)).transpose()
}

/// The page that `found` begins with, which is one item more where there is a next page.
fn page<T, C: Serialize>(now: Timestamp, mut found: Vec<T>, limit: u32, cursor: impl Fn(&T) -> C) -> Page<T> {
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).and_then(|item| PageToken::new(&cursor(item)));
    Page { now, items: found, next }
}

/// The page of what was found.
fn found<T, C: Serialize>(now: Timestamp, found: Found<T, C>) -> Page<T> {
    Page { now, items: found.items, next: found.next.as_ref().and_then(PageToken::new) }
}

/// A mistyped name would look like a sink with nothing to do.
fn sink_exists(state: &AdminState, name: &str) -> Result<(), Refusal> {
    let sinks = state.deliveries.status();
    if sinks.contains_key(name) {
        return Ok(());
    }
    let names: Vec<&str> = sinks.keys().map(|sink| sink.as_str()).collect();
    Err(Refusal::missing(match names.as_slice() {
        [] => format!("no sink is named {name:?}: none is configured"),
        names => format!("no sink is named {name:?}; there are: {}", names.join(", ")),
    }))
}
