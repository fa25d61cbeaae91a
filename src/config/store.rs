//! `store:`

use std::num::NonZeroU32;
use std::path::PathBuf;

use rolecall_sink_api::{ConfigError, Timespan};
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
    /// Backups that are made by themselves. Default: none are.
    pub backup: Option<BackupConfig>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        let retention = RetentionConfig::default();
        Self { path: "/var/lib/rolecall/rolecall.db".into(), retention, backup: None }
    }
}

/// When backups are made by themselves, and where they are kept. Each is a file like one that `rolecall store backup` makes,
/// and its name tells when it was begun.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupConfig {
    /// The directory, best on another disk than the store. It is made when it is not there and the one above it is. Other
    /// files in it are left alone.
    pub directory: PathBuf,
    /// How long after the newest one is begun the next is; at least a minute. The first is made at once. Default: `1d`.
    #[serde(default = "a_day")]
    pub every: Timespan,
    /// How many are kept: when one more is complete, the oldest is removed. Default: `7`.
    #[serde(default = "a_week_of_them")]
    pub keep: NonZeroU32,
}

fn a_day() -> Timespan {
    Timespan::from_days(1)
}

fn a_week_of_them() -> NonZeroU32 {
    const SEVEN: NonZeroU32 = NonZeroU32::MIN.saturating_add(6);
    SEVEN
}

impl StoreConfig {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// At the first key that cannot be right.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Some(backup) = &self.backup else { return Ok(()) };
        if backup.every < Timespan::from_secs(60) {
            return Err(ConfigError::new("backup.every", "must be at least a minute"));
        }
        if backup.directory.is_relative() {
            return Err(ConfigError::new("backup.directory", "must be an absolute path"));
        }
        Ok(())
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
