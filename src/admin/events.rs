//! The journal: listed, shown, read again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::AdminState;
use super::api::{
    EventBody, EventDetail, EventQuery, EventsPage, EventsQuery, PageToken, ReplayPage, ReplayRequest,
    ReplayedEvent, UnreadableEvents,
};
use super::routes::{Refusal, cursor, page, page_size, parse_query};
use crate::directory::EventId;
use crate::store::{EventFilter, EventStatus, JournalStatus};

/// How many lines of what was done because of an event are shown.
const MOST_CONSEQUENCES: u32 = 100;

pub(super) async fn events(state: AdminState, query: String) -> Result<EventsPage, Refusal> {
    let EventsQuery { status, source, limit, after } = parse_query(&query)?;
    let limit = page_size(limit)?;
    let filter = EventFilter { status, source, after: cursor(after.as_ref())? };
    // One more than asked for shows whether there is a next page.
    let found = state.store.events(&filter, limit + 1).await?;
    Ok(page((state.clock)(), found, limit, |event| event.cursor))
}

pub(super) async fn event(state: AdminState, query: String) -> Result<EventDetail, Refusal> {
    let EventQuery { id } = parse_query(&query)?;
    let id = EventId::new(id);
    let entry = state.store.event(&id).await?.ok_or_else(|| missing(&id))?;
    let consequences = state.store.consequences(&id, MOST_CONSEQUENCES).await?;
    // Who looked at what people's data was asked for should stand somewhere.
    tracing::info!(event = %id, "a message's body is shown to the administrator");
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

pub(super) async fn replay(state: AdminState, request: ReplayRequest) -> Result<ReplayPage, Refusal> {
    let replayed = match request {
        ReplayRequest::Event(EventQuery { id }) => {
            let id = EventId::new(id);
            let replayed = state.replay.event(&id).await?.ok_or_else(|| missing(&id))?;
            (vec![(id, replayed)], None)
        }
        ReplayRequest::Unreadable(UnreadableEvents { source, after }) => {
            let batch = state.replay.unreadable(source, cursor(after.as_ref())?).await?;
            (batch.events, batch.next)
        }
    };
    let (events, next) = replayed;
    tracing::info!(events = events.len(), "messages were read again for the administrator");
    Ok(ReplayPage {
        events: events
            .into_iter()
            .map(|(id, replayed)| ReplayedEvent { id: id.as_str().to_owned(), replayed })
            .collect(),
        next: next.as_ref().and_then(PageToken::new),
    })
}

fn missing(id: &EventId) -> Refusal {
    let id = id.as_str();
    Refusal::missing(format!(
        "the journal holds no event {id:?}: it never came, or is past its retention (store.retention.journal)"
    ))
}
