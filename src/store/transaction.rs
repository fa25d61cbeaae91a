//! The committer's transactions: messages that are merged, and people who are evaluated again.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use rolecall_sink_api::{Entity, GroupId};
use tokio::sync::oneshot;

use super::draft::Draft;
use super::metrics::RoleChanges;
use super::{
    Batch, JournalEntry, JournalStatus, Loaded, Message, Receipt, Stale, Submission, Transaction,
    Unavailable, Wanted,
};
use crate::directory::{Event, Fact};
use crate::rules::{Rules, Scopes};
use crate::source::Reading;

/// What a batch brings about beside what it writes.
#[derive(Clone, Copy, Default)]
pub(super) struct Effect {
    /// Whether it puts something into the queues.
    pub(super) queues: bool,
    /// Whether somebody becomes stale by it.
    pub(super) stale: bool,
    /// When the first of those it writes is to be evaluated again though nothing happens.
    pub(super) alarm: Option<Timestamp>,
    /// The roles that it grants and takes.
    pub(super) roles: RoleChanges,
}

impl Effect {
    fn of(batch: &Batch) -> Self {
        let alarms =
            batch.entities.iter().filter(|write| write.rescheduled).filter_map(|write| write.row.evaluate_at);
        Self {
            queues: batch.queues(),
            stale: !batch.stale_members_of.is_empty(),
            alarm: alarms.min(),
            roles: RoleChanges::of(batch),
        }
    }
}

/// The messages that wait for the store. A transaction that is to take them is handed to it while it works on another,
/// so that it need not wait for the next; which they are is settled when that one's turn comes.
#[derive(Clone, Default)]
pub(super) struct Waiting(Arc<Mutex<Waited>>);

#[derive(Default)]
struct Waited {
    submissions: Vec<Submission>,
    scheduled: bool,
}

impl Waiting {
    pub(super) fn append(&self, arrived: &mut Vec<Submission>) {
        locked(&self.0).submissions.append(arrived);
    }

    pub(super) fn len(&self) -> usize {
        locked(&self.0).submissions.len()
    }

    /// Whether a transaction is needed that takes them. The next call says so only when that one has taken some.
    pub(super) fn schedule(&self) -> bool {
        let mut waited = locked(&self.0);
        let needed = !waited.scheduled && !waited.submissions.is_empty();
        waited.scheduled |= needed;
        needed
    }

    pub(super) fn take(&self) -> Vec<Submission> {
        let mut waited = locked(&self.0);
        waited.scheduled = false;
        std::mem::take(&mut waited.submissions)
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What became of the messages of a transaction.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) answers: Vec<oneshot::Sender<Result<Receipt, Unavailable>>>,
    pub(super) receipts: Vec<Result<Receipt, Unavailable>>,
    pub(super) effect: Effect,
    /// When the transaction's turn came.
    pub(super) began: Option<Instant>,
}

/// Merges whatever messages wait when its turn comes: the more there are, the less each costs.
pub(super) struct Merge {
    pub(super) waiting: Waiting,
    pub(super) messages: Vec<Message>,
    pub(super) rules: Arc<Rules>,
    pub(super) scopes: Arc<Scopes>,
    pub(super) now: fn() -> Timestamp,
    pub(super) taken: Arc<Mutex<Taken>>,
}

impl Transaction for Merge {
    fn wanted(&mut self) -> Wanted {
        let submissions = self.waiting.take().into_iter();
        let (messages, answers) =
            submissions.map(|submission| (submission.message, submission.answer)).unzip();
        self.messages = messages;
        let mut taken = locked(&self.taken);
        taken.answers = answers;
        taken.began = Some(Instant::now());
        drop(taken);
        wanted(&self.messages)
    }

    fn batch(self: Box<Self>, loaded: Loaded) -> Batch {
        let mut work = Draft::new(loaded, &self.rules, &self.scopes, (self.now)());
        let mut journal = Vec::with_capacity(self.messages.len());
        let mut receipts = Vec::with_capacity(self.messages.len());
        let mut seen = HashSet::new();
        for message in self.messages {
            let id = (message.source.clone(), message.reading.id().clone());
            if work.loaded.known.contains(&id) || seen.contains(&id) {
                receipts.push(Ok(Receipt::Duplicate));
                continue;
            }
            if let Some(entity) = work.damaged_by(&message) {
                receipts.push(Err(Unavailable(format!("what is stored of {entity} cannot be read"))));
                continue;
            }
            // One that could not be read is not known: it may come in a readable form, even in the same batch.
            if !matches!(message.reading, Reading::Unreadable { .. }) {
                seen.insert(id);
            }
            let source = message.source.clone();
            let (entry, event, receipt) = journalled(message);
            journal.push(entry);
            receipts.push(Ok(receipt));
            if let Some(event) = event {
                work.merge(event.through(&source));
            }
        }
        let mut batch = work.finish();
        batch.journal = journal;
        let mut taken = locked(&self.taken);
        taken.receipts = receipts;
        taken.effect = Effect::of(&batch);
        batch
    }
}

