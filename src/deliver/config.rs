//! How changes are delivered to a sink, and how many may take something away.

use rolecall_sink_api::Timespan;
use schemars::JsonSchema;
use serde::Deserialize;

/// How changes are delivered to a sink: how many at once, and what happens when they do not go through.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryConfig {
    /// The most changes handed to the sink at once. Default: what suits the sink, 500 for ldap and 100 for the others.
    #[schemars(range(min = 1, max = 10_000))]
    pub batch: Option<u32>,
    /// How often a change is tried before it becomes a dead letter. Attempts while the sink is down as a whole do
    /// not count, nor those for whose repetition the target named a time. Default: 20, which is about an hour with
    /// the other defaults.
    #[schemars(range(min = 1))]
    pub max_attempts: u32,
    /// The longest wait before the second attempt; it doubles with each further one. The wait itself is random
    /// between nothing and this (full jitter). Default: 1s.
    pub initial_backoff: Timespan,
    /// Where the doubling ends. Default: 10m.
    pub max_backoff: Timespan,
    /// The longest wait between two probes of a sink that is down, unless it asks for more: up to 15m. Default: 30s.
    pub max_probe_interval: Timespan,
    /// The longest time that the sink may work on one batch; then it counts as down. Default: 5m.
    pub batch_timeout: Timespan,
}

/// How many users may lose something in a sink before a person is asked. What is more is held, and everything else goes
/// on: `rolecall holds` says what is held, and lets it go or drops it.
///
/// The numbers hold for the sink as a whole, and again for each organization in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SafeguardConfig {
    /// The time in which withdrawals are counted together. Default: 1h.
    pub within: Timespan,
    /// How many users may be removed in that time: deactivated, deleted, or out of the sink's scope. Default: 50.
    pub removals: u32,
    /// How many, in percent of the users whom the sink holds, if that is more. Default: 5.
    #[schemars(range(max = 100))]
    pub removals_percent: u8,
    /// How many users may lose a role in that time and stay. Default: 100.
    pub revocations: u32,
    /// How many, in percent of the users whom the sink holds, if that is more. Default: 10.
    #[schemars(range(max = 100))]
    pub revocations_percent: u8,
}

impl Default for SafeguardConfig {
    fn default() -> Self {
        Self {
            within: Timespan::from_secs(3600),
            removals: 50,
            removals_percent: 5,
            revocations: 100,
            revocations_percent: 10,
        }
    }
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            batch: None,
            max_attempts: 20,
            initial_backoff: Timespan::from_secs(1),
            max_backoff: Timespan::from_secs(600),
            max_probe_interval: Timespan::from_secs(30),
            batch_timeout: Timespan::from_secs(300),
        }
    }
}
