//! The daemon's part, in small: what should be true, what was confirmed, and deliveries as the contract
//! promises them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::TryStreamExt as _;

use super::report::{Step, Stop, ensure};
use super::target::{Capabilities, Target};
use crate::{Attempted, Change, Document, Entity, Group, Observed, Outcome, RemoteId, Sink, SinkDown, User};

/// A sink bounds its own time; one call that takes longer than this, and than [`PER_CHANGE`], does not.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much longer a call may take for each of its changes: 10,000 have as long as `delivery.batch_timeout` gives them.
const PER_CHANGE: Duration = Duration::from_millis(24);
/// How often a change is tried before the suite calls it stuck.
pub(super) const MAX_ATTEMPTS: u32 = 8;
/// The longest wait before another attempt: a test target has no reason to ask for more.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// A greater generation than `last`, and than those of every case before: a target that keeps its deleted rows may
/// remember them.
fn generation_after(last: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or_default().max(last + 1)
}

/// What the daemon's store would know of one entity.
#[derive(Clone, Default)]
pub(super) struct Entry {
    pub(super) desired: Option<Document>,
    pub(super) applied: Option<Document>,
    attempted: Option<Attempted>,
    pub(super) remote: Option<RemoteId>,
    /// Something was sent whose outcome is not known, or was refused: the target may hold anything of it.
    pub(super) uncertain: bool,
    /// The user had access in the target at some time; until then an inactive one need not be there.
    pub(super) had_access: bool,
    generation: u64,
    attempt: u32,
}

pub(super) struct Daemon<'t> {
    pub(super) target: &'t dyn Target,
    sink: Option<Box<dyn Sink>>,
    pub(super) book: BTreeMap<Entity, Entry>,
}

impl<'t> Daemon<'t> {
    /// On an emptied target, with nothing in the book.
    pub(super) async fn start(target: &'t dyn Target) -> Step<Self> {
        target.empty().await?;
        let sink = Some(target.sink().await?);
        Ok(Self { target, sink, book: BTreeMap::new() })
    }

    /// The daemon ends and starts again: the sink is new, what was confirmed is still known.
    pub(super) async fn restart(&mut self) -> Step {
        self.sink = None;
        self.sink = Some(self.target.sink().await?);
        Ok(())
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        self.target.capabilities()
    }

    pub(super) fn sink(&self) -> Step<&dyn Sink> {
        self.sink.as_deref().ok_or_else(|| Stop::failed("the sink could not be made again after a restart"))
    }

    pub(super) fn want_user(&mut self, user: User) -> Entity {
        let document = Document::User(Box::new(user));
        self.want(document.entity(), Some(document))
    }

    pub(super) fn want_group(&mut self, group: Group) -> Entity {
        let document = Document::Group(group);
        self.want(document.entity(), Some(document))
    }

    pub(super) fn want_gone(&mut self, entity: Entity) -> Entity {
        self.want(entity, None)
    }

    fn want(&mut self, entity: Entity, desired: Option<Document>) -> Entity {
        let entry = self.book.entry(entity.clone()).or_default();
        entry.desired = desired;
        entry.generation = generation_after(entry.generation);
        entry.attempt = 0;
        entity
    }

    /// The daemon loses what it knew of `entity`, as when it died before it could note the first outcome.
    pub(super) fn lose_confirmation(&mut self, entity: &Entity) {
        let reads = self.sink_reads();
        if let Some(entry) = self.book.get_mut(entity) {
            let lost = entry.applied.take().filter(|_| !reads);
            entry.attempted = lost.map(Attempted::of).or(entry.attempted.take());
            entry.remote = None;
            entry.uncertain = true;
        }
    }

    /// Everything that is not as it should be, as far as the book knows.
    pub(super) fn due(&self) -> Vec<Entity> {
        let due = |entry: &Entry| entry.uncertain || entry.desired != entry.applied;
        self.book.iter().filter(|(_, entry)| due(entry)).map(|(entity, _)| entity.clone()).collect()
    }

    /// Delivers until every change is applied; a refusal fails the case.
    pub(super) async fn deliver(&mut self, entities: &[Entity]) -> Step<BTreeMap<Entity, Outcome>> {
        let outcomes = self.settle(entities).await?;
        for (entity, outcome) in &outcomes {
            if let Outcome::Reject { reason } = outcome {
                return Err(Stop::failed(format!("{entity} was rejected: {reason}")));
            }
        }
        Ok(outcomes)
    }

    /// Delivers until every change is applied or rejected, trying again what the sink wants tried again.
    pub(super) async fn settle(&mut self, entities: &[Entity]) -> Step<BTreeMap<Entity, Outcome>> {
        let mut outcomes = BTreeMap::new();
        let mut waiting: Vec<Entity> = entities.to_vec();
        while !waiting.is_empty() {
            let batch = self.attempt(&waiting).await?;
            waiting.clear();
            let mut pause = Duration::ZERO;
            for (entity, outcome) in batch {
                if let Outcome::Retry { reason, after, .. } = &outcome {
                    let attempt = self.book.get(&entity).map_or(0, |entry| entry.attempt);
                    ensure(attempt < MAX_ATTEMPTS, || {
                        format!("{entity} is still to be tried again after {attempt} attempts: {reason}")
                    })?;
                    let backoff = Duration::from_millis(10 << attempt.min(8));
                    pause = pause.max(after.unwrap_or(backoff).min(LONGEST_WAIT));
                    waiting.push(entity);
                } else {
                    outcomes.insert(entity, outcome);
                }
            }
            if !waiting.is_empty() {
                tokio::time::sleep(pause).await;
            }
        }
        Ok(outcomes)
    }

