//! How scheduled backups go, for those who look.

use jiff::{SignedDuration, Timestamp};
use rolecall_sink_api::{Moment, Timespan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How scheduled backups of the store go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupStatus {
    /// Where they are kept.
    pub directory: String,
    /// How often one is made.
    pub every: Timespan,
    /// How many are kept.
    pub keep: u32,
    /// The newest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<KeptBackup>,
    /// When the one was begun that is being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub running: Option<Timestamp>,
    /// Why none can be made, since the last one that could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedBackup>,
}

/// A backup that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeptBackup {
    /// Its name in the directory.
    pub file: String,
    /// When it was begun: what came later is not in it.
    #[schemars(with = "Moment")]
    pub at: Timestamp,
    /// Its size.
    pub bytes: u64,
}

/// Backups cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailedBackup {
    /// When the first one since the last good one failed.
    #[schemars(with = "Moment")]
    pub since: Timestamp,
    /// Why the latest one did.
    pub error: String,
}

impl BackupStatus {
    /// What is wrong and since when, if anything is: one failed, or has not come to its end when the next was due.
    pub fn problem(&self, now: Timestamp) -> Option<(Timestamp, String)> {
        if let Some(FailedBackup { since, error }) = &self.failed {
            return Some((*since, error.clone()));
        }
        let every = SignedDuration::try_from(self.every.get()).unwrap_or(SignedDuration::MAX);
        let begun = self.running.filter(|begun| begun.duration_until(now) > every)?;
        Some((begun, format!("one has not come to its end: does {} hang?", self.directory)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_failed_is_a_problem_and_so_is_one_that_hangs() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let ago = |hours| now - SignedDuration::from_hours(hours);
        let well = BackupStatus {
            directory: "/mnt/backups".into(),
            every: Timespan::from_secs(60 * 60),
            keep: 7,
            last: None,
            running: Some(ago(1)),
            failed: None,
        };
        assert_eq!(well.problem(now), None);
        let hangs = BackupStatus { running: Some(ago(2)), ..well.clone() };
        let (since, why) = hangs.problem(now).unwrap();
        assert!(since == ago(2) && why.contains("/mnt/backups"), "{why}");
        let failed = Some(FailedBackup { since: ago(3), error: "no room".into() });
        assert_eq!(BackupStatus { failed, ..hangs }.problem(now), Some((ago(3), "no room".into())));
    }
}
