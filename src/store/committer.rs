//! The committer: the only one who changes the directory.
//!
//! It takes the messages that arrived while the last batch was being synced, merges them with what is stored,
//! evaluates everybody they touch, and commits the result as one transaction. Between batches it evaluates
//! those whom a changed group or changed rules made stale.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rolecall_sink_api::{Document, Entity, GroupId, RoleName, UserId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{
    Activity, Batch, Durability, EntityState, EntityWrite, Happening, JournalEntry, JournalStatus, Loaded,
    MembershipChange, Message, Priority, Receipt, Row, Status, Store, StoreError, Submission, Unavailable,
    Wanted, desired,
};
use crate::directory::{Event, EventId, Fact, GroupState, Stamp, UserState};
use crate::rules::Rules;
use crate::source::Reading;

/// The most messages in one transaction.
const MOST_MESSAGES: usize = 512;
/// The most stale users in one transaction: few, since messages wait meanwhile.
const MOST_STALE: u32 = 256;
/// The most batches that are committed and not yet synced.
const MOST_UNSYNCED: usize = 4;
/// How long to wait before a failed evaluation of stale users is tried again.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Merges, evaluates, commits. There is one per store.
pub struct Committer {
    store: Arc<dyn Store>,
    rules: Arc<Rules>,
    clock: fn() -> Timestamp,
    queued: Arc<dyn Fn() + Send + Sync>,
}

impl Committer {
    /// A committer for `store`. `queued` is called after each batch that put something into the queues.
    pub fn new(
        store: Arc<dyn Store>,
        rules: Arc<Rules>,
        clock: fn() -> Timestamp,
        queued: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { store, rules, clock, queued: Arc::new(queued) }
    }

    /// Works until every [`Intake`](super::Intake) is gone and what they gave is committed, or until the disk fails the
    /// store.
    pub async fn run(self, mut inbox: mpsc::Receiver<Submission>) {
        let mut stale = true;
        let mut pause = None;
        let mut unsynced = JoinSet::new();
        loop {
            let submission = tokio::select! {
                biased;
                submission = inbox.recv() => submission,
                () = idle(pause.take()), if stale => {
                    stale = self.evaluate_stale_or_pause(&mut pause).await;
                    continue;
                }
            };
            let Some(first) = submission else { break };
            let submissions = gather(first, &mut inbox).await;
            stale |= self.take(submissions, &mut unsynced).await;
            if !synced(&mut unsynced, MOST_UNSYNCED).await {
                return;
            }
            // Messages never stop for long on a busy host, and a leaver's group may be what is stale.
            if stale && pause.is_none() {
                stale = self.evaluate_stale_or_pause(&mut pause).await;
            }
        }
        while unsynced.join_next().await.is_some() {}
    }

    /// Commits messages, and has them answered once they are on disk, while the next ones are committed. Returns
    /// whether somebody became stale.
    async fn take(&self, submissions: Vec<Submission>, unsynced: &mut JoinSet<bool>) -> bool {
        let (messages, answers): (Vec<Message>, Vec<_>) =
            submissions.into_iter().map(|submission| (submission.message, submission.answer)).unzip();
        match self.commit(messages).await {
            Ok(Committed { receipts, queued, stale, durability }) => {
                let queued = queued.then(|| Arc::clone(&self.queued));
                unsynced.spawn(acknowledge(answers, receipts, durability, queued));
                stale
            }
            Err(error) => {
                let messages = answers.len();
                tracing::error!(%error, messages, "messages could not be stored; their sender will send them again");
                for answer in answers {
                    let _ = answer.send(Err(Unavailable(error.to_string())));
                }
                false
            }
        }
    }

    async fn commit(&self, messages: Vec<Message>) -> Result<Committed, StoreError> {
        let loaded = self.store.load(wanted(&messages)).await?;
        let mut work = Work::new(loaded, &self.rules, (self.clock)());
        let mut journal = Vec::with_capacity(messages.len());
        let mut receipts = Vec::with_capacity(messages.len());
        let mut seen = HashSet::new();
        for message in messages {
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
            let (entry, event, receipt) = journalled(message);
            journal.push(entry);
            receipts.push(Ok(receipt));
            if let Some(event) = event {
                work.merge(event);
            }
        }
        let mut batch = work.finish();
        batch.journal = journal;
        let queued = batch.queues();
        let stale = !batch.stale_members_of.is_empty();
        // Even of duplicates alone: what they repeat may be committed and not yet on disk.
        let durability = self.store.commit(batch).await?;
        Ok(Committed { receipts, queued, stale, durability })
    }

