//! One sink's worker: takes what is due, hands it to the sink, and settles what became of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use rolecall_sink_api::{Change, Outcome, Sink, SinkDown, SinkName};
use tokio::sync::Notify;
use tokio_retry::strategy::{ExponentialBackoff, jitter};
use tokio_util::sync::CancellationToken;

use super::config::DeliveryConfig;
use super::schedule;
use super::status::{Breaker, SharedStatus};
use crate::store::{Due, Resolution, Settlement, Store, StoreError};

/// The longest sleep: a clock that jumped is noticed after this.
const MAX_SLEEP: Duration = Duration::from_secs(60);
/// How long to wait after the store failed to say what is due.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 2000;

pub(super) struct Worker {
    pub(super) name: SinkName,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) store: Arc<dyn Store>,
    pub(super) config: DeliveryConfig,
    pub(super) clock: fn() -> Timestamp,
    pub(super) status: SharedStatus,
    pub(super) wake: Arc<Notify>,
}

/// How one handing-over to the sink ended.
enum Delivered {
    /// One outcome per change.
    Outcomes(Vec<Outcome>),
    /// The sink is down.
    Down(SinkDown),
    /// The sink's code panicked.
    Panicked,
}

impl Worker {
    /// Delivers until `stop` is cancelled, and then no further than the batch in hand.
    pub(super) async fn run(self, stop: CancellationToken) {
        // How often the sink was found to be down since it last confirmed anything.
        let mut failures = 0;
        while !stop.is_cancelled() {
            let step = self.step(&mut failures, &stop).await;
            if let Err(error) = step {
                tracing::error!(sink = %self.name, %error, "the queue cannot be read; trying again");
                self.pause(PAUSE_AFTER_FAILURE, &stop).await;
            }
        }
    }

    async fn step(&self, failures: &mut u32, stop: &CancellationToken) -> Result<(), StoreError> {
        if let Breaker::Open { next_probe, since, .. } = self.status.get().breaker {
            self.pause(self.until(next_probe), stop).await;
            if !stop.is_cancelled() && (self.clock)() >= next_probe {
                self.probe(since, failures, stop).await;
            }
            return Ok(());
        }
        let batch = self.store.due(&self.name, (self.clock)(), self.config.batch).await?;
        if batch.is_empty() {
            let next = self.store.next_due(&self.name).await?;
            self.pause(next.map_or(MAX_SLEEP, |next| self.until(next)), stop).await;
            return Ok(());
        }
        self.deliver(batch, failures, stop).await;
        Ok(())
    }