/// Evaluates users again, and groups whose scope may have changed.
pub(super) struct Evaluate {
    pub(super) stale: Stale,
    pub(super) rules: Arc<Rules>,
    pub(super) scopes: Arc<Scopes>,
    pub(super) now: Timestamp,
    pub(super) effect: Arc<Mutex<Effect>>,
}

impl Transaction for Evaluate {
    fn wanted(&mut self) -> Wanted {
        let mut wanted = Wanted::default();
        for entity in &self.stale.entities {
            match entity {
                Entity::User(id) => wanted.users.insert(id.clone()),
                Entity::Group(id) => wanted.groups.insert(id.clone()),
            };
        }
        wanted
    }

    fn batch(self: Box<Self>, loaded: Loaded) -> Batch {
        let mut evaluated = Vec::new();
        let mut work = Draft::new(loaded, &self.rules, &self.scopes, self.now);
        for entity in self.stale.entities {
            if let Entity::User(id) = &entity {
                evaluated.push(id.clone());
            }
            if work.loaded.damaged.contains(&entity) {
                tracing::error!(%entity, "what is stored of it cannot be read; it stays as it is");
            } else {
                work.touch(entity, None);
            }
        }
        let mut batch = work.finish();
        batch.evaluated = evaluated;
        batch.swept = self.stale.swept;
        *locked(&self.effect) = Effect::of(&batch);
        batch
    }
}

/// What must be loaded to merge these messages.
fn wanted(messages: &[Message]) -> Wanted {
    let mut wanted = Wanted::default();
    for message in messages {
        wanted.events.push((message.source.clone(), message.reading.id().clone()));
        let Reading::Event { event, .. } = &message.reading else { continue };
        wanted.users.extend(event.users().cloned());
        wanted.groups.extend(event.groups().chain(joined(event)).cloned());
        wanted.connections.extend(event.connections().cloned());
    }
    wanted
}

/// The groups that the event puts users into, or takes them out of.
pub(super) fn joined(event: &Event) -> impl Iterator<Item = &GroupId> {
    event.facts.iter().flat_map(|fact| {
        let (list, one) = match fact {
            Fact::UserGroups { groups, .. } => (Some(groups), None),
            Fact::Member { group, .. } => (None, Some(group)),
            _ => (None, None),
        };
        list.into_iter().flatten().chain(one)
    })
}

/// A message as the journal keeps it, its event, and what its sender is told.
fn journalled(message: Message) -> (JournalEntry, Option<Event>, Receipt) {
    let (id, kind, at, status, event, receipt) = match message.reading {
        Reading::Event { event, kind } => {
            let (id, at) = (event.stamp.event.clone(), event.stamp.at);
            (id, Some(kind), Some(at), JournalStatus::Merged, Some(event), Receipt::Committed)
        }
        Reading::Ignored { id, kind } => {
            (id, Some(kind), None, JournalStatus::Ignored, None, Receipt::Ignored)
        }
        Reading::Unreadable { id, kind, reason } => {
            (id, kind, None, JournalStatus::Unreadable(reason.clone()), None, Receipt::Unreadable(reason))
        }
    };
    let entry = JournalEntry {
        id,
        source: message.source,
        message_id: message.message_id,
        kind,
        at,
        signed_at: message.signed_at,
        received_at: message.received_at,
        status,
        body: message.body,
    };
    (entry, event, receipt)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::directory::EventId;

    fn submission() -> Submission {
        let message = Message {
            source: "scalekit".into(),
            message_id: "m1".into(),
            signed_at: Timestamp::UNIX_EPOCH,
            received_at: Timestamp::UNIX_EPOCH,
            reading: Reading::Ignored { id: EventId::new("e1"), kind: "other".into() },
            body: Bytes::new(),
        };
        Submission { message, answer: oneshot::channel().0 }
    }

    #[test]
    fn one_transaction_is_asked_for_until_it_has_taken_what_waits() {
        let waiting = Waiting::default();
        assert!(!waiting.schedule());
        waiting.append(&mut vec![submission()]);
        assert!(waiting.schedule());
        waiting.append(&mut vec![submission()]);
        assert!(!waiting.schedule(), "the first one takes both");
        assert_eq!(waiting.take().len(), 2);
        assert!(!waiting.schedule());
        waiting.append(&mut vec![submission()]);
        assert!(waiting.schedule());
    }
}
