//! The journal.

use jiff::Timestamp;
use rolecall_sink_api::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Page, PageToken};
use crate::receive::ReplayedEvent;
use crate::store::{Consequence, EventItem, EventStatus};

/// Where `GET` with an [`EventsQuery`] answers an [`EventsPage`].
pub const EVENTS: &str = "/v1/events";

/// Where `GET` of an [`EventQuery`] answers an [`EventDetail`].
pub const EVENT: &str = "/v1/events/{id}";

/// Where `POST` of a [`ReplayRequest`] reads journalled messages again and answers a [`ReplayPage`].
pub const EVENTS_REPLAY: &str = "/v1/events/replay";

/// One page of the journal: messages without their bodies, newest first. A page may have few or no items although there
/// are more: only so many messages are looked at for one.
pub type EventsPage = Page<EventItem>;

/// Which journalled messages to list; a field that is missing matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventsQuery {
    /// Of this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What was made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<EventStatus>,
    /// What came through one source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Of one kind, in the sender's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What changed one user or group, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// That arrived from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub since: Option<Timestamp>,
    /// That arrived before then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub until: Option<Timestamp>,
    /// How many at most: 100 when it is missing, never more than [`LARGEST_PAGE`](super::LARGEST_PAGE).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// [`Page::next`] of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<PageToken>,
}

/// Which journalled message to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// Its id.
    pub id: String,
    /// The source that sent it, where several sent one of that id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A journalled message, and what became of it. Holds what the sender said of people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventDetail {
    /// When the daemon answered, by its own clock.
    #[schemars(with = "Moment")]
    pub now: Timestamp,
    /// The event's id; the message's, where no other could be read.
    pub id: String,
    /// The source it came through.
    pub source: String,
    /// The sender's id of the message.
    pub message_id: String,
    /// The sender's name for its kind, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The time it states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub at: Option<Timestamp>,
    /// When it was signed.
    #[schemars(with = "Moment")]
    pub signed_at: Timestamp,
    /// When it arrived.
    #[schemars(with = "Moment")]
    pub received_at: Timestamp,
    /// What was made of it.
    pub status: EventStatus,
    /// Why it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was done because of it, oldest first, at most a hundred lines.
    pub consequences: Vec<Consequence>,
    /// The message as it came.
    pub body: EventBody,
}

/// A message's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventBody {
    /// It is text.
    Text(String),
    /// It is not; in Base64 (RFC 4648 §4).
    Base64(String),
}

/// Which journalled messages to read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplayRequest {
    /// This one.
    Event(EventQuery),
    /// The next of those that could not be read.
    Unreadable(UnreadableEvents),
}

/// Which unreadable messages are next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UnreadableEvents {
    /// Those that came through one source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// [`ReplayPage::next`] of the answer before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<PageToken>,
}

/// What became of the messages that were read again: a few of them at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayPage {
    /// Each message.
    pub events: Vec<ReplayedEvent>,
    /// Hand this back as `after` to go on; none when all were read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<PageToken>,
}