    /// Sleeps, at most for `duration`; a wake-up ends it unless the breaker is open.
    async fn pause(&self, duration: Duration, stop: &CancellationToken) {
        let open = matches!(self.status.get().breaker, Breaker::Open { .. });
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(duration.min(MAX_SLEEP)) => {}
            () = self.wake.notified(), if !open => {}
        }
    }

    fn until(&self, time: Timestamp) -> Duration {
        Duration::try_from(time.duration_since((self.clock)())).unwrap_or(Duration::ZERO)
    }

    async fn probe(&self, since: Timestamp, failures: &mut u32, stop: &CancellationToken) {
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
            Ok(Ok(Err(down))) => self.open(down, failures),
            Ok(Err(_)) => self.open(SinkDown::new("the sink panicked when it was probed: a bug"), failures),
            Err(_) => self.open(SinkDown::new(self.too_slow("a probe")), failures),
        }
    }

    fn too_slow(&self, what: &str) -> String {
        format!("{what} took longer than batch_timeout ({}) and was given up", self.config.batch_timeout)
    }

    fn open(&self, down: SinkDown, failures: &mut u32) {
        *failures = failures.saturating_add(1);
        let config = &self.config;
        let ceiling = config.max_probe_interval.get();
        let wait = schedule::wait(*failures, config.initial_backoff.get().min(ceiling), ceiling, down.after);
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

    async fn deliver(&self, batch: Vec<Due>, failures: &mut u32, stop: &CancellationToken) {
        let changes: Vec<Change> = batch.into_iter().map(|due| due.change).collect();
        self.status.update(|status| status.in_flight = changes.len() as u64);
        match self.apply(&changes).await {
            Delivered::Outcomes(outcomes) => {
                *failures = 0;
                self.settle(changes, outcomes, stop).await;
            }
            Delivered::Down(down) => self.open(down, failures),
            // Whichever change does it, the others must not suffer: one at a time.
            Delivered::Panicked => {
                for change in changes {
                    let outcome = match self.apply(std::slice::from_ref(&change)).await {
                        Delivered::Outcomes(outcomes) => outcomes,
                        Delivered::Down(down) => {
                            self.open(down, failures);
                            break;
                        }
                        Delivered::Panicked => {
                            vec![Outcome::retry("the sink panicked on this change: a bug")]
                        }
                    };
                    self.settle(vec![change], outcome, stop).await;
                }
            }
        }
        self.status.update(|status| status.in_flight = 0);
    }

    async fn apply(&self, changes: &[Change]) -> Delivered {
        let apply = AssertUnwindSafe(self.sink.apply(changes)).catch_unwind();
        match tokio::time::timeout(self.config.batch_timeout.get(), apply).await {
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

    /// Notes the outcomes. Repeats until the store takes them or the daemon stops; then the changes come again.
    async fn settle(&self, changes: Vec<Change>, outcomes: Vec<Outcome>, stop: &CancellationToken) {
        let now = (self.clock)();
        let settlements: Vec<Settlement> = changes
            .into_iter()
            .zip(outcomes)
            .map(|(change, outcome)| Settlement {
                entity: change.entity.clone(),
                generation: change.generation,
                attempt: change.attempt,
                resolution: self.resolution(change, outcome, now),
            })
            .collect();
        self.count(&settlements, now);
        let mut waits =
            ExponentialBackoff::from_millis(2).factor(50).max_delay(Duration::from_secs(10)).map(jitter);
        while let Err(error) = self.store.settle(&self.name, settlements.clone(), now).await {
            if stop.is_cancelled() {
                tracing::warn!(sink = %self.name, %error, "outcomes are not stored; their changes come again");
                return;
            }
            tracing::error!(sink = %self.name, %error, "outcomes cannot be stored; trying again");
            tokio::select! {
                () = tokio::time::sleep(waits.next().unwrap_or(PAUSE_AFTER_FAILURE)) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    fn resolution(&self, change: Change, outcome: Outcome, now: Timestamp) -> Resolution {
        match outcome {
            Outcome::Applied { remote, action } => {
                Resolution::Applied { document: change.desired, remote, action }
            }
            Outcome::Reject { reason } => Resolution::Dead { reason: bounded(&reason) },
            Outcome::Retry { reason, .. } if change.attempt >= self.config.max_attempts => Resolution::Dead {
                reason: bounded(&format!("gave up after {} attempts: {reason}", change.attempt)),
            },
            Outcome::Retry { reason, after } => {
                let (initial, max) = (self.config.initial_backoff.get(), self.config.max_backoff.get());
                let wait = schedule::wait(change.attempt, initial, max, after);
                Resolution::Retry {
                    reason: bounded(&reason),
                    due: now.saturating_add(wait).unwrap_or(Timestamp::MAX),
                }
            }
        }
    }

    fn count(&self, settlements: &[Settlement], now: Timestamp) {
        self.status.update(|status| {
            for settlement in settlements {
                match &settlement.resolution {
                    Resolution::Applied { .. } => {
                        status.applied += 1;
                        status.last_applied = Some(now);
                    }
                    Resolution::Retry { .. } => status.retried += 1,
                    Resolution::Dead { reason } => {
                        status.dead += 1;
                        tracing::warn!(sink = %self.name, entity = %settlement.entity, %reason, "dead letter");
                    }
                }
            }
        });
    }
}

/// A reason as it is kept and shown: of bounded length, and without control characters, which a target may send
/// and a terminal would obey.
fn bounded(reason: &str) -> String {
    let mut chars = reason.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut text: String = chars.by_ref().take(MAX_REASON).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}
