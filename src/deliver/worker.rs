//! One sink's worker: takes what is due, hands it to the sink, and settles what became of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use rolecall_sink_api::{Attempted, Change, Entity, Outcome, Sink, SinkDown, SinkName};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_retry::strategy::{ExponentialBackoff, jitter};
use tokio_util::sync::CancellationToken;

use super::config::{DeliveryConfig, SafeguardConfig};
use super::metrics::DeliveryMetrics;
use super::schedule;
use super::status::{Breaker, DeliveryStatus, SharedStatus};
use super::trace;
use crate::progress::Progress;
use crate::store::{Due, Resolution, Settlement, Store, StoreError};
use crate::traces::Traces;

/// The longest sleep: a clock that jumped is noticed after this.
const MAX_SLEEP: Duration = Duration::from_secs(60);
/// The shortest: what is due and not handed out waits for something else that is under way.
const MIN_SLEEP: Duration = Duration::from_millis(50);
/// How long to wait after the store failed before a delivery.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 2000;

pub(super) struct Worker {
    pub(super) name: SinkName,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) store: Arc<dyn Store>,
    pub(super) config: DeliveryConfig,
    /// How much may be withdrawn before a person is asked.
    pub(super) safeguard: Option<SafeguardConfig>,
    /// The most changes handed to the sink at once.
    pub(super) batch: u32,
    pub(super) clock: fn() -> Timestamp,
    pub(super) status: SharedStatus,
    pub(super) progress: Progress,
    pub(super) metrics: DeliveryMetrics,
    pub(super) traces: Traces,
    /// Something may be due.
    pub(super) wake: Arc<Notify>,
    /// Somebody wants to know now whether the sink is back.
    pub(super) probe: Arc<Notify>,
}

/// How the sink fared lately, and what follows from it.
struct Trouble {
    /// How often it was found to be down since it last confirmed anything.
    failures: u32,
    /// When it is asked again. No clock that people set: one that is put back must not silence a sink for as long.
    probe_at: Instant,
    /// How many changes it gets at once: half as many after it went down on a batch, which may just have been too
    /// much for it, and slowly more while all goes well.
    batch: u32,
    /// Whether it confirmed anything since it last went down on a single change.
    confirmed: bool,
    /// The change on which it went down alone: others get their turn first, until one is confirmed.
    suspect: Option<Entity>,
}

/// How one handing-over to the sink ended.
pub(super) enum Delivered {
    /// One outcome per change.
    Outcomes(Vec<Outcome>),
    /// The sink is down.
    Down(SinkDown),
    /// The sink's code panicked.
    Panicked,
}

impl Worker {
    /// Delivers until `stop` is cancelled, and then no further than the batch in hand; closes the sink.
    pub(super) async fn run(self, stop: CancellationToken) {
        let batch = self.batch;
        let mut trouble =
            Trouble { failures: 0, probe_at: Instant::now(), batch, confirmed: false, suspect: None };
        while !stop.is_cancelled() {
            // The store is asked, which takes no time to speak of.
            self.progress.within(Duration::ZERO);
            let step = self.step(&mut trouble, &stop).await;
            if let Err(error) = step {
                tracing::error!(sink = %self.name, %error, "the store fails; deliveries wait");
                self.pause(PAUSE_AFTER_FAILURE, &stop).await;
            }
        }
        if tokio::time::timeout(self.config.batch_timeout.get(), self.sink.close()).await.is_err() {
            tracing::warn!(sink = %self.name, "the sink took too long to close");
        }
    }

