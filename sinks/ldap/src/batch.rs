//! One batch: leavers, groups, the other users, then the groups that go, each together and in this order.

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
}

impl Settled {
    /// Nothing had to be done, and there is no entry.
    pub(crate) fn untouched() -> Self {
        Self { action: Action::Unchanged, remote: None }
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
    let denied = results.iter().find_map(|result| match result {
        Err(Failure::Denied(reason)) => Some(reason),
        _ => None,
    });
    if let Some(reason) = denied.filter(|_| work.nothing_is_allowed()) {
        return Err(SinkDown::new(format!("the server allows no write at all: {reason}")));
    }
    results.into_iter().zip(changes).map(|(result, change)| outcome(result, change)).collect()
}

fn outcome(result: Result<Settled, Failure>, change: &Change) -> Result<Outcome, SinkDown> {
    match result {
        Ok(Settled { action, remote }) => {
            // An entry that was gone already keeps the id by which it was known.
            let remote = remote.map(RemoteId::new).or_else(|| change.remote.clone());
            Ok(Outcome::Applied { remote, action })
        }
        Err(failure) => failure.into_outcome(change.attempt),
    }
}
