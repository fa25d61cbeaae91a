//! What a person tells a sink's worker: to pause, to go on, to probe.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use rolecall_sink_api::SinkName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Deliveries;
use super::status::Breaker;
use super::worker::bounded;
use crate::store::{Pause, StoreError};

/// The longest that whoever asks for a probe waits for it.
const MOST_PATIENCE: Duration = Duration::from_secs(25);

/// What a sink said when it was probed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Probed {
    /// Deliveries may go out. If they did not, they do now.
    Up {
        /// How long it took, in milliseconds.
        milliseconds: u64,
    },
    /// It is down.
    Down {
        /// What it said.
        reason: String,
    },
}

impl Deliveries {
    /// Hands nothing to the sink any more, leavers neither, until [`resume`](Deliveries::resume), also after a restart. What
    /// is under way is finished. `None` when there is no such sink; why an earlier pause was made is forgotten.
    ///
    /// # Errors
    /// When the store cannot note it; then nothing is paused.
    pub async fn pause(&self, sink: &SinkName, pause: Pause) -> Result<Option<()>, StoreError> {
        self.set_pause(sink, Some(pause)).await
    }

    /// Goes on at once with what waits for the sink. `None` when there is no such sink.
    ///
    /// # Errors
    /// When the store cannot note it; then it stays paused.
    pub async fn resume(&self, sink: &SinkName) -> Result<Option<()>, StoreError> {
        self.set_pause(sink, None).await
    }

    async fn set_pause(&self, sink: &SinkName, pause: Option<Pause>) -> Result<Option<()>, StoreError> {
        let Some(handle) = self.0.get(sink) else { return Ok(None) };
        handle.store.pause(sink, pause.clone()).await?;
        handle.status.update(|status| status.paused = pause);
        handle.wake.notify_one();
        Ok(Some(()))
    }

    /// Probes the sink now, whether it is up, down or paused; `None` when there is no such sink. A sink that was down and
    /// answers is delivered to at once. It takes no longer than the sink's `batch_timeout`, nor than 25 seconds.
    pub async fn probe_now(&self, sink: &SinkName) -> Option<Probed> {
        let handle = self.0.get(sink)?;
        let patience = handle.batch_timeout.min(MOST_PATIENCE);
        let begun = Instant::now();
        let probe = AssertUnwindSafe(handle.sink.probe()).catch_unwind();
        let reason = match tokio::time::timeout(patience, probe).await {
            Ok(Ok(Ok(()))) => {
                if matches!(handle.status.get().breaker, Breaker::Open { .. }) {
                    handle.probe.notify_one();
                }
                let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                return Some(Probed::Up { milliseconds });
            }
            Ok(Ok(Err(down))) => bounded(&down.reason),
            Ok(Err(_)) => "the sink panicked when it was probed: a bug".to_owned(),
            Err(_) => format!("no answer within {} s", patience.as_secs_f32()),
        };
        Some(Probed::Down { reason })
    }
}