    async fn evaluate_stale_or_pause(&self, pause: &mut Option<Duration>) -> bool {
        self.evaluate_stale().await.unwrap_or_else(|error| {
            tracing::error!(%error, "users could not be evaluated again; trying again");
            *pause = Some(PAUSE_AFTER_FAILURE);
            true
        })
    }

    /// Evaluates some stale users again. Returns whether there are more.
    async fn evaluate_stale(&self) -> Result<bool, StoreError> {
        let users = self.store.stale(MOST_STALE).await?;
        if users.is_empty() {
            return Ok(false);
        }
        let wanted = Wanted { users: users.iter().cloned().collect(), ..Wanted::default() };
        let loaded = self.store.load(wanted).await?;
        let mut work = Work::new(loaded, &self.rules, (self.clock)());
        for user in &users {
            let user = Entity::User(user.clone());
            if work.loaded.damaged.contains(&user) {
                tracing::error!(%user, "what is stored of the user cannot be read; their roles stay as they are");
            } else {
                work.touch(user, None);
            }
        }
        let mut batch = work.finish();
        batch.evaluated = users;
        let queued = batch.queues();
        self.store.commit(batch).await?.reached().await?;
        if queued {
            (self.queued)();
        }
        Ok(true)
    }
}

struct Committed {
    receipts: Vec<Result<Receipt, Unavailable>>,
    queued: bool,
    stale: bool,
    durability: Durability,
}

/// Answers messages once they are on disk. Returns whether they are.
async fn acknowledge(
    answers: Vec<oneshot::Sender<Result<Receipt, Unavailable>>>,
    receipts: Vec<Result<Receipt, Unavailable>>,
    durability: Durability,
    queued: Option<Arc<dyn Fn() + Send + Sync>>,
) -> bool {
    let synced = durability.reached().await;
    if let Err(error) = &synced {
        tracing::error!(%error, "messages are not on disk; their sender will send them again");
    }
    for (answer, receipt) in answers.into_iter().zip(receipts) {
        let receipt = match &synced {
            Ok(()) => receipt,
            Err(error) => Err(Unavailable(error.to_string())),
        };
        // Whoever waited may have hung up: the message is stored all the same.
        let _ = answer.send(receipt);
    }
    if let (Ok(()), Some(queued)) = (&synced, queued) {
        queued();
    }
    synced.is_ok()
}

/// Waits until at most so many batches are not synced yet. Returns whether all that were synced are on disk: if one is
/// not, nothing more may be taken, for what is in memory is no longer what is on disk.
async fn synced(unsynced: &mut JoinSet<bool>, most: usize) -> bool {
    loop {
        let next = if unsynced.len() > most { unsynced.join_next().await } else { unsynced.try_join_next() };
        match next {
            Some(Ok(true)) => {}
            Some(_) => return false,
            None => return true,
        }
    }
}

/// The message and those that come with it. Whoever is ready to hand one over gets the turn to do so before the
/// batch is closed: a larger batch costs less for each, and where nobody is ready it costs no time.
async fn gather(first: Submission, inbox: &mut mpsc::Receiver<Submission>) -> Vec<Submission> {
    let mut submissions = vec![first];
    loop {
        let before = submissions.len();
        while submissions.len() < MOST_MESSAGES
            && let Ok(next) = inbox.try_recv()
        {
            submissions.push(next);
        }
        if submissions.len() == MOST_MESSAGES || submissions.len() == before {
            return submissions;
        }
        tokio::task::yield_now().await;
    }
}

