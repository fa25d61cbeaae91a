//! One batch: leavers, groups, the other users, then the groups that go, each together and in this order.

use std::time::Duration;

use rolecall_sink_api::{Action, Change, Entity, Outcome, RemoteId, SinkDown};

use crate::outcome::Failure;
use crate::work::Work;
use crate::{groups, people};

/// A change that went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) action: Action,
    /// The entry's id; `None` where there is, and was, no entry.
    pub(crate) remote: Option<String>,
    /// When there is more to do, if there is.
    pub(crate) again: Option<Duration>,
}

impl Settled {
    /// Nothing had to be done, and there is no entry.
    pub(crate) fn untouched() -> Self {
        Self::as_of(Action::Unchanged, None)
    }

    /// This was done, and it is all.
    pub(crate) fn as_of(action: Action, remote: Option<String>) -> Self {
        Self { action, remote, again: None }
    }
}

/// The steps of a batch, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Leavers,
    Groups,
    Users,
    GroupRemovals,
}

impl Step {
    fn of(change: &Change) -> Self {
        match (&change.entity, change.desired_user()) {
            (Entity::User(_), Some(user)) if user.active => Step::Users,
            (Entity::User(_), _) => Step::Leavers,
            (Entity::Group(_), _) if change.desired.is_some() => Step::Groups,
            (Entity::Group(_), _) => Step::GroupRemovals,
        }
    }
}

/// Brings the target up to date with `changes`: one outcome for each, in their order.
pub(crate) async fn apply(work: &Work<'_>, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
    let mut results: Vec<Result<Settled, Failure>> =
        changes.iter().map(|_| Ok(Settled::untouched())).collect();
    for step in [Step::Leavers, Step::Groups, Step::Users, Step::GroupRemovals] {
        let (at, some): (Vec<usize>, Vec<&Change>) =
            changes.iter().enumerate().filter(|(_, change)| Step::of(change) == step).unzip();
        if some.is_empty() {
            continue;
        }
        let settled = match step {
            Step::Leavers | Step::Users => people::apply(work, &some).await?,
            Step::Groups | Step::GroupRemovals => groups::apply(work, &some).await?,
        };
        for (at, settled) in at.into_iter().zip(settled) {
            results[at] = settled;
        }
    }
    if let Some(reason) = all_denied(&results).filter(|_| !work.may_write()) {
        return Err(SinkDown::new(format!("the server allows no write at all: {reason}")));
    }
    if let Some(reason) = work.fails_at_every_write() {
        return Err(SinkDown::new(format!("the server fails at every write: {reason}")));
    }
    let settle = |result: Result<Settled, Failure>| match result {
        // Nothing shows that the account may write anything: others may be refused for the same reason.
        Err(Failure::Denied(reason)) if !work.may_write() => Err(Failure::Doubt(reason)),
        other => other,
    };
    results.into_iter().zip(changes).map(|(result, change)| outcome(settle(result), change)).collect()
}

/// The first refusal, when there is nothing but refusals to let us write.
fn all_denied(results: &[Result<Settled, Failure>]) -> Option<&str> {
    let mut reasons = results.iter().map(|result| match result {
        Err(Failure::Denied(reason)) => Some(reason.as_str()),
        _ => None,
    });
    let first = reasons.next()??;
    reasons.all(|reason| reason.is_some()).then_some(first)
}

fn outcome(result: Result<Settled, Failure>, change: &Change) -> Result<Outcome, SinkDown> {
    match result {
        Ok(Settled { action, remote, again }) => {
            // An entry that was gone already keeps the id by which it was known.
            let remote = remote.map(RemoteId::new).or_else(|| change.remote.clone());
            Ok(Outcome::Applied { remote, action, again })
        }
        Err(failure) => failure.into_outcome(change.attempt),
    }
}
