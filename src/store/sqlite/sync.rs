//! Syncing the write-ahead log, beside the thread that writes it.
//!
//! SQLite itself would sync in the middle of every commit (`synchronous=FULL`), and the next transaction would wait
//! for the disk. With `synchronous=NORMAL` a commit appends to the log, and the log is synced here, while the next
//! transaction is under way; nothing is acknowledged before. What a power cut leaves is a whole number of
//! transactions, for the log's frames are checksummed in their order. SQLite still syncs whatever the integrity of the
//! file needs: the log before a checkpoint, the database after it, and the header of a log that begins anew.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot};

use crate::store::{Durability, StoreError};

type Answer = oneshot::Sender<Result<(), StoreError>>;

/// How many wait for a sync at most; more make their callers wait. One sync serves all that wait.
const WAITING: usize = 64;
/// Why nothing is written once a sync failed.
const EARLIER: &str = "an earlier sync failed";

/// The syncing thread.
#[derive(Debug)]
pub(super) struct Syncer {
    requests: mpsc::Sender<Answer>,
    failed: Arc<AtomicBool>,
}

impl Syncer {
    /// Starts the thread for the log of the database at `path`. The log must be there: it is the same file as long as
    /// the database is open.
    pub(super) fn start(path: &Path) -> std::io::Result<Self> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let log = File::open(log)?;
        let (requests, waiting) = mpsc::channel(WAITING);
        let failed = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&failed);
        std::thread::Builder::new().name("sync".into()).spawn(move || sync_thread(&log, waiting, &seen))?;
        Ok(Self { requests, failed })
    }

    /// Syncs everything that was written before this call.
    pub(super) async fn sync(&self) -> Durability {
        let (answer, durability) = Durability::pending();
        // When the thread is gone the answer goes with the request, which tells as much.
        let _ = self.requests.send(answer).await;
        durability
    }

    /// Whether something may be written.
    ///
    /// # Errors
    /// When a sync failed.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.failed.load(Ordering::Acquire) { Err(StoreError::Lost(EARLIER.into())) } else { Ok(()) }
    }
}

#[cfg(test)]
impl Syncer {
    /// As if a sync had failed.
    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }
}

fn sync_thread(log: &File, mut waiting: mpsc::Receiver<Answer>, failed: &AtomicBool) {
    let mut answers = Vec::new();
    while let Some(first) = waiting.blocking_recv() {
        answers.push(first);
        while let Ok(next) = waiting.try_recv() {
            answers.push(next);
        }
        // After a sync that failed the system may have thrown away what it could not write: a later one that
        // succeeds says nothing.
        let result = match log.sync_data() {
            Ok(()) if !failed.load(Ordering::Acquire) => Ok(()),
            Ok(()) => Err(StoreError::Lost(EARLIER.into())),
            Err(error) => Err(StoreError::Lost(error.to_string())),
        };
        failed.fetch_or(result.is_err(), Ordering::AcqRel);
        for answer in answers.drain(..) {
            // Whoever asked may be gone.
            let _ = answer.send(result.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_a_sync_that_failed_nothing_counts_as_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        // It cannot be synced (EINVAL).
        std::os::unix::fs::symlink("/dev/null", directory.path().join("store.db-wal")).unwrap();
        let syncer = Syncer::start(&path).unwrap();
        assert!(syncer.check().is_ok());
        let error = syncer.sync().await.reached().await.unwrap_err().to_string();
        assert!(error.contains("the disk did not take"), "{error}");
        assert!(syncer.check().is_err());
    }

    #[tokio::test]
    async fn one_sync_serves_all_that_wait() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        std::fs::write(directory.path().join("store.db-wal"), "log").unwrap();
        let syncer = Syncer::start(&path).unwrap();
        for durability in [syncer.sync().await, syncer.sync().await, syncer.sync().await] {
            durability.reached().await.unwrap();
        }
    }
}