async fn idle(pause: Option<Duration>) {
    if let Some(pause) = pause {
        tokio::time::sleep(pause).await;
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
fn joined(event: &Event) -> impl Iterator<Item = &GroupId> {
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

/// A batch being put together. Pure.
struct Work<'r> {
    loaded: Loaded,
    rules: &'r Rules,
    now: Timestamp,
    /// The entities the batch touches, each with the latest event, by its own time, that does; `None` when the
    /// rules do.
    touched: HashMap<Entity, Option<Stamp>>,
    /// The groups of which something was stated of each touched user before the batch.
    edges_before: HashMap<UserId, BTreeSet<GroupId>>,
    /// When each touched group was last deleted before the batch, if it ever was.
    gone_before: HashMap<GroupId, Option<Stamp>>,
}

impl<'r> Work<'r> {
    fn new(loaded: Loaded, rules: &'r Rules, now: Timestamp) -> Self {
        Self {
            loaded,
            rules,
            now,
            touched: HashMap::new(),
            edges_before: HashMap::new(),
            gone_before: HashMap::new(),
        }
    }

    fn merge(&mut self, event: Event) {
        let entities = event.users().cloned().map(Entity::User);
        let entities: HashSet<Entity> = entities.chain(event.groups().cloned().map(Entity::Group)).collect();
        for entity in entities {
            self.touch(entity, Some(event.stamp.clone()));
        }
        self.loaded.directory.merge(event);
    }

    /// The first entity that the message speaks of and that cannot be read from the store. Nothing may be written
    /// over it.
    fn damaged_by(&self, message: &Message) -> Option<&Entity> {
        let Reading::Event { event, .. } = &message.reading else { return None };
        self.loaded.damaged.iter().find(|entity| match entity {
            Entity::User(id) => event.users().any(|user| user == id),
            Entity::Group(id) => event.groups().chain(joined(event)).any(|group| group == id),
        })
    }

    fn touch(&mut self, entity: Entity, stamp: Option<Stamp>) {
        let directory = &self.loaded.directory;
        match &entity {
            Entity::User(id) if !self.edges_before.contains_key(id) => {
                let state = directory.users.get(id);
                let edges = state.map(|state| state.edges().cloned().collect()).unwrap_or_default();
                self.edges_before.insert(id.clone(), edges);
            }
            Entity::Group(id) if !self.gone_before.contains_key(id) => {
                let gone = directory.groups.get(id).and_then(GroupState::gone).cloned();
                self.gone_before.insert(id.clone(), gone);
            }
            _ => {}
        }
        let latest = self.touched.entry(entity).or_default();
        *latest = latest.take().max(stamp);
    }

    /// Evaluates everybody touched. Groups first: what is desired of a user names their groups.
    fn finish(mut self) -> Batch {
        let touched = std::mem::take(&mut self.touched);
        let (groups, users): (Vec<_>, Vec<_>) =
            touched.into_iter().partition(|(entity, _)| matches!(entity, Entity::Group(_)));
        let mut batch = Batch::new(self.now);
        for (entity, stamp) in groups.into_iter().chain(users) {
            let event = stamp.map(|stamp| stamp.event);
            match &entity {
                Entity::Group(id) => {
                    let state = self.loaded.directory.groups.remove(id).unwrap_or_default();
                    let write = self.group(id, &state, event);
                    // A deletion that comes late, after the group came back, changes no document of the group
                    // and still ends memberships.
                    let deleted = self.gone_before.remove(id).flatten().as_ref() != state.gone();
                    if write.enqueue.is_some() || deleted {
                        batch.stale_members_of.push(id.clone());
                    }
                    self.loaded.directory.groups.insert(id.clone(), state);
                    batch.entities.push(write);
                }
                Entity::User(id) => {
                    let state = self.loaded.directory.users.remove(id).unwrap_or_default();
                    batch.entities.push(self.user(id, state, event));
                }
            }
        }
        batch.connections = std::mem::take(&mut self.loaded.directory.connections).into_iter().collect();
        batch
    }

    fn group(&mut self, id: &GroupId, state: &GroupState, event: Option<EventId>) -> EntityWrite {
        let document = desired::group(id, state).map(Document::Group);
        self.write(
            Entity::Group(id.clone()),
            EntityState::Group(state.clone()),
            document.as_ref(),
            BTreeSet::new(),
            Vec::new(),
            event,
        )
    }

    fn user(&mut self, id: &UserId, mut state: UserState, event: Option<EventId>) -> EntityWrite {
        let groups = &self.loaded.directory.groups;
        state.drop_void_edges(|group| groups.get(group));
        let grants = desired::grants(&state, groups, self.rules);
        let roles: BTreeSet<RoleName> = grants.into_iter().map(|grant| grant.role).collect();
        let document =
            desired::user(id, &state, groups, roles.clone()).map(|user| Document::User(Box::new(user)));
        let before = self.edges_before.remove(id).unwrap_or_default();
        let after: BTreeSet<GroupId> = state.edges().cloned().collect();
        let memberships = after
            .difference(&before)
            .cloned()
            .map(MembershipChange::Add)
            .chain(before.difference(&after).cloned().map(MembershipChange::Remove))
            .collect();
        self.write(
            Entity::User(id.clone()),
            EntityState::User(state),
            document.as_ref(),
            roles,
            memberships,
            event,
        )
    }

    fn write(
        &mut self,
        entity: Entity,
        state: EntityState,
        document: Option<&Document>,
        roles: BTreeSet<RoleName>,
        memberships: Vec<MembershipChange>,
        event: Option<EventId>,
    ) -> EntityWrite {
        let before = self.loaded.rows.remove(&entity).unwrap_or_default();
        let digest = document.map(desired::digest);
        let status = desired::status(document);
        let changed = digest != before.digest;
        let granted = roles.difference(&before.roles).cloned().collect();
        let revoked = before.roles.difference(&roles).cloned().collect();
        EntityWrite {
            enqueue: changed.then(|| urgency(&entity, before.status, status)),
            activity: changed.then(|| Activity {
                what: Happening::between(before.status, status),
                granted,
                revoked,
            }),
            row: Row {
                key: before.key,
                generation: if changed {
                    self.generation_after(before.generation)
                } else {
                    before.generation
                },
                digest,
                status,
                roles,
            },
            was: before.status,
            entity,
            state,
            memberships,
            event,
        }
    }
}

impl Work<'_> {
    /// The generation after this one. It follows the clock, so that it also grows when the store was lost, or a
    /// backup was put in its place, while a sink still knows what it once confirmed; a clock that went back does
    /// not take it along.
    fn generation_after(&self, before: u64) -> u64 {
        u64::try_from(self.now.as_microsecond()).unwrap_or(0).max(before + 1)
    }
}

/// How urgent a change of an entity's status, or within it, is.
fn urgency(entity: &Entity, before: Status, after: Status) -> Priority {
    match (entity, before, after) {
        (Entity::Group(_), _, Status::Absent) => Priority::GroupRemoval,
        (Entity::Group(_), _, _) => Priority::Group,
        (Entity::User(_), _, Status::Active) => Priority::User,
        (Entity::User(_), Status::Active, _) => Priority::Leaver,
        (Entity::User(_), _, _) => Priority::Inactive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Sync = oneshot::Sender<Result<(), StoreError>>;
    type Answer = oneshot::Receiver<Result<Receipt, Unavailable>>;

    fn acknowledging() -> (Sync, Answer, JoinSet<bool>) {
        let (answer, receipt) = oneshot::channel();
        let (sync, durability) = Durability::pending();
        let mut unsynced = JoinSet::new();
        unsynced.spawn(acknowledge(vec![answer], vec![Ok(Receipt::Committed)], durability, None));
        (sync, receipt, unsynced)
    }

    #[tokio::test]
    async fn nothing_is_acknowledged_before_it_is_on_disk() {
        let (sync, mut receipt, mut unsynced) = acknowledging();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(receipt.try_recv().is_err());
        sync.send(Ok(())).unwrap();
        assert_eq!(receipt.await.unwrap(), Ok(Receipt::Committed));
        assert!(synced(&mut unsynced, 0).await);
    }

    #[tokio::test]
    async fn what_the_disk_did_not_take_is_not_acknowledged_and_ends_the_work() {
        let (sync, receipt, mut unsynced) = acknowledging();
        sync.send(Err(StoreError::Failed("EIO".into()))).unwrap();
        assert!(receipt.await.unwrap().is_err());
        assert!(!synced(&mut unsynced, 0).await);
    }
}
