//! What a delivery worker counts and measures.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rolecall_sink_api::Action;

use crate::metrics::{Counter, Histogram};
use crate::store::{Priority, Resolution, Settled, Settlement};

/// What a sink makes of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The target holds it, and this had to be done.
    Applied(&'static str),
    /// It will be tried again.
    Retried,
    /// It became a dead letter.
    Dead,
}

impl Outcome {
    const ACTIONS: [Action; 6] = [
        Action::Created,
        Action::Updated,
        Action::Unchanged,
        Action::Deactivated,
        Action::Reactivated,
        Action::Deleted,
    ];

    /// How it ended, as a lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Applied(_) => "applied",
            Outcome::Retried => "retried",
            Outcome::Dead => "dead",
        }
    }

    /// What had to be done, as a lower-case word.
    pub fn action(self) -> &'static str {
        match self {
            Outcome::Applied(action) => action,
            Outcome::Retried | Outcome::Dead => "none",
        }
    }

    pub(super) fn of(resolution: &Resolution) -> Option<Self> {
        match resolution {
            Resolution::Applied { action, .. } => Some(Outcome::Applied(action.as_str())),
            Resolution::Retry { .. } => Some(Outcome::Retried),
            Resolution::Dead { .. } => Some(Outcome::Dead),
            Resolution::OutOfScope => None,
        }
    }
}

/// How a sink's deliveries went since the start. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DeliveryMetrics {
    /// How often a change ended in each way.
    pub changes: BTreeMap<Outcome, Counter>,
    /// How long the sink took for the changes that it was handed at once.
    pub apply: Histogram,
    /// How long those who lost access had waited when the target had it.
    pub leavers: Histogram,
    /// How long everybody and everything else had.
    pub others: Histogram,
}

impl DeliveryMetrics {
    pub(super) fn new() -> Self {
        let applied = Outcome::ACTIONS.map(|action| Outcome::Applied(action.as_str()));
        let outcomes = applied.into_iter().chain([Outcome::Retried, Outcome::Dead]);
        Self {
            changes: outcomes.map(|outcome| (outcome, Counter::default())).collect(),
            apply: Histogram::of_work(),
            leavers: Histogram::of_waits(),
            others: Histogram::of_waits(),
        }
    }

    /// Counts how changes ended.
    pub(super) fn count(&self, settlements: &[Settlement]) {
        for outcome in settlements.iter().filter_map(|settlement| Outcome::of(&settlement.resolution)) {
            if let Some(counter) = self.changes.get(&outcome) {
                counter.inc();
            }
        }
    }

    /// Notes how long those had waited whom the target has had since `now`.
    pub(super) fn waited(&self, settlements: &[Settlement], settled: &[Settled], now: Timestamp) {
        // Both are in one order.
        let mut settled = settled.iter().peekable();
        for settlement in settlements {
            let Some(waited) = settled.next_if(|waited| waited.entity == settlement.entity) else { continue };
            if let Resolution::Applied { .. } = settlement.resolution {
                let times = if waited.priority == Priority::Leaver { &self.leavers } else { &self.others };
                times.time(Duration::try_from(now.duration_since(waited.since)).unwrap_or_default());
            }
        }
    }
}
