//! `store:`

use std::path::PathBuf;

use rolecall_sink_api::Timespan;
use schemars::JsonSchema;
use serde::Deserialize;

/// Where rolecall keeps what it knows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// The SQLite database, on a local disk. Two more files stand beside it while it is in use. A new one
    /// can be read by its owner only. Default: `/var/lib/rolecall/rolecall.db`.
    pub path: PathBuf,
    /// How long things are kept that are no longer needed for the work itself.
    pub retention: RetentionConfig,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { path: "/var/lib/rolecall/rolecall.db".into(), retention: RetentionConfig::default() }
    }
}

/// How long things are kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// The messages as they were received, by which an event that comes twice is known and can be replayed. Those
    /// that could not be read are kept until they are read. Default: `30d`.
    pub journal: Timespan,
    /// Who was changed where, and why. Default: `30d`.
    pub activity: Timespan,
    /// Users and groups that are gone, so that a late event cannot bring them back. One that a sink still holds,
    /// also a sink that is no longer configured, is kept as long as it does. Default: `90d`.
    pub tombstones: Timespan,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            journal: Timespan::from_days(30),
            activity: Timespan::from_days(30),
            tombstones: Timespan::from_days(90),
        }
    }
}
