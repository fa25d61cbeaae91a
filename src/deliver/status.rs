//! What a delivery worker says of itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use rolecall_sink_api::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metrics::{Recent, RecentCounter};
use crate::store::Pause;

/// How a sink's deliveries go, since the daemon started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryStatus {
    /// Whether deliveries go out.
    pub breaker: Breaker,
    /// Somebody said that nothing goes out, not even for leavers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// Changes handed to the sink that are not answered yet.
    pub in_flight: u64,
    /// Changes the sink confirmed.
    pub applied: u64,
    /// Of those, the ones that it confirmed lately.
    #[serde(default)]
    pub recent: Recent,
    /// Attempts that will be repeated.
    pub retried: u64,
    /// Changes that became dead letters.
    pub dead: u64,
    /// When the sink last confirmed a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub last_applied: Option<Timestamp>,
}

/// Whether deliveries to a sink go out. A sink that is down as a whole opens it; a probe that succeeds closes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Breaker {
    /// Deliveries go out.
    Closed,
    /// The sink is down: nothing goes out but a probe now and then, and no attempt is counted.
    Open {
        /// Since when.
        #[schemars(with = "Moment")]
        since: Timestamp,
        /// What the sink last said.
        reason: String,
        /// When it is asked again.
        #[schemars(with = "Moment")]
        next_probe: Timestamp,
    },
}

/// A status that its worker writes and others read.
#[derive(Clone, Debug)]
pub struct SharedStatus(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    /// With nothing in `recent`, which is as of when it is asked for.
    status: DeliveryStatus,
    recent: RecentCounter,
}

impl SharedStatus {
    pub(super) fn new(paused: Option<Pause>) -> Self {
        let status = DeliveryStatus {
            breaker: Breaker::Closed,
            paused,
            in_flight: 0,
            applied: 0,
            recent: Recent::default(),
            retried: 0,
            dead: 0,
            last_applied: None,
        };
        Self(Arc::new(Mutex::new(Kept { status, recent: RecentCounter::new(Instant::now()) })))
    }

    /// The status now.
    pub fn get(&self) -> DeliveryStatus {
        let kept = self.lock();
        DeliveryStatus { recent: kept.recent.recent(Instant::now()), ..kept.status.clone() }
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut DeliveryStatus)) {
        change(&mut self.lock().status);
    }

    /// Counts a change that the sink confirmed at `at`.
    pub(super) fn applied(&self, at: Timestamp) {
        let mut kept = self.lock();
        kept.status.applied += 1;
        kept.status.last_applied = Some(at);
        kept.recent.add(1, Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
