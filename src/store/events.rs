//! What people see of the journal.

use jiff::Timestamp;
use rolecall_sink_api::{Entity, Moment};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which journalled messages are meant; a field that is `None` matches all.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Of this id.
    pub id: Option<String>,
    /// What was made of it.
    pub status: Option<EventStatus>,
    /// Through one source.
    pub source: Option<String>,
    /// Of this kind, in the sender's word.
    pub kind: Option<String>,
    /// Because of which this user or group, by its id, is another one in the directory.
    pub entity: Option<String>,
    /// That arrived from then on.
    pub since: Option<Timestamp>,
    /// That arrived before then.
    pub until: Option<Timestamp>,
}

impl EventFilter {
    /// Those that could not be read, of one source or of all.
    pub fn unreadable(source: Option<String>) -> Self {
        Self { status: Some(EventStatus::Unreadable), source, ..Self::default() }
    }
}

/// What was made of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// Its facts are in the directory.
    Merged,
    /// It has nothing to do with a directory.
    Ignored,
    /// It could not be read.
    Unreadable,
}

/// A place in a listing of journalled messages. Opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventCursor(pub(super) i64);

/// A journalled message in a listing, without its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventItem {
    /// The event's id; the message's, where no other could be read.
    pub id: String,
    /// The source it came through.
    pub source: String,
    /// The sender's name for its kind, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// When it arrived.
    #[schemars(with = "Moment")]
    pub received_at: Timestamp,
    /// What was made of it.
    pub status: EventStatus,
    /// Why it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Hand this back as `after` to go on behind this message.
    pub cursor: EventCursor,
}

/// Something that was done because of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Consequence {
    /// To whom or what.
    #[serde(flatten)]
    pub entity: Entity,
    /// When.
    #[schemars(with = "Moment")]
    pub at: Timestamp,
    /// In which sink; none in the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// What.
    pub what: String,
    /// The particulars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