    async fn step(&self, trouble: &mut Trouble, stop: &CancellationToken) -> Result<(), StoreError> {
        let DeliveryStatus { breaker, paused, .. } = self.status.get();
        if paused.is_some() {
            self.pause(MAX_SLEEP, stop).await;
            return Ok(());
        }
        if let Breaker::Open { since, .. } = breaker {
            self.progress.within(trouble.probe_at.saturating_duration_since(Instant::now()));
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.probe.notified() => {}
                () = tokio::time::sleep_until(trouble.probe_at) => {}
            }
            self.ask(since, trouble, stop).await;
            return Ok(());
        }
        let batch = self.take(trouble).await?;
        // Whoever paused it meanwhile was told that it is handed nothing more.
        if self.status.get().paused.is_some() {
            return Ok(());
        }
        if batch.is_empty() {
            let next = self.store.next_due(&self.name).await?;
            self.pause(next.map_or(MAX_SLEEP, |next| self.until(next).max(MIN_SLEEP)), stop).await;
            return Ok(());
        }
        let (concern_it, others): (Vec<Due>, Vec<Due>) = batch.into_iter().partition(Due::concerns_the_sink);
        self.pass_over(others).await?;
        let changes = self.guard(concern_it).await?;
        if !changes.is_empty() {
            self.note(&changes).await?;
            self.deliver(changes, trouble, stop).await;
        }
        Ok(())
    }

    /// Takes out of the queue what is not in the sink's scope and never was: the sink need not hear of it.
    async fn pass_over(&self, others: Vec<Due>) -> Result<(), StoreError> {
        let settlements = others.into_iter().map(|Due { change, .. }| Settlement {
            entity: change.entity,
            generation: change.generation,
            attempts: 0,
            resolution: Resolution::OutOfScope,
        });
        let settlements: Vec<Settlement> = settlements.collect();
        if settlements.is_empty() {
            return Ok(());
        }
        self.store.settle(&self.name, settlements, (self.clock)()).await.map(drop)
    }

    /// The changes whose turn it is. The one on which the sink went down alone lets another go first, however long it has
    /// waited: only when that goes through is it known which of the two is to blame, the change or the sink.
    async fn take(&self, trouble: &Trouble) -> Result<Vec<Due>, StoreError> {
        let one_more = u32::from(trouble.suspect.is_some());
        let mut batch = self.store.due(&self.name, (self.clock)(), trouble.batch + one_more).await?;
        if batch.len() > 1 {
            batch.retain(|due| Some(&due.change.entity) != trouble.suspect.as_ref());
        }
        batch.truncate(trouble.batch as usize);
        Ok(batch)
    }

    /// Notes what a sink that does not read its target is about to be handed: if it is never confirmed, a later
    /// change must still take it back. The same again is noted already.
    async fn note(&self, changes: &[Change]) -> Result<(), StoreError> {
        if self.sink.reads_target() {
            return Ok(());
        }
        let attempts: Vec<Attempted> = changes
            .iter()
            .map(|change| (Attempted::by(change), &change.attempted))
            .filter(|(after, before)| after != *before)
            .filter_map(|(after, _)| after)
            .collect();
        if attempts.is_empty() { Ok(()) } else { self.store.attempting(&self.name, attempts).await }
    }

    /// Sleeps, at most for `duration`; a wake-up ends it.
    async fn pause(&self, duration: Duration, stop: &CancellationToken) {
        let duration = duration.min(MAX_SLEEP);
        self.progress.within(duration);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(duration) => {}
            () = self.wake.notified() => {}
        }
    }

    fn until(&self, time: Timestamp) -> Duration {
        Duration::try_from(time.duration_since((self.clock)())).unwrap_or(Duration::ZERO)
    }

    /// Probes a sink that is down.
    async fn ask(&self, since: Timestamp, trouble: &mut Trouble, stop: &CancellationToken) {
        self.progress.within(self.config.batch_timeout.get());
        let probe = AssertUnwindSafe(self.sink.probe()).catch_unwind();
        let answer = tokio::select! {
            () = stop.cancelled() => return,
            answer = tokio::time::timeout(self.config.batch_timeout.get(), probe) => answer,
        };
        match answer {
            Ok(Ok(Ok(()))) => {
                tracing::info!(sink = %self.name, %since, "the sink is back; deliveries go on");
                self.status.update(|status| status.breaker = Breaker::Closed);
            }
            Ok(Ok(Err(down))) => self.open(down, trouble),
            Ok(Err(_)) => self.open(SinkDown::new("the sink panicked when it was probed: a bug"), trouble),
            Err(_) => self.open(SinkDown::new(self.too_slow("a probe")), trouble),
        }
    }

    fn too_slow(&self, what: &str) -> String {
        format!("{what} took longer than batch_timeout ({}) and was given up", self.config.batch_timeout)
    }

    fn open(&self, down: SinkDown, trouble: &mut Trouble) {
        trouble.failures = trouble.failures.saturating_add(1);
        let config = &self.config;
        let ceiling = config.max_probe_interval.get();
        let wait =
            schedule::wait(trouble.failures, config.initial_backoff.get().min(ceiling), ceiling, down.after);
        trouble.probe_at = Instant::now() + wait;
        let now = (self.clock)();
        let reason = bounded(&down.reason);
        let next_probe = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        self.status.update(|status| {
            let since = match &status.breaker {
                Breaker::Open { since, .. } => *since,
                Breaker::Closed => {
                    tracing::warn!(sink = %self.name, %reason, "the sink is down; deliveries wait");
                    now
                }
            };
            status.breaker = Breaker::Open { since, reason, next_probe };
        });
    }

    async fn deliver(&self, changes: Vec<Change>, trouble: &mut Trouble, stop: &CancellationToken) {
        self.status.update(|status| status.in_flight = changes.len() as u64);
        let began = (self.clock)();
        match self.apply(&changes).await {
            Delivered::Outcomes(outcomes) => {
                trouble.failures = 0;
                trouble.batch = (trouble.batch + trouble.batch.div_ceil(8)).min(self.batch);
                trouble.confirmed |=
                    outcomes.iter().any(|outcome| matches!(outcome, Outcome::Applied { .. }));
                if trouble.confirmed {
                    trouble.suspect = None;
                }
                self.settle(changes, outcomes, began, stop).await;
            }
            Delivered::Down(down) => self.went_down(changes, down, trouble, stop).await,
            // Whichever change does it, the others must not suffer: one at a time.
            Delivered::Panicked => {
                for change in changes {
                    if stop.is_cancelled() {
                        break;
                    }
                    let began = (self.clock)();
                    match self.apply(std::slice::from_ref(&change)).await {
                        Delivered::Outcomes(outcomes) => {
                            self.settle(vec![change], outcomes, began, stop).await;
                        }
                        Delivered::Panicked => {
                            let outcome = Outcome::retry("the sink panicked on this change: a bug");
                            self.settle(vec![change], vec![outcome], began, stop).await;
                        }
                        Delivered::Down(down) => {
                            self.open(down, trouble);
                            break;
                        }
                    }
                }
            }
        }
        self.status.update(|status| status.in_flight = 0);
    }

    /// The sink went down on these changes. When it is one change alone, and a probe had found the sink well, others
    /// get their turn first; and when those go through, it is the change that fails.
    async fn went_down(
        &self,
        changes: Vec<Change>,
        down: SinkDown,
        trouble: &mut Trouble,
        stop: &CancellationToken,
    ) {
        let was_well = trouble.failures > 0;
        trouble.batch = (trouble.batch.min(self.batch) / 2).max(1);
        if let [_] = changes[..]
            && was_well
        {
            // While nothing goes through the sink is to blame, and no attempt is counted.
            let after = (!trouble.confirmed).then(|| self.config.initial_backoff.get());
            trouble.confirmed = false;
            trouble.suspect = changes.first().map(|change| change.entity.clone());
            let reason = format!("the sink went down on this change alone: {}", down.reason);
            self.settle(changes, vec![Outcome::retry_after(reason, after)], (self.clock)(), stop).await;
        }
        self.open(down, trouble);
    }

    pub(super) async fn apply(&self, changes: &[Change]) -> Delivered {
        self.progress.within(self.config.batch_timeout.get());
        let began = Instant::now();
        let apply = AssertUnwindSafe(self.sink.apply(changes)).catch_unwind();
        let applied = tokio::time::timeout(self.config.batch_timeout.get(), apply).await;
        self.metrics.apply.time(began.elapsed());
        match applied {
            Ok(Ok(Ok(outcomes))) if outcomes.len() == changes.len() => Delivered::Outcomes(outcomes),
            Ok(Ok(Ok(outcomes))) => Delivered::Down(SinkDown::new(format!(
                "the sink answered {} changes with {} outcomes: a bug",
                changes.len(),
                outcomes.len()
            ))),
            Ok(Ok(Err(down))) => Delivered::Down(down),
            Ok(Err(_)) => Delivered::Panicked,
            Err(_) => Delivered::Down(SinkDown::new(self.too_slow("a batch"))),
        }
    }

    /// Has the losses of what is given up go through, and notes the outcomes. Repeats that until the store takes them or the
    /// daemon stops; then the changes come again.
    async fn settle(
        &self,
        changes: Vec<Change>,
        outcomes: Vec<Outcome>,
        began: Timestamp,
        stop: &CancellationToken,
    ) {
        let outcomes = self.take_away(&changes, outcomes).await;
        let now = (self.clock)();
        let settlements: Vec<Settlement> = changes
            .into_iter()
            .zip(outcomes)
            .map(|(change, outcome)| Settlement {
                entity: change.entity.clone(),
                generation: change.generation,
                attempts: attempts(&change, &outcome),
                resolution: self.resolution(change, outcome, now),
            })
            .collect();
        self.count(&settlements, now);
        self.progress.within(Duration::ZERO);
        let mut waits =
            ExponentialBackoff::from_millis(2).factor(50).max_delay(Duration::from_secs(10)).map(jitter);
        loop {
            let error = match self.store.settle(&self.name, settlements.clone(), now).await {
                Ok(settled) => {
                    self.metrics.waited(&settlements, &settled, now);
                    let (traces, name, during) = (&self.traces, &self.name, (began, now));
                    trace::applied(traces, name, &settlements, &settled, during);
                    return trace::overtaken(traces, &*self.store, name, &settlements, &settled, during)
                        .await;
                }
                Err(error) => error,
            };
            if stop.is_cancelled() {
                tracing::warn!(sink = %self.name, %error, "outcomes are not stored; their changes come again");
                return;
            }
            tracing::error!(sink = %self.name, %error, "outcomes cannot be stored; trying again");
            let wait = waits.next().unwrap_or(PAUSE_AFTER_FAILURE);
            self.progress.within(wait);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    fn resolution(&self, change: Change, outcome: Outcome, now: Timestamp) -> Resolution {
        match outcome {
            Outcome::Applied { remote, action, again } => Resolution::Applied {
                document: change.desired,
                remote,
                action,
                again: again.map(|wait| now.saturating_add(wait.max(MIN_SLEEP)).unwrap_or(Timestamp::MAX)),
            },
            Outcome::Reject { reason } => Resolution::Dead { reason: bounded(&reason), remote: None },
            Outcome::Retry { reason, after: None, remote } if change.attempt >= self.config.max_attempts => {
                let reason = format!("gave up after {} attempts: {reason}", change.attempt);
                Resolution::Dead { reason: bounded(&reason), remote }
            }
            Outcome::Retry { reason, after, remote } => {
                let (initial, max) = (self.config.initial_backoff.get(), self.config.max_backoff.get());
                let wait = schedule::wait(change.attempt, initial, max, after);
                Resolution::Retry {
                    reason: bounded(&reason),
                    due: now.saturating_add(wait).unwrap_or(Timestamp::MAX),
                    remote,
                }
            }
        }
    }

    fn count(&self, settlements: &[Settlement], now: Timestamp) {
        self.metrics.count(settlements);
        for settlement in settlements {
            match &settlement.resolution {
                Resolution::Applied { .. } => self.status.applied(now),
                Resolution::OutOfScope => {}
                Resolution::Retry { .. } => self.status.update(|status| status.retried += 1),
                Resolution::Dead { reason, .. } => {
                    self.status.update(|status| status.dead += 1);
                    tracing::warn!(
                        sink = %self.name, entity = %settlement.entity,
                        "dead letter: `rolecall queue list --dead` says why"
                    );
                    tracing::debug!(sink = %self.name, entity = %settlement.entity, %reason, "dead letter");
                }
            }
        }
    }
}

/// How many attempts are counted after this one. That the target named a time is no failure of the change: a rate
/// limit makes no dead letters.
fn attempts(change: &Change, outcome: &Outcome) -> u32 {
    match outcome {
        Outcome::Retry { after: Some(_), .. } => change.attempt - 1,
        _ => change.attempt,
    }
}

/// A reason as it is kept and shown: of bounded length, and without control characters, which a target may send
/// and a terminal would obey.
pub(super) fn bounded(reason: &str) -> String {
    let mut chars = reason.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut text: String = chars.by_ref().take(MAX_REASON).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}
