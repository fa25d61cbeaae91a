//! What the daemon asks of a sink, and what the sink answers.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Attempted, Document, Entity, Group, User};

/// One entity to bring up to date.
///
/// A change is level-triggered: it says what should be true now, not what happened. It may come again, with
/// the same or a newer `desired`, and must then lead to the same state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The user or group.
    pub entity: Entity,
    /// What should be true; `None` when the entity must go.
    pub desired: Option<Document>,
    /// What this sink last confirmed; `None` when it never confirmed anything, or confirmed that the entity
    /// is gone. It is what the sink wrote, not what the target holds: others may have written there since.
    pub applied: Option<Document>,
    /// What attempts since then, none of which was confirmed, may have left in the target; `None` when there was
    /// none. For a sink that cannot look: what stands here and not in `desired` is to be taken back, and nothing
    /// that `applied` says can be relied on. Always `None` for one that can, see
    /// [`Sink::reads_target`](crate::Sink::reads_target).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempted: Option<Attempted>,
    /// The target's own id for the entity, as this sink last returned it in [`Outcome::Applied`], or since then in
    /// [`Outcome::Retry`]. Kept after a removal too, so that a sink that soft-deletes can find its row again.
    pub remote: Option<RemoteId>,
    /// Grows with every change of `desired`, per entity, even when the daemon's store was lost or restored
    /// meanwhile; not by one. A sink that can should refuse to let a lower one overwrite a higher one.
    pub generation: u64,
    /// The same for every attempt at the same sink, entity, generation and `desired`, and for no other.
    pub idempotency_key: String,
    /// Which attempt this is, from 1. One for whose repetition the target named a time, or that found the sink
    /// down, is not counted.
    pub attempt: u32,
}

impl Change {
    /// The desired user, when the change is about a user that should exist.
    pub fn desired_user(&self) -> Option<&User> {
        self.desired.as_ref().and_then(Document::as_user)
    }

    /// The desired group, when the change is about a group that should exist.
    pub fn desired_group(&self) -> Option<&Group> {
        self.desired.as_ref().and_then(Document::as_group)
    }

    /// The user as this sink last confirmed them.
    pub fn applied_user(&self) -> Option<&User> {
        self.applied.as_ref().and_then(Document::as_user)
    }

    /// The group as this sink last confirmed it.
    pub fn applied_group(&self) -> Option<&Group> {
        self.applied.as_ref().and_then(Document::as_group)
    }

    /// The user as unconfirmed attempts may have left them.
    pub fn attempted_user(&self) -> Option<&User> {
        self.attempted.as_ref().and_then(|attempted| attempted.given.as_user())
    }

    /// The group as unconfirmed attempts may have left it.
    pub fn attempted_group(&self) -> Option<&Group> {
        self.attempted.as_ref().and_then(|attempted| attempted.given.as_group())
    }
}

/// The target's own id for an entity: an entryUUID, a primary key, the `id` of a REST resource. Opaque to the
/// daemon, which keeps it and hands it back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RemoteId(String);

impl RemoteId {
    /// Wraps the target's id.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RemoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What became of one [`Change`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The target now holds what was desired, durably as far as the target can promise that.
    Applied {
        /// The target's own id for the entity, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remote: Option<RemoteId>,
        /// What had to be done.
        action: Action,
        /// Look again after this, in milliseconds on the wire: the sink has more to do then, such as to remove an
        /// entry whose grace is over. The change comes again after that time even though nothing else is desired,
        /// unless something else is before.
        #[serde(default, with = "optional_millis", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<u64>")]
        again: Option<Duration>,
    },
    /// It did not work now but may later: a conflict, a busy target, something that must exist first.
    Retry {
        /// What was tried, on what, and what the target said.
        reason: String,
        /// Not sooner than this, when the target said so (`Retry-After`), in milliseconds on the wire.
        #[serde(default, with = "optional_millis", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<u64>")]
        after: Option<Duration>,
        /// The target's own id for the entity, where a part of it went through that made it. It comes back as
        /// [`Change::remote`] and in [`Change::attempted`]; a sink that
        /// [reads its target](crate::Sink::reads_target) can look, and for it nothing is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remote: Option<RemoteId>,
    },
    /// The target refuses, and will go on refusing until somebody changes the data, the mapping or the target.
    Reject {
        /// What was tried, on what, what the target said, and what to do.
        reason: String,
    },
}

impl Outcome {
    /// Applied, with no remote id.
    pub fn applied(action: Action) -> Self {
        Outcome::Applied { remote: None, action, again: None }
    }

    /// Applied, with the target's own id.
    pub fn applied_as(remote: impl Into<String>, action: Action) -> Self {
        Outcome::Applied { remote: Some(RemoteId::new(remote)), action, again: None }
    }

    /// Try again, whenever the daemon's backoff says.
    pub fn retry(reason: impl Into<String>) -> Self {
        Outcome::retry_after(reason, None)
    }

    /// Try again, not sooner than the target said.
    pub fn retry_after(reason: impl Into<String>, after: Option<Duration>) -> Self {
        Outcome::Retry { reason: reason.into(), after, remote: None }
    }

    /// The same, with the target's own id where this is a [`Retry`](Outcome::Retry) without one.
    pub fn with_remote(mut self, id: Option<RemoteId>) -> Self {
        if let Outcome::Retry { remote, .. } = &mut self {
            *remote = remote.take().or(id);
        }
        self
    }

    /// Refused for good.
    pub fn reject(reason: impl Into<String>) -> Self {
        Outcome::Reject { reason: reason.into() }
    }
}

/// What a sink did to bring the target up to date; shown to people who ask what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The target did not have the entity; now it does.
    Created,
    /// Something differed and was written.
    Updated,
    /// Everything was so already; nothing was written.
    Unchanged,
    /// The user lost access but stays known to the target.
    Deactivated,
    /// A deactivated user has access again.
    Reactivated,
    /// The entity is gone from the target, or marked as deleted where it keeps such rows.
    Deleted,
}

impl Action {
    /// The action as a lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Created => "created",
            Action::Updated => "updated",
            Action::Unchanged => "unchanged",
            Action::Deactivated => "deactivated",
            Action::Reactivated => "reactivated",
            Action::Deleted => "deleted",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The target as a whole cannot be worked with now: unreachable, refusing the credentials, read-only.
///
/// No change is blamed: the daemon stops delivering to this sink, counts no attempt, and asks
/// [`Sink::probe`](crate::Sink::probe) until it succeeds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SinkDown {
    /// What was tried, where, what the other side said, and what to do.
    pub reason: String,
    /// Not sooner than this, when the target said so.
    pub after: Option<Duration>,
}

impl SinkDown {
    /// Down, with the reason a person will read.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), after: None }
    }
}

mod optional_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}
