//! The committer: the only one who changes the directory.
//!
//! It takes the messages that arrived while the store was busy with the last batch, merges them with what is stored,
//! evaluates everybody they touch, and writes the result, all in one transaction on the store's own thread. While that
//! is synced, the next one is under way. Between batches it evaluates
//! those whom a changed group or changed rules made stale.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rolecall_sink_api::{Document, Entity, GroupId, RoleName, UserId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::desired::Withholding;
use super::in_force::{Force, Order, Seat};
use super::{
    Activity, Batch, Durability, EntityState, EntityWrite, Happening, JournalEntry, JournalStatus, Loaded,
    MembershipChange, Message, Priority, Receipt, Row, RulesInForce, Stale, Status, Store, StoreError,
    Submission, Transaction, Unavailable, Wanted, desired,
};
use crate::directory::{Event, EventId, Fact, GroupState, Stamp, UserState};
use crate::progress::Progress;
use crate::rules::{Decision, Rules, Scopes};
use crate::source::Reading;

/// The most messages in one transaction.
const MOST_MESSAGES: usize = 512;
/// The most stale users in one transaction: few, since messages wait meanwhile.
const MOST_STALE: u32 = 256;
/// The longest sleep: a clock that jumped is noticed after this.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// The most batches that are not synced yet.
const MOST_UNSYNCED: usize = 6;
/// How often it says that it gets on, when nothing else happens.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// How long to wait before a failed evaluation of stale users is tried again.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Merges, evaluates, commits. There is one per store.
pub struct Committer {
    store: Arc<dyn Store>,
    rules: Arc<Rules>,
    scopes: Arc<Scopes>,
    /// Where others look at both, and ask for other rules.
    seat: Seat,
    clock: fn() -> Timestamp,
    queued: Arc<dyn Fn() + Send + Sync>,
    /// When the next user is to be evaluated again though nothing happens. It may be too early, never too late.
    alarm: Option<Timestamp>,
    progress: Progress,
}

impl Committer {
    /// A committer for `store`. `queued` is called after each batch that may have put something into the queues.
    pub fn new(
        store: Arc<dyn Store>,
        rules: Arc<Rules>,
        clock: fn() -> Timestamp,
        queued: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let scopes = Arc::new(Scopes::default());
        let seat = Seat::new(Arc::clone(&rules), Arc::clone(&scopes));
        let queued = Arc::new(queued);
        Self {
            store,
            rules,
            scopes,
            seat,
            clock,
            queued,
            alarm: Some(Timestamp::MIN),
            progress: Progress::new(),
        }
    }

    /// The same with sinks that are not given everybody.
    pub fn scoped(mut self, scopes: Arc<Scopes>) -> Self {
        self.seat = Seat::new(Arc::clone(&self.rules), Arc::clone(&scopes));
        self.scopes = scopes;
        self
    }

    /// The rules in force, to be looked at and replaced while this runs.
    pub fn rules_in_force(&self) -> RulesInForce {
        self.seat.handle()
    }

