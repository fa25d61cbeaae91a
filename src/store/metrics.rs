//! What the committer counts and measures.

use rolecall_sink_api::RoleName;

use super::Batch;
use crate::metrics::{Counter, Histogram};

/// How commits of messages went since the start, and the roles that changed by them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CommitMetrics {
    /// How many messages were committed together.
    pub messages: Histogram,
    /// How long the store took for a batch, from when its turn came to when everybody saw it.
    pub commit: Histogram,
    /// How long it then took until the batch was on disk and its senders were answered.
    pub sync: Histogram,
    /// Roles that users were granted or lost because of an event about them.
    pub by_event: RoleCounters,
    /// Roles that users were granted or lost because they were evaluated again: other rules are in force, a group of
    /// theirs changed, or a rule's time came.
    pub by_evaluation: RoleCounters,
}

/// How many roles were granted and taken. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct RoleCounters {
    /// Granted.
    pub granted: Counter,
    /// Taken.
    pub revoked: Counter,
}

impl CommitMetrics {
    pub(super) fn new() -> Self {
        Self {
            messages: Histogram::of_sizes(),
            commit: Histogram::of_short_times(),
            sync: Histogram::of_short_times(),
            by_event: RoleCounters::default(),
            by_evaluation: RoleCounters::default(),
        }
    }

    /// Counts the roles that changed by a batch that was committed.
    pub(super) fn count(&self, roles: RoleChanges) {
        for (counters, changed) in
            [(&self.by_event, roles.by_event), (&self.by_evaluation, roles.by_evaluation)]
        {
            counters.granted.inc_by(changed.granted);
            counters.revoked.inc_by(changed.revoked);
        }
    }
}

/// The roles that a batch changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RoleChanges {
    by_event: Changed,
    by_evaluation: Changed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Changed {
    granted: u64,
    revoked: u64,
}

impl RoleChanges {
    pub(super) fn of(batch: &Batch) -> Self {
        let mut changes = Self::default();
        for write in &batch.entities {
            let Some(activity) = &write.activity else { continue };
            let changed =
                if write.event.is_some() { &mut changes.by_event } else { &mut changes.by_evaluation };
            let number = |roles: &[RoleName]| roles.len() as u64;
            changed.granted += number(&activity.granted);
            changed.revoked += number(&activity.revoked);
        }
        changes
    }
}
