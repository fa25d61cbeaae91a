//! The sinks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rolecall_sink_api::{Moment, SinkName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deliver::DeliveryStatus;
use crate::store::{Pause, SinkState};

/// Where `POST` of a [`PauseRequest`] has a sink handed nothing any more, and answers [`SinkPaused`].
pub const SINK_PAUSE: &str = "/v1/sinks/{name}/pause";

/// Where `POST` of [`NothingMore`](super::NothingMore) goes on with it, and answers [`SinkPaused`].
pub const SINK_RESUME: &str = "/v1/sinks/{name}/resume";

/// Where `POST` of [`NothingMore`](super::NothingMore) asks a sink whether it can be worked with, and answers what it
/// said: [`Probed`](crate::deliver::Probed).
pub const SINK_PROBE: &str = "/v1/sinks/{name}/probe";

/// Which sink is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SinkPath {
    /// Its name.
    pub name: String,
}

/// Why a sink is paused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PauseRequest {
    /// For those who look at it later; at most 500 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub reason: Option<String>,
}

/// Whether a sink is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SinkPaused {
    /// The sink.
    pub sink: SinkName,
    /// Since when, why, and who said so; none when it is not.
    pub paused: Option<Pause>,
}

/// Where `GET` answers [`Sinks`].
pub const SINKS: &str = "/v1/sinks";
/// Where `GET` of a [`SinkPath`] answers a [`SinkDetail`].
pub const SINK: &str = "/v1/sinks/{name}";
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
    /// Since when the longest waiting user who lost access waits; they still have it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub oldest_leaver: Option<Timestamp>,
    /// Dead letters: rejected for good, or out of attempts.
    pub dead_letters: u64,
    /// Changes that the safeguard holds until a person decides.
    #[serde(default)]
    pub held: u64,
    /// Since when the oldest hold of these is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub held_since: Option<Timestamp>,
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
            oldest_leaver: queue.oldest_leaver,
            dead_letters: queue.dead,
            held: queue.held,
            held_since: queue.held_since,
            confirmed: queue.applied,
            delivery,
        }
    }
}