    /// Whether this gets on: while something is under way in the store, whether anything comes to its end.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Works until every [`Intake`](super::Intake) is gone and what they gave is committed, or until the disk fails the
    /// store.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Submission>) {
        let waiting = Waiting::default();
        let (report, mut reports) = mpsc::channel(MOST_UNSYNCED);
        let mut tasks = JoinSet::new();
        let (mut running, mut evaluating, mut stale, mut open) = (0, false, true, true);
        let mut not_before = Instant::now();
        let mut order = None;
        let mut arrived = Vec::new();
        loop {
            let room = MOST_MESSAGES.saturating_sub(waiting.len());
            tokio::select! {
            biased;
            Some(done) = reports.recv() => {
                running -= 1;
                match done {
                    Report::Merged { stale: more, alarm } => {
                        stale |= more;
                        self.set_alarm(alarm);
                    }
                    Report::Evaluated { stale: more, alarm } => {
                        evaluating = false;
                        stale |= more;
                        self.set_alarm(alarm);
                    }
                    Report::NotEvaluated => {
                        (evaluating, stale) = (false, true);
                        not_before = Instant::now() + PAUSE_AFTER_FAILURE;
                    }
                }
            }
            Some(synced) = tasks.join_next() => {
                self.progress.within(SIGN_OF_LIFE);
                // What is in memory is no longer what is on disk.
                if !synced.unwrap_or(false) {
                    return;
                }
            }
            Some(new) = self.seat.orders.recv(), if order.is_none() => order = Some(new),
            // Before messages: on a busy host they never stop, and a leaver's group may be what is stale.
            () = tokio::time::sleep_until(not_before), if open && stale && !evaluating && order.is_none() => {
                (evaluating, stale) = (true, false);
                running += 1;
                // Until it says when the next is due, those who come meanwhile do.
                self.alarm = None;
                tasks.spawn(self.evaluate(report.clone()));
            }
            count = inbox.recv_many(&mut arrived, room), if open && room > 0 => {
                open = count > 0;
                waiting.append(&mut arrived);
            }
            () = rings(self.alarm, self.clock), if open && !stale && !evaluating => stale = true,
            () = tokio::time::sleep(SIGN_OF_LIFE) => {}
            }
            if tasks.is_empty() {
                self.progress.within(SIGN_OF_LIFE);
            }
            // Nobody may be evaluated by the old rules once the store knows of the new ones.
            if running == 0
                && let Some(order) = order.take()
            {
                stale |= self.put_in_force(order).await;
            }
            if order.is_none() && tasks.len() < MOST_UNSYNCED && waiting.schedule() {
                running += 1;
                tasks.spawn(self.merge(waiting.clone(), report.clone()));
            }
            if !open && tasks.is_empty() {
                return;
            }
        }
    }

    /// Puts other rules into force, if the store takes them. Returns whether somebody became stale.
    async fn put_in_force(&mut self, Order { rules: new, answer }: Order) -> bool {
        let force = Force { rules: Arc::clone(&new.rules), scopes: Arc::clone(&new.scopes) };
        let adopted = self.store.use_rules(new).await;
        let stale = adopted.as_ref().is_ok_and(|adopted| adopted.evaluates);
        if adopted.is_ok() {
            self.rules = Arc::clone(&force.rules);
            self.scopes = Arc::clone(&force.scopes);
            self.seat.current.send_replace(force);
        }
        // Whoever waited may be gone; the rules are in force all the same.
        let _ = answer.send(adopted);
        stale
    }

    fn set_alarm(&mut self, next: Option<Timestamp>) {
        self.alarm = self.alarm.into_iter().chain(next).min();
    }

    /// Commits the messages that wait when the store comes to it, and has them answered once they are on disk. Returns
    /// false when the disk failed.
    fn merge(&self, waiting: Waiting, report: mpsc::Sender<Report>) -> impl Future<Output = bool> + use<> {
        let taken = Arc::new(Mutex::new(Taken::default()));
        let transaction = Merge {
            waiting: waiting.clone(),
            messages: Vec::new(),
            rules: Arc::clone(&self.rules),
            scopes: Arc::clone(&self.scopes),
            now: self.clock,
            taken: Arc::clone(&taken),
        };
        let (store, queued) = (Arc::clone(&self.store), Arc::clone(&self.queued));
        async move {
            let stored = store.transact(Box::new(transaction)).await;
            let Taken { mut answers, receipts, effect } = std::mem::take(&mut *locked(&taken));
            let Effect { stale, alarm, .. } = if stored.is_ok() { effect } else { Effect::default() };
            // The committer is there as long as its tasks are.
            let _ = report.send(Report::Merged { stale, alarm }).await;
            match stored {
                Ok(durability) => {
                    acknowledge(answers, receipts, durability, effect.queues.then_some(queued)).await
                }
                Err(error) => {
                    // Its turn may never have come.
                    if answers.is_empty() {
                        answers.extend(waiting.take().into_iter().map(|submission| submission.answer));
                    }
                    refuse(answers, &error);
                    true
                }
            }
        }
    }

    /// Evaluates some again who are stale. Returns false when the disk failed.
    fn evaluate(&self, report: mpsc::Sender<Report>) -> impl Future<Output = bool> + use<> {
        let (store, queued, now) = (Arc::clone(&self.store), Arc::clone(&self.queued), (self.clock)());
        let (rules, scopes) = (Arc::clone(&self.rules), Arc::clone(&self.scopes));
        async move {
            let evaluated = async {
                let stale = store.stale(now, MOST_STALE).await?;
                if stale.entities.is_empty() && stale.swept.is_none() {
                    let alarm = store.next_evaluation().await?;
                    return Ok(Report::Evaluated { stale: false, alarm });
                }
                let effect = Arc::new(Mutex::new(Effect::default()));
                let transaction = Evaluate { stale, rules, scopes, now, effect: Arc::clone(&effect) };
                store.transact(Box::new(transaction)).await?.reached().await?;
                let Effect { queues, alarm, .. } = *locked(&effect);
                if queues {
                    queued();
                }
                Ok::<Report, StoreError>(Report::Evaluated { stale: true, alarm })
            };
            let evaluated = evaluated.await.unwrap_or_else(|error| {
                tracing::error!(%error, "users could not be evaluated again; trying again");
                Report::NotEvaluated
            });
            let _ = report.send(evaluated).await;
            true
        }
    }
}

