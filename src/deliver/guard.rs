//! The worker and its sink's safeguard: what is due goes on to the sink, or is held.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rolecall_sink_api::{Change, Entity};

use super::safeguard::{Candidate, judge, withdrawn};
use super::worker::Worker;
use crate::store::{Due, Guarded, Hold, StoreError, Withdrawal, Withdrawn};

impl Worker {
    /// What of these changes is handed to the sink. Before it is, the store knows what counts and what is held: whatever
    /// happens then, no more than the limit is handed over.
    pub(super) async fn guard(&self, due: Vec<Due>) -> Result<Vec<Change>, StoreError> {
        let candidates = self.candidates(&due);
        if candidates.is_empty() && due.iter().all(|due| due.held.is_none()) {
            return Ok(due.into_iter().map(|due| due.change).collect());
        }
        let now = (self.clock)();
        let mut guarded = match &self.safeguard {
            Some(config) if !candidates.is_empty() => {
                let since = now.saturating_sub(config.within.get()).unwrap_or(Timestamp::MIN);
                let asked: Vec<Withdrawn> = candidates.iter().map(|c| c.withdrawn.clone()).collect();
                let lately = self.store.withdrawn_lately(&self.name, asked, since).await?;
                Guarded { since, ..judge(config, lately, candidates) }
            }
            _ => Guarded { since: Timestamp::MIN, ..Guarded::default() },
        };
        let held: BTreeSet<&Entity> = guarded.held.iter().map(|held| &held.entity).collect();
        let passing: Vec<Due> = due.into_iter().filter(|due| !held.contains(&due.change.entity)).collect();
        let held = held.len();
        guarded.released = passing
            .iter()
            .filter(|due| due.held.is_some())
            .map(|due| (due.change.entity.clone(), due.change.generation))
            .collect();
        for hold in self.store.guard(&self.name, guarded, now).await? {
            self.warn(&hold);
        }
        if held > 0 {
            tracing::debug!(sink = %self.name, changes = held, "held");
        }
        Ok(passing.into_iter().map(|due| due.change).collect())
    }

    /// What the safeguard has to look at.
    fn candidates(&self, due: &[Due]) -> Vec<Candidate> {
        if self.safeguard.is_none() {
            return Vec::new();
        }
        let undecided = due.iter().filter(|due| !due.approved);
        undecided
            .filter_map(|due| {
                let (generation, held) = (due.change.generation, due.held);
                withdrawn(&due.change).map(|withdrawn| Candidate { withdrawn, generation, held })
            })
            .collect()
    }

    fn warn(&self, hold: &Hold) {
        let what = match hold.withdrawal {
            Withdrawal::Removal => "too many users would be removed",
            Withdrawal::Revocation => "too many users would lose a role",
        };
        let reached = &hold.reached;
        tracing::warn!(
            sink = %self.name,
            hold = %hold.id,
            organization = reached.organization.as_ref().map(|organization| organization.as_str()),
            allowed = reached.allowed,
            of_users = reached.of_users,
            "{what}: what is more than the safeguard allows is held, and the rest goes on; \
             `rolecall holds show {}` says who, and how to decide",
            hold.id
        );
    }
}
