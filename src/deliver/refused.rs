//! What a sink refuses of somebody who loses something: the loss goes through all the same.
//!
//! A name that is too long, or an address that somebody else has, is no reason to keep access. What the sink confirmed
//! of a user it has taken once, so it is handed that again, less what the user loses. The change itself stays refused.

use rolecall_sink_api::{Action, Attempted, Change, Document, Outcome, User};

use super::worker::{Delivered, Worker};
use crate::store::{Resolution, Settlement};

impl Worker {
    /// Has the sink take away what changes that it refuses would take away. Returns what became of the changes, with what
    /// came of that.
    pub(super) async fn take_away(&self, changes: &[Change], mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
        let (places, losses): (Vec<usize>, Vec<Change>) = changes
            .iter()
            .zip(&outcomes)
            .enumerate()
            .filter(|(_, (change, outcome))| self.gives_up(change, outcome))
            .filter_map(|(place, (change, _))| Some((place, loss(change, self.sink.reads_target())?)))
            .unzip();
        if losses.is_empty() {
            return outcomes;
        }
        let answers = match self.apply(&losses).await {
            Delivered::Outcomes(answers) => answers,
            // That is no failure of theirs: whoever leaves is not given up for a sink that is away.
            Delivered::Down(down) => {
                let again = || down.after.unwrap_or(self.config.initial_backoff.get());
                losses.iter().map(|_| Outcome::retry_after(down.reason.clone(), Some(again()))).collect()
            }
            Delivered::Panicked => {
                losses.iter().map(|_| Outcome::reject("the sink panicked: a bug")).collect()
            }
        };
        let mut settlements = Vec::new();
        for ((place, loss), answer) in places.into_iter().zip(losses).zip(answers) {
            let (Outcome::Reject { reason } | Outcome::Retry { reason, .. }) = &outcomes[place] else {
                continue;
            };
            match answer {
                // A sink that does not look says so of what it has no means for, too.
                Outcome::Applied { remote, action, .. }
                    if action != Action::Unchanged || self.sink.reads_target() =>
                {
                    outcomes[place] = Outcome::reject(format!(
                        "{reason}; what it takes away was taken away all the same, the rest was not done"
                    ));
                    settlements.push(Settlement {
                        entity: loss.entity,
                        generation: loss.generation,
                        attempts: 0,
                        resolution: Resolution::Applied {
                            document: loss.desired,
                            remote,
                            action,
                            again: None,
                        },
                    });
                }
                Outcome::Applied { .. } => {}
                Outcome::Retry { reason: later, after, .. } => {
                    outcomes[place] = Outcome::retry_after(
                        format!("{reason}; what it takes away could not be taken away alone yet: {later}"),
                        after,
                    );
                }
                Outcome::Reject { reason: refused } => {
                    outcomes[place] = Outcome::reject(format!(
                        "{reason}; what it takes away was refused alone too: {refused}"
                    ));
                }
            }
        }
        if !settlements.is_empty()
            && let Err(error) = self.store.settle(&self.name, settlements, (self.clock)()).await
        {
            // Done it is: the sink finds it so at the next change.
            tracing::error!(sink = %self.name, %error, "what was taken away is not noted");
        }
        outcomes
    }

    /// Whether a change becomes a dead letter by this outcome.
    fn gives_up(&self, change: &Change, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Reject { .. } => true,
            Outcome::Retry { after: None, .. } => change.attempt >= self.config.max_attempts,
            Outcome::Retry { .. } | Outcome::Applied { .. } => false,
        }
    }
}

/// The change that only takes away what `change` does: what the sink confirmed last, less the access, the roles and the
/// groups that the user no longer has. It is of the generation before, so that the change itself is still to be done.
/// `None` when that would change nothing, or be the same again.
fn loss(change: &Change, reads_target: bool) -> Option<Change> {
    let held = change.applied_user()?;
    let wanted = change.desired_user();
    let user = User {
        active: held.active && wanted.is_some_and(|wanted| wanted.active),
        roles: held
            .roles
            .iter()
            .filter(|role| wanted.is_some_and(|w| w.roles.contains(*role)))
            .cloned()
            .collect(),
        groups: wanted
            .into_iter()
            .flat_map(|wanted| &wanted.groups)
            .filter(|(id, _)| held.groups.contains_key(*id))
            .map(|(id, name)| (id.clone(), name.clone()))
            .collect(),
        ..held.clone()
    };
    let takes_away = user.active != held.active
        || user.roles.len() < held.roles.len()
        || user.groups.len() < held.groups.len();
    let desired = Some(Document::User(Box::new(user)));
    if !takes_away || desired == change.desired {
        return None;
    }
    Some(Change {
        desired,
        // What was refused may have gone through in part.
        attempted: if reads_target { None } else { Attempted::by(change) },
        generation: change.generation.saturating_sub(1),
        idempotency_key: format!("{}-loss", change.idempotency_key),
        ..change.clone()
    })
}
