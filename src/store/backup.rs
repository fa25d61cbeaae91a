//! Backups, as those see them who make and restore them.

use std::fs::File;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;

/// The whole store as it was at one moment, ready to be sent somewhere. The file has no name any more, so it goes with
/// this, however the process ends.
#[derive(Debug)]
pub struct Snapshot {
    /// At its start.
    pub file: File,
    /// How long it is.
    pub bytes: u64,
    /// There is one at a time: each takes as much space as the store.
    pub(super) _turn: OwnedSemaphorePermit,
}

/// What a backup was found to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupContents {
    /// The version of its tables.
    pub schema: u32,
    /// Users who exist.
    pub users: u64,
    /// Groups that exist.
    pub groups: u64,
    /// Journalled messages.
    pub events: u64,
    /// When the newest of them arrived: what came later is not in it.
    pub last_event: Option<Timestamp>,
    /// Its size.
    pub bytes: u64,
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Where the store is.
    pub store: PathBuf,
    /// What it holds now.
    pub contents: BackupContents,
    /// Where the store is that was there before, if one was.
    pub kept: Option<PathBuf>,
}
