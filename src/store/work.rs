//! What a delivery worker takes from the store and gives back.

use jiff::Timestamp;
use rolecall_sink_api::{Action, Change, Document, Entity, RemoteId};

use super::Priority;

/// One entity that a sink must bring up to date.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// What to hand to the sink.
    pub change: Change,
    /// How urgent it was when it was queued.
    pub priority: Priority,
    /// Whether the sink is given it at all, by its scope. What it is not given it must not have; what it is not given
    /// and never had, it need not hear of.
    pub in_scope: bool,
}

impl Due {
    /// Whether there is anything for the sink to do.
    pub fn concerns_the_sink(&self) -> bool {
        self.in_scope || self.change.applied.is_some() || self.change.attempted.is_some()
    }
}

/// What became of one delivered change.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    /// Which entity.
    pub entity: Entity,
    /// Which of its generations was delivered.
    pub generation: u64,
    /// How many attempts are counted so far.
    pub attempts: u32,
    /// How it ended.
    pub resolution: Resolution,
}

/// A settled change that was the newest of its entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which entity.
    pub entity: Entity,
    /// Since when it had waited.
    pub since: Timestamp,
    /// How urgent it was.
    pub priority: Priority,
    /// The event that had made it necessary; none when the rules did.
    pub event: Option<String>,
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolution {
    /// The target holds it.
    Applied {
        /// The document that was delivered; `None` for a removal.
        document: Option<Document>,
        /// The target's own id, where it has one.
        remote: Option<RemoteId>,
        /// What had to be done.
        action: Action,
        /// When the sink looks again because there is more to do then; `None` when it is done.
        again: Option<Timestamp>,
    },
    /// The sink is not given it, and never had it.
    OutOfScope,
    /// It will be tried again.
    Retry {
        /// Why it did not work.
        reason: String,
        /// When to try again.
        due: Timestamp,
        /// The target's own id of what was made all the same. Kept with what was attempted; nothing is where the sink
        /// reads its target.
        remote: Option<RemoteId>,
    },
    /// It will not be tried again until a person or a newer event says so.
    Dead {
        /// Why.
        reason: String,
        /// As for one that is tried again.
        remote: Option<RemoteId>,
    },
}
