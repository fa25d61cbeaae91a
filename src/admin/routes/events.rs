//! The journal: listed, shown, read again.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rolecall_sink_api::Entity;

use super::{cursor, found, page_size};
use crate::admin::AdminState;
use crate::admin::api::{
    self, EventBody, EventDetail, EventQuery, EventsPage, EventsQuery, PageToken, ReplayPage, ReplayRequest,
    UnreadableEvents,
};
use crate::admin::refusal::Refusal;
use crate::admin::route::{Call, Route};
use crate::directory::{Event, EventId};
use crate::receive::ReplayedBatch;
use crate::source::Reading;
use crate::store::{EventFilter, EventStatus, JournalEntry, JournalStatus};

/// How many lines of what was done because of an event are shown.
const MOST_CONSEQUENCES: u32 = 100;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(api::EVENTS, "The messages that came, newest first", events).may_be_impossible(),
        Route::get(api::EVENT, "A message with its body, and what became of it", event)
            .may_miss()
            .may_be_impossible(),
        Route::post(api::EVENTS_REPLAY, "Reads messages again", replay).may_miss().may_be_impossible(),
    ]
}

async fn events(Call { state, params, .. }: Call<EventsQuery>) -> Result<EventsPage, Refusal> {
    let EventsQuery { id, status, source, kind, entity, since, until, limit, after } = params;
    let filter = EventFilter { id, status, source, kind, entity, since, until };
    let messages = state.store.events(&filter, cursor(after.as_ref())?, page_size(limit)?).await?;
    Ok(found((state.clock)(), messages))
}

async fn event(Call { state, who, params, .. }: Call<EventQuery>) -> Result<EventDetail, Refusal> {
    let entry = one(&state, params).await?;
    let named = named_in(&state, &entry);
    let consequences = state.store.consequences(&entry.id, named, MOST_CONSEQUENCES).await?;
    // Who looked at what people's data was asked for should stand somewhere.
    tracing::info!(event = %entry.id, "a message's body is shown to {who}");
    let (status, reason) = match entry.status {
        JournalStatus::Merged => (EventStatus::Merged, None),
        JournalStatus::Ignored => (EventStatus::Ignored, None),
        JournalStatus::Unreadable(reason) => (EventStatus::Unreadable, Some(reason)),
    };
    Ok(EventDetail {
        now: (state.clock)(),
        id: entry.id.as_str().to_owned(),
        source: entry.source,
        message_id: entry.message_id,
        kind: entry.kind,
        at: entry.at,
        signed_at: entry.signed_at,
        received_at: entry.received_at,
        status,
        reason,
        consequences,
        body: match str::from_utf8(&entry.body) {
            Ok(text) => EventBody::Text(text.to_owned()),
            Err(_) => EventBody::Base64(STANDARD.encode(&entry.body)),
        },
    })
}

async fn replay(Call { state, body, .. }: Call<(), ReplayRequest>) -> Result<ReplayPage, Refusal> {
    let ReplayedBatch { events, next } = match body {
        ReplayRequest::Event(query) => {
            let entry = one(&state, query).await?;
            ReplayedBatch { events: vec![state.replay.event(entry).await?], next: None }
        }
        ReplayRequest::Unreadable(UnreadableEvents { source, after }) => {
            state.replay.unreadable(source, cursor(after.as_ref())?).await?
        }
    };
    tracing::info!(events = events.len(), "messages were read again for the administrator");
    Ok(ReplayPage { events, next: next.as_ref().and_then(PageToken::new) })
}

/// Whom a message speaks of, as far as it can be read.
pub(super) fn named_in(state: &AdminState, entry: &JournalEntry) -> Vec<Entity> {
    match state.replay.read(entry) {
        Reading::Event { event, .. } => named(&event),
        Reading::Ignored { .. } | Reading::Unreadable { .. } => Vec::new(),
    }
}

/// Whom an event speaks of: nobody else is changed because of it, but by the rules.
fn named(event: &Event) -> Vec<Entity> {
    let users = event.users().cloned().map(Entity::User);
    let entities: BTreeSet<Entity> = users.chain(event.groups().cloned().map(Entity::Group)).collect();
    entities.into_iter().collect()
}

/// The one message that is meant.
async fn one(state: &AdminState, query: EventQuery) -> Result<JournalEntry, Refusal> {
    let EventQuery { id, source } = query;
    let mut found = entries(state, &id, source.as_deref()).await?;
    let sources: Vec<&str> = found.iter().map(|entry| entry.source.as_str()).collect();
    if sources.len() > 1 {
        let sources = sources.join(", ");
        return Err(Refusal::impossible(format!(
            "several sources sent an event {id:?}: say which of {sources}, by source"
        )));
    }
    found.pop().ok_or_else(|| missing(&id))
}

/// The messages of this id, one for each source that sent one.
pub(super) async fn entries(
    state: &AdminState,
    id: &str,
    source: Option<&str>,
) -> Result<Vec<JournalEntry>, Refusal> {
    let found = state.store.event(&EventId::new(id), source).await?;
    if found.is_empty() { Err(missing(id)) } else { Ok(found) }
}

fn missing(id: &str) -> Refusal {
    Refusal::missing(format!(
        "the journal holds no event {id:?}: it never came, or is past its retention (store.retention.journal)"
    ))
}