    /// One batch, once; what is confirmed is noted.
    pub(super) async fn attempt(&mut self, entities: &[Entity]) -> Step<Vec<(Entity, Outcome)>> {
        let changes = self.batch(entities);
        let outcomes = self
            .apply(&changes)
            .await?
            .map_err(|down| Stop::failed(format!("the sink said it is down: {down}")))?;
        ensure(outcomes.len() == changes.len(), || {
            format!("{} changes were answered with {} outcomes", changes.len(), outcomes.len())
        })?;
        for (change, outcome) in changes.iter().zip(&outcomes) {
            self.note(change, outcome);
        }
        Ok(changes.into_iter().map(|change| change.entity).zip(outcomes).collect())
    }

    /// One batch whose outcomes are lost, as when the daemon dies before it notes them.
    pub(super) async fn attempt_unnoted(&mut self, entities: &[Entity]) -> Step {
        let changes = self.batch(entities);
        self.doubt(entities);
        let outcomes = self.apply(&changes).await?;
        outcomes.map(drop).map_err(|down| Stop::failed(format!("the sink said it is down: {down}")))
    }

    /// One batch that is cut off after the call was polled `polls` times; `false` when it had ended by then.
    pub(super) async fn cut_off(&mut self, entities: &[Entity], polls: usize) -> Step<bool> {
        let changes = self.batch(entities);
        self.doubt(entities);
        let mut call = Box::pin(self.apply(&changes));
        let mut left = polls;
        let ended = std::future::poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(false);
            }
            left -= 1;
            match call.as_mut().poll(context) {
                Poll::Ready(_) => Poll::Ready(true),
                Poll::Pending if left == 0 => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        Ok(!ended)
    }

    /// One call of the sink with the batch as it is, bounded in time.
    pub(super) async fn apply(&self, changes: &[Change]) -> Step<Result<Vec<Outcome>, SinkDown>> {
        let sink = self.sink()?;
        let patience = PATIENCE + PER_CHANGE * u32::try_from(changes.len()).unwrap_or(u32::MAX);
        tokio::time::timeout(patience, sink.apply(changes))
            .await
            .map_err(|_| Stop::failed(format!("apply did not come back within {} s", patience.as_secs())))
    }

    /// What the sink itself reads from the target; `None` where it cannot.
    pub(super) async fn observe(&self) -> Step<Option<Vec<Observed>>> {
        let Some(stream) = self.sink()?.observe() else { return Ok(None) };
        let all = tokio::time::timeout(PATIENCE, stream.try_collect::<Vec<_>>())
            .await
            .map_err(|_| Stop::failed(format!("observe did not end within {} s", PATIENCE.as_secs())))?;
        all.map(Some).map_err(|down| Stop::failed(format!("observe said the sink is down: {down}")))
    }

    /// The changes for `entities` in the contract's order: leavers, groups that should exist, users, groups
    /// that must go. Each counts as one more attempt, and is noted as such for a sink that cannot see what became
    /// of it.
    pub(super) fn batch(&mut self, entities: &[Entity]) -> Vec<Change> {
        let reads = self.sink_reads();
        let mut changes: Vec<Change> = Vec::with_capacity(entities.len());
        for entity in entities.iter().collect::<BTreeSet<_>>() {
            let entry = self.book.entry(entity.clone()).or_default();
            entry.attempt += 1;
            let change = Change {
                entity: entity.clone(),
                desired: entry.desired.clone(),
                applied: entry.applied.clone(),
                attempted: entry.attempted.clone(),
                remote: entry.attempted.as_ref().and_then(|a| a.remote.clone()).or(entry.remote.clone()),
                generation: entry.generation,
                idempotency_key: format!("conformance/{entity}/{}", entry.generation),
                attempt: entry.attempt,
            };
            if !reads {
                entry.attempted = Attempted::by(&change);
            }
            changes.push(change);
        }
        changes.sort_by_key(|change| match (&change.entity, &change.desired) {
            (Entity::User(_), None) => 0,
            (Entity::User(_), Some(document)) => {
                if document.as_user().is_some_and(|user| user.active) {
                    2
                } else {
                    0
                }
            }
            (Entity::Group(_), Some(_)) => 1,
            (Entity::Group(_), None) => 3,
        });
        changes
    }

    fn note(&mut self, change: &Change, outcome: &Outcome) {
        let Some(entry) = self.book.get_mut(&change.entity) else { return };
        match outcome {
            Outcome::Applied { remote, .. } => {
                entry.applied.clone_from(&change.desired);
                entry.attempted = None;
                if remote.is_some() || change.desired.is_some() {
                    entry.remote.clone_from(remote);
                }
                entry.uncertain = false;
                entry.had_access = match change.desired.as_ref() {
                    Some(Document::User(user)) => entry.had_access || user.active,
                    Some(Document::Group(_)) | None => false,
                };
            }
            Outcome::Retry { remote, .. } => {
                entry.uncertain = true;
                if let (Some(attempted), Some(_)) = (&mut entry.attempted, remote) {
                    attempted.remote.clone_from(remote);
                }
            }
            Outcome::Reject { .. } => entry.uncertain = true,
        }
    }

    fn sink_reads(&self) -> bool {
        self.sink.as_deref().is_some_and(Sink::reads_target)
    }

    fn doubt(&mut self, entities: &[Entity]) {
        for entity in entities {
            if let Some(entry) = self.book.get_mut(entity) {
                entry.uncertain = true;
            }
        }
    }
}
