//! The committer: the only one who changes the directory.
//!
//! It takes the messages that arrived while the store was busy with the last batch, merges them with what is stored,
//! evaluates everybody they touch, and writes the result, all in one transaction on the store's own thread. While that
//! is synced, the next one is under way. Between batches it evaluates those whom a changed group, changed rules or the time
//! made stale.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::clock::ClockWatch;
use super::in_force::{Force, Order, Seat};
use super::metrics::CommitMetrics;
use super::refusals::Refusals;
use super::transaction::{Effect, Evaluate, Merge, Taken, Waiting, locked};
use super::{Durability, Receipt, RulesInForce, Store, StoreError, Submission, Unavailable};
use crate::progress::Progress;
use crate::rules::{Rules, Scopes};

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
    refusals: Arc<Refusals>,
    metrics: CommitMetrics,
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
            refusals: Arc::default(),
            metrics: CommitMetrics::new(),
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

    /// How commits go, from the start on.
    pub fn metrics(&self) -> CommitMetrics {
        self.metrics.clone()
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
        let mut watch = ClockWatch::new((self.clock)(), std::time::Instant::now());
        let mut noted = Instant::now();
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
            if let Some(step) = watch.look((self.clock)(), std::time::Instant::now()) {
                say_that_the_clock_was_set(step);
                stale = true;
            } else if noted.elapsed() >= LONGEST_SLEEP {
                stale = true;
            }
            if stale {
                noted = Instant::now();
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
            if !open && running == 0 && tasks.is_empty() {
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
        let refusals = Arc::clone(&self.refusals);
        let metrics = self.metrics.clone();
        async move {
            let stored = store.transact(Box::new(transaction)).await;
            let Taken { mut answers, receipts, effect, began } = std::mem::take(&mut *locked(&taken));
            let Effect { stale, alarm, roles, .. } = if stored.is_ok() { effect } else { Effect::default() };
            // The committer is there as long as its tasks are.
            let _ = report.send(Report::Merged { stale, alarm }).await;
            match stored {
                Ok(durability) => {
                    refusals.over();
                    metrics.count(roles);
                    metrics.messages.size(answers.len());
                    began.inspect(|began| metrics.commit.time(began.elapsed()));
                    let committed = Instant::now();
                    let queued = effect.queues.then_some(queued);
                    let synced = acknowledge(answers, receipts, durability, queued).await;
                    metrics.sync.time(committed.elapsed());
                    synced
                }
                Err(error) => {
                    // Its turn may never have come.
                    if answers.is_empty() {
                        answers.extend(waiting.take().into_iter().map(|submission| submission.answer));
                    }
                    refusals.add(&error, answers.len());
                    refuse(answers, &error);
                    !error.is_final()
                }
            }
        }
    }

    /// Evaluates some again who are stale. Returns false when the disk failed.
    fn evaluate(&self, report: mpsc::Sender<Report>) -> impl Future<Output = bool> + use<> {
        let (store, queued, now) = (Arc::clone(&self.store), Arc::clone(&self.queued), (self.clock)());
        let (rules, scopes) = (Arc::clone(&self.rules), Arc::clone(&self.scopes));
        let metrics = self.metrics.clone();
        async move {
            let evaluated = async {
                if let Some(back) = store.note_time(now).await? {
                    tracing::warn!(
                        seconds = back.as_secs(),
                        "the clock was ahead, and went back: everybody is evaluated again, and what waited for another attempt is due"
                    );
                    queued();
                }
                let stale = store.stale(now, MOST_STALE).await?;
                if stale.entities.is_empty() && stale.swept.is_none() {
                    let alarm = store.next_evaluation().await?;
                    return Ok(Report::Evaluated { stale: false, alarm });
                }
                let effect = Arc::new(Mutex::new(Effect::default()));
                let transaction = Evaluate { stale, rules, scopes, now, effect: Arc::clone(&effect) };
                store.transact(Box::new(transaction)).await?.reached().await?;
                let Effect { queues, alarm, roles, .. } = *locked(&effect);
                metrics.count(roles);
                if queues {
                    queued();
                }
                Ok::<Report, StoreError>(Report::Evaluated { stale: true, alarm })
            };
            let (evaluated, goes_on) = match evaluated.await {
                Ok(evaluated) => (evaluated, true),
                Err(error) => {
                    tracing::error!(%error, "users could not be evaluated again");
                    (Report::NotEvaluated, !error.is_final())
                }
            };
            let _ = report.send(evaluated).await;
            goes_on
        }
    }
}

fn say_that_the_clock_was_set(step: SignedDuration) {
    let (seconds, way) = (step.abs().as_secs(), if step.is_negative() { "back" } else { "forward" });
    tracing::warn!(
        seconds,
        "the clock went {way}, or this process stood still: if it is wrong now, signatures are refused as too old or too new, \
         and what depends on the time happens at the wrong one"
    );
}

/// What a task says when the store has done its part.
enum Report {
    Merged { stale: bool, alarm: Option<Timestamp> },
    Evaluated { stale: bool, alarm: Option<Timestamp> },
    NotEvaluated,
}

fn refuse(answers: Vec<oneshot::Sender<Result<Receipt, Unavailable>>>, error: &StoreError) {
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
