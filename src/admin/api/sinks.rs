//! The sinks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rolecall_sink_api::{Moment, SinkName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deliver::DeliveryStatus;
use crate::store::SinkState;

/// Where `GET` answers [`Sinks`].
pub const SINKS: &str = "/v1/sinks";
/// Where `GET` of a [`SinkQuery`] answers a [`SinkDetail`].
pub const SINK: &str = "/v1/sinks/{name}";

/// Which sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SinkQuery {
    /// Its name in the configuration.
    pub name: String,
}

/// Every configured sink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sinks {
    /// When the daemon answered, by its own clock.
    #[schemars(with = "Moment")]
    pub now: Timestamp,
    /// By name.
    pub sinks: BTreeMap<SinkName, SinkStatus>,
}

/// One sink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SinkDetail {
    /// When the daemon answered, by its own clock.
    #[schemars(with = "Moment")]
    pub now: Timestamp,
    /// Its name.
    pub name: SinkName,
    /// How it is.
    pub sink: SinkStatus,
}

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