/// What a task says when the store has done its part.
enum Report {
    Merged { stale: bool, alarm: Option<Timestamp> },
    Evaluated { stale: bool, alarm: Option<Timestamp> },
    NotEvaluated,
}

/// What a batch brings about beside what it writes.
#[derive(Clone, Copy, Default)]
struct Effect {
    /// Whether it puts something into the queues.
    queues: bool,
    /// Whether somebody becomes stale by it.
    stale: bool,
    /// When the first of those it writes is to be evaluated again though nothing happens.
    alarm: Option<Timestamp>,
}

impl Effect {
    fn of(batch: &Batch) -> Self {
        let alarms =
            batch.entities.iter().filter(|write| write.rescheduled).filter_map(|write| write.row.evaluate_at);
        Self { queues: batch.queues(), stale: !batch.stale_members_of.is_empty(), alarm: alarms.min() }
    }
}

/// The messages that wait for the store. A transaction that is to take them is handed to it while it works on another,
/// so that it need not wait for the next; which they are is settled when that one's turn comes.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<Waited>>);

#[derive(Default)]
struct Waited {
    submissions: Vec<Submission>,
    scheduled: bool,
}

impl Waiting {
    fn append(&self, arrived: &mut Vec<Submission>) {
        locked(&self.0).submissions.append(arrived);
    }

    fn len(&self) -> usize {
        locked(&self.0).submissions.len()
    }

    /// Whether a transaction is needed that takes them. The next call says so only when that one has taken some.
    fn schedule(&self) -> bool {
        let mut waited = locked(&self.0);
        let needed = !waited.scheduled && !waited.submissions.is_empty();
        waited.scheduled |= needed;
        needed
    }

