//! Sources: from a verified message to facts. The directory knows no sender's name or payload.

mod config;
mod json;
mod name;
mod samples;
mod scalekit;

use std::sync::Arc;

use jiff::Timestamp;

use crate::directory::{Event, EventId};

pub use config::{SourceConfig, SourceKind};
pub use name::SourceName;
pub use samples::{SAMPLES, Sample};
pub use scalekit::Scalekit;

/// A message whose signature was verified, before anybody read it.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a> {
    /// The sender's id of the message (`webhook-id`): the same on every retry.
    pub message_id: &'a str,
    /// When this attempt was signed (`webhook-timestamp`); the time of facts that bring none.
    pub signed_at: Timestamp,
    /// The body, byte for byte as it was signed.
    pub body: &'a [u8],
}

/// What a source makes of one message. Whatever it is, the message is journalled.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Facts about the directory.
    Event {
        /// The facts.
        event: Event,
        /// The sender's name for this kind of event.
        kind: String,
    },
    /// Understood, and nothing to do with a directory.
    Ignored {
        /// The event's id.
        id: EventId,
        /// The sender's name for this kind of event.
        kind: String,
    },
    /// Authentic, but not an event this version can read. Kept, and can be replayed after an upgrade.
    Unreadable {
        /// The event's id where it could be read, else the message's.
        id: EventId,
        /// The kind of event, where it could be read.
        kind: Option<String>,
        /// Why, for the log, the journal and the sender; holds no value from the body beyond names and ids.
        reason: String,
    },
}

impl Reading {
    /// The event's id.
    pub fn id(&self) -> &EventId {
        match self {
            Reading::Event { event, .. } => &event.stamp.event,
            Reading::Ignored { id, .. } | Reading::Unreadable { id, .. } => id,
        }
    }
}

/// Reads the messages of one kind of sender.
pub trait Source: Send + Sync {
    /// Turns a verified message into facts. Never fails: what cannot be read is [`Reading::Unreadable`].
    /// Pure, so that a replay reads the same.
    fn read(&self, message: Verified<'_>) -> Reading;
}

impl SourceKind {
    /// The reader of this kind of sender.
    pub fn reader(self) -> Arc<dyn Source> {
        match self {
            SourceKind::Scalekit => Arc::new(Scalekit),
        }
    }
}
