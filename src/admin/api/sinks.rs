//! The sinks.

use jiff::Timestamp;
use rolecall_sink_api::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deliver::DeliveryStatus;
use crate::store::SinkState;

/// A sink's queue and how its deliveries go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SinkStatus {
    /// Entities waiting, dead letters not counted.
    pub waiting: u64,
    /// Of those, users who lost access.
    pub leavers: u64,
    /// Since when the longest waiting entity waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub oldest: Option<Timestamp>,
    /// Dead letters: rejected for good, or out of attempts.
    pub dead_letters: u64,
    /// Entities the sink has confirmed.
    pub confirmed: u64,
    /// Since the daemon started; none while the sink's worker is not running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryStatus>,
}

impl SinkStatus {
    pub(in crate::admin) fn new(queue: SinkState, delivery: Option<DeliveryStatus>) -> Self {
        Self {
            waiting: queue.waiting,
            leavers: queue.leavers,
            oldest: queue.oldest,
            dead_letters: queue.dead,
            confirmed: queue.applied,
            delivery,
        }
    }
}