    fn take(&self) -> Vec<Submission> {
        let mut waited = locked(&self.0);
        waited.scheduled = false;
        std::mem::take(&mut waited.submissions)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What became of the messages of a transaction.
#[derive(Default)]
struct Taken {
    answers: Vec<oneshot::Sender<Result<Receipt, Unavailable>>>,
    receipts: Vec<Result<Receipt, Unavailable>>,
    effect: Effect,
}

/// Merges whatever messages wait when its turn comes: the more there are, the less each costs.
struct Merge {
    waiting: Waiting,
    messages: Vec<Message>,
    rules: Arc<Rules>,
    scopes: Arc<Scopes>,
    now: fn() -> Timestamp,
    taken: Arc<Mutex<Taken>>,
}

impl Transaction for Merge {
    fn wanted(&mut self) -> Wanted {
        let submissions = self.waiting.take().into_iter();
        let (messages, answers) =
            submissions.map(|submission| (submission.message, submission.answer)).unzip();
        self.messages = messages;
        locked(&self.taken).answers = answers;
        wanted(&self.messages)
    }

    fn batch(self: Box<Self>, loaded: Loaded) -> Batch {
        let mut work = Work::new(loaded, &self.rules, &self.scopes, (self.now)());
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
struct Evaluate {
    stale: Stale,
    rules: Arc<Rules>,
    scopes: Arc<Scopes>,
    now: Timestamp,
    effect: Arc<Mutex<Effect>>,
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
        let mut work = Work::new(loaded, &self.rules, &self.scopes, self.now);
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

fn refuse(answers: Vec<oneshot::Sender<Result<Receipt, Unavailable>>>, error: &StoreError) {
    let messages = answers.len();
    tracing::error!(%error, messages, "messages could not be stored; their sender will send them again");
    for answer in answers {
        // Whoever waited may have hung up.
        let _ = answer.send(Err(Unavailable(error.to_string())));
    }
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

/// Waits until somebody may have to be evaluated again though nothing happens.
async fn rings(alarm: Option<Timestamp>, clock: fn() -> Timestamp) {
    let Some(alarm) = alarm else { return std::future::pending().await };
    let left = Duration::try_from(alarm.duration_since(clock())).unwrap_or_default();
    // A clock that people set is looked at once in a while.
    tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
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
    scopes: &'r Scopes,
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
    fn new(loaded: Loaded, rules: &'r Rules, scopes: &'r Scopes, now: Timestamp) -> Self {
        Self {
            loaded,
            rules,
            scopes,
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
                    batch.entities.extend(worth_writing(write));
                }
                Entity::User(id) => {
                    let state = self.loaded.directory.users.remove(id).unwrap_or_default();
                    batch.entities.extend(worth_writing(self.user(id, state, event)));
                }
            }
        }
        batch.connections = std::mem::take(&mut self.loaded.directory.connections).into_iter().collect();
        batch
    }

    fn group(&mut self, id: &GroupId, state: &GroupState, event: Option<EventId>) -> EntityWrite {
        let document = desired::group(id, state).map(Document::Group);
        let mut withheld = Withholding::default();
        for (sink, _) in self.scopes.iter().filter(|(_, scope)| !desired::gets_group(scope, id, state)) {
            withheld.entity(sink);
        }
        let wanted = Outlook { withheld, ..Outlook::default() };
        self.write(
            Entity::Group(id.clone()),
            EntityState::Group(state.clone()),
            document.as_ref(),
            wanted,
            Vec::new(),
            event,
        )
    }

    fn user(&mut self, id: &UserId, mut state: UserState, event: Option<EventId>) -> EntityWrite {
        let groups = &self.loaded.directory.groups;
        state.drop_void_edges(|group| groups.get(group));
        let outlook = self.outlook(id, &state);
        let document = desired::user(id, &state, groups, outlook.roles.clone())
            .map(|user| Document::User(Box::new(user)));
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
            outlook,
            memberships,
            event,
        )
    }

    /// What rules and scopes say of a user.
    fn outlook(&self, id: &UserId, state: &UserState) -> Outlook {
        let groups = &self.loaded.directory.groups;
        let Decision { roles, separated, mut next } = desired::decide(state, groups, self.rules, self.now);
        if separated {
            tracing::warn!(user = %id, "granted roles that no one may hold together: `rolecall explain` says which");
        }
        let mut withheld = Withholding::default();
        for (sink, scope) in self.scopes.iter() {
            let (in_scope, then) = desired::gets_user(scope, state, groups, self.now);
            next = next.into_iter().chain(then).min();
            if !in_scope {
                withheld.entity(sink);
                continue;
            }
            let given = |m: &desired::Membership<'_>| desired::gets_group(scope, m.id, m.group);
            for membership in desired::memberships(state, groups).filter(|m| !given(m)) {
                withheld.group(sink, membership.id);
            }
        }
        Outlook { roles, withheld, evaluate_at: next }
    }

    fn write(
        &mut self,
        entity: Entity,
        state: EntityState,
        document: Option<&Document>,
        Outlook { roles, withheld, evaluate_at }: Outlook,
        memberships: Vec<MembershipChange>,
        event: Option<EventId>,
    ) -> EntityWrite {
        let before = self.loaded.rows.remove(&entity).unwrap_or_default();
        let digest = document.map(|document| desired::digest_withholding(document, &withheld));
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
                evaluate_at,
            },
            was: before.status,
            rescheduled: before.evaluate_at != evaluate_at,
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

/// What rules and scopes say of an entity.
#[derive(Default)]
struct Outlook {
    roles: BTreeSet<RoleName>,
    /// What some sinks are not given.
    withheld: Withholding,
    /// When to ask again though nothing happens.
    evaluate_at: Option<Timestamp>,
}

/// The write, unless it would change nothing: other rules say the same of most.
fn worth_writing(write: EntityWrite) -> Option<EntityWrite> {
    let nothing = write.event.is_none()
        && write.enqueue.is_none()
        && write.memberships.is_empty()
        && !write.rescheduled
        && write.row.key.is_some();
    (!nothing).then_some(write)
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
    use tokio::task::JoinHandle;

    use super::*;

    type Sync = oneshot::Sender<Result<(), StoreError>>;
    type Answer = oneshot::Receiver<Result<Receipt, Unavailable>>;

    fn acknowledging() -> (Sync, Answer, JoinHandle<bool>) {
        let (answer, receipt) = oneshot::channel();
        let (sync, durability) = Durability::pending();
        let acknowledged =
            tokio::spawn(acknowledge(vec![answer], vec![Ok(Receipt::Committed)], durability, None));
        (sync, receipt, acknowledged)
    }

    #[tokio::test]
    async fn nothing_is_acknowledged_before_it_is_on_disk() {
        let (sync, mut receipt, acknowledged) = acknowledging();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(receipt.try_recv().is_err());
        sync.send(Ok(())).unwrap();
        assert_eq!(receipt.await.unwrap(), Ok(Receipt::Committed));
        assert!(acknowledged.await.unwrap());
    }

    #[tokio::test]
    async fn what_the_disk_did_not_take_is_not_acknowledged_and_ends_the_work() {
        let (sync, receipt, acknowledged) = acknowledging();
        sync.send(Err(StoreError::Failed("EIO".into()))).unwrap();
        assert!(receipt.await.unwrap().is_err());
        assert!(!acknowledged.await.unwrap());
    }
}
