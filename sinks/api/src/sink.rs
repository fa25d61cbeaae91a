//! The trait every sink implements.

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::{Change, Observed, Outcome, SinkDown};

/// What the target holds, one entity at a time; see [`Sink::observe`].
pub type ObservedStream<'a> = BoxStream<'a, Result<Observed, SinkDown>>;

/// What a sink found out before its first delivery, one line for each thing that a person would want to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What is as it has to be, or good to know.
    pub found: Vec<String>,
    /// What will keep deliveries from going through, and what to do about it.
    pub faults: Vec<String>,
}

impl From<Vec<String>> for Findings {
    fn from(found: Vec<String>) -> Self {
        Self { found, faults: Vec::new() }
    }
}

/// One identity store that rolecall keeps in step.
///
/// # What a sink may rely on
/// - `apply` is called by one worker at a time, and never while `probe` runs.
/// - A batch is not empty and names each entity at most once. Leavers come first; groups that should exist
///   come before users, groups that must go come after them. The order across batches is the queue's.
/// - A change whose outcome was [`Outcome::Applied`] comes back in later changes as `applied` and `remote`,
///   unless the daemon died before it could note that: then the same change comes again as if it were new.
/// - What was handed over to a sink that does not read its target, and was not confirmed, comes back as
///   `attempted`: it is noted before `apply` is called.
/// - A user's `groups` may name a group that the target does not have yet or has no longer, and a group's
///   change may come after its members': neither is an error.
///
/// # What the daemon relies on
/// - `apply` is idempotent, and safe to cut off at any point: the future may be dropped on shutdown.
/// - What the sink neither made nor was told to adopt is never changed or removed.
/// - `apply` bounds its own time: a target that hangs ends in [`SinkDown`] or [`Outcome::Retry`].
/// - Reasons name the target, the operation and the entity, and hold no secret.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Brings the target up to date: one outcome per change, in the order of `changes`.
    ///
    /// # Errors
    /// [`SinkDown`] when the target as a whole cannot be worked with. Changes that were already applied when
    /// it went down come again, so nothing needs to be undone; a sink that knows the outcome of some changes
    /// may instead return them and answer the rest with [`Outcome::Retry`].
    async fn apply(&self, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown>;

    /// One cheap round trip that shows whether deliveries may start: reachable, credentials accepted.
    ///
    /// # Errors
    /// [`SinkDown`] with what is wrong and what to do.
    async fn probe(&self) -> Result<(), SinkDown>;

    /// What `rolecall check --connect` reports: what the target is, what the sink chose, and whether it may do
    /// what it will have to. The default is a probe.
    ///
    /// # Errors
    /// [`SinkDown`] with what is wrong and what to do.
    async fn check(&self) -> Result<Findings, SinkDown> {
        self.probe().await.map(|()| Findings::default())
    }

    /// Whether the sink looks at what the target holds before it writes, or replaces all of it, so that it needs no
    /// [`Change::attempted`] to take back what an attempt left that was never confirmed. The default is that it
    /// does not, which is right for every sink, and costs the daemon a note before each first attempt.
    fn reads_target(&self) -> bool {
        false
    }

    /// How many changes the sink is best handed at once, when the operator does not say. More are cheaper for a
    /// target that takes many in one request; fewer let a leaver wait less. The default is 100.
    fn batch(&self) -> u32 {
        100
    }

    /// What the target holds that this sink manages, in no order; `None` where the target cannot be read.
    fn observe(&self) -> Option<ObservedStream<'_>>;

    /// Lets go of what would outlive the daemon if it just ended. The last call, within a bounded time; it does not come
    /// when the daemon is killed. The default does nothing.
    async fn close(&self) {}
}
