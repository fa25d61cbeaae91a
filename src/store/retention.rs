//! Keeping no more than is wanted: forgets what is past its time, in small steps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::clock::Evidence;
use super::{Cutoffs, Store, StoreError};

/// How often it is looked for something to forget.
const INTERVAL: Duration = Duration::from_secs(60);
/// The pause between two steps, in which messages and outcomes have the store for themselves.
const BETWEEN_STEPS: Duration = Duration::from_millis(50);

/// How long what is no longer needed for the work itself is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Messages, from their arrival.
    pub journal: Duration,
    /// What was done to whom.
    pub activity: Duration,
    /// Deleted users and groups.
    pub tombstones: Duration,
}

impl Retention {
    /// Before when things may go.
    fn cutoffs(&self, now: Timestamp) -> Cutoffs {
        let before = |kept: Duration| {
            let kept = SignedDuration::try_from(kept).unwrap_or(SignedDuration::MAX);
            now.saturating_sub(kept).unwrap_or(Timestamp::MIN)
        };
        Cutoffs {
            journal: before(self.journal),
            activity: before(self.activity),
            tombstones: before(self.tombstones),
        }
    }

    /// Forgets what is past its time, until `stop` is cancelled. A clock that is ahead makes nothing forgotten: it is
    /// believed only as far as the newest message, which somebody else's clock has signed, and the time that has passed
    /// since. While none comes after a start, less is forgotten than could be.
    pub async fn run(self, store: Arc<dyn Store>, clock: fn() -> Timestamp, stop: CancellationToken) {
        let mut evidence = Evidence::new(Timestamp::MIN, Instant::now());
        loop {
            let pause = match self.step(&*store, &mut evidence, clock).await {
                Ok(0) => INTERVAL,
                Ok(_) => BETWEEN_STEPS,
                Err(error) => {
                    tracing::warn!(%error, "what is past its retention could not be removed; trying again");
                    INTERVAL
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn step(
        &self,
        store: &dyn Store,
        evidence: &mut Evidence,
        clock: fn() -> Timestamp,
    ) -> Result<usize, StoreError> {
        let looked = Instant::now();
        if let Some(signed) = store.last_signed().await? {
            evidence.add(signed, looked);
        }
        store.prune(self.cutoffs(evidence.believe(clock(), looked))).await
    }
}
