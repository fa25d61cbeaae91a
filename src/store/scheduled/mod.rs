//! Backups that are made by themselves: one every so often into a directory, of which the newest are kept.
//!
//! When one is due is told by what lies in the directory, so a restart changes nothing of it. A backup that was begun later
//! than it is now, by a clock that was ahead, counts for nothing and is not removed: a clock that is wrong for a while loses
//! none.

mod directory;
mod status;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rolecall_sink_api::Timespan;
use tokio::time::sleep;
use tokio_retry::strategy::ExponentialBackoff;
use tokio_util::sync::CancellationToken;

use self::directory::{Directory, DirectoryError, StoreId};
pub use self::status::{BackupStatus, FailedBackup, KeptBackup};
use super::{Store, StoreError};
use crate::metrics::Counter;

/// The longest time between two looks at the clock: somebody may set it.
const LOOK: Duration = Duration::from_secs(60);
/// How long somebody else's backup is waited for between two looks.
const BUSY: Duration = Duration::from_secs(10);
/// The longest wait before a backup that failed is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);
/// Under which name the store keeps its id.
const ID: &str = "id for backups";

/// When backups are made, and where they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSchedule {
    /// The directory.
    pub directory: PathBuf,
    /// How long after the newest one is begun the next is.
    pub every: Timespan,
    /// How many are kept.
    pub keep: u32,
}

/// Makes backups of a store, one at a time. Cheap to clone.
#[derive(Clone)]
pub struct Backups(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    schedule: BackupSchedule,
    clock: fn() -> Timestamp,
    failures: Counter,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: Option<KeptBackup>,
    took: Option<Duration>,
    running: Option<Timestamp>,
    failed: Option<FailedBackup>,
}

/// Why a backup could not be made.
#[derive(Debug, thiserror::Error)]
enum BackupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error("the directory could not be looked at: {0}")]
    CutOff(#[from] tokio::task::JoinError),
}

impl Backups {
    /// Of this store, by this schedule. Nothing is made before [`run`](Self::run).
    pub fn new(store: Arc<dyn Store>, schedule: BackupSchedule, clock: fn() -> Timestamp) -> Self {
        let (failures, state) = (Counter::default(), Mutex::default());
        Self(Arc::new(Shared { store, schedule, clock, failures, state }))
    }

    /// How they go.
    pub fn status(&self) -> BackupStatus {
        let (schedule, state) = (&self.0.schedule, self.0.state());
        BackupStatus {
            directory: schedule.directory.display().to_string(),
            every: schedule.every,
            keep: schedule.keep,
            last: state.last.clone(),
            running: state.running,
            failed: state.failed.clone(),
        }
    }

    /// How many failed since the start.
    pub fn failures(&self) -> u64 {
        self.0.failures.get()
    }

    /// How long the newest took that was made since the start.
    pub fn took(&self) -> Option<Duration> {
        self.0.state().took
    }

    /// Makes one whenever it is due, until `stop` is cancelled; one that is being made then is given up.
    pub async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.0.keep_making()).await;
    }
}

impl Shared {
    async fn keep_making(&self) {
        let mut waits = waits();
        let mut due = None;
        loop {
            let now = (self.clock)();
            if let Some(due) = due.filter(|due| !self.is_due(*due, now)) {
                let wait = now.duration_until(due).unsigned_abs().min(LOOK);
                sleep(wait).await;
                continue;
            }
            let made = self.make_if_due(now).await;
            self.state().running = None;
            match made {
                Ok(next) => {
                    due = Some(next);
                    waits = self::waits();
                    self.state().failed = None;
                }
                Err(BackupError::Store(StoreError::Busy(_))) => sleep(BUSY).await,
                Err(error) => {
                    let wait = waits.next().unwrap_or(LONGEST_WAIT);
                    self.failed(&error, wait);
                    sleep(wait).await;
                }
            }
        }
    }

    /// Makes a backup unless there is one that is young enough, and says when the next is due.
    async fn make_if_due(&self, now: Timestamp) -> Result<Timestamp, BackupError> {
        let directory = Directory::new(&self.schedule.directory, self.id().await?);
        let (kept, _) = self.look(&directory, now).await?;
        let due = kept.first().map(|newest| self.after(newest.at)).filter(|due| !self.is_due(*due, now));
        self.state().last = kept.first().cloned();
        if let Some(due) = due {
            return Ok(due);
        }
        let begun = Instant::now();
        self.state().running = Some(now);
        let file = directory.name(now);
        let contents = self.store.backup(&file).await?;
        tracing::info!(file = %file.display(), bytes = contents.bytes, users = contents.users, "a backup of the store was made");
        self.state().took = Some(begun.elapsed());
        let (kept, ahead) = self.look(&directory, now).await?;
        self.state().last = kept.first().cloned();
        if ahead > 0 {
            tracing::warn!(
                directory = %self.schedule.directory.display(),
                files = ahead,
                "backups were made by a clock that was ahead: they are left alone until their time has come; remove them \
                 when that is long"
            );
        }
        let too_many = kept.into_iter().skip(self.schedule.keep as usize).collect::<Vec<_>>();
        tokio::task::spawn_blocking(move || too_many.iter().try_for_each(|old| directory.remove(&old.file)))
            .await??;
        Ok(self.after(now))
    }

    /// The backups that are there, the newest first, and how many more there are that were begun later than now.
    async fn look(
        &self,
        directory: &Directory,
        now: Timestamp,
    ) -> Result<(Vec<KeptBackup>, usize), BackupError> {
        let directory = directory.clone();
        let found = tokio::task::spawn_blocking(move || {
            directory.prepare()?;
            directory.list()
        });
        let (kept, ahead): (Vec<_>, Vec<_>) = found.await??.into_iter().partition(|one| one.at <= soon(now));
        Ok((kept, ahead.len()))
    }

    /// The store's own id, which is made when it is first asked for.
    async fn id(&self) -> Result<StoreId, StoreError> {
        let known = self.store.remembered(ID).await?;
        if let Some(id) = known.as_deref().and_then(StoreId::parse) {
            return Ok(id);
        }
        let id = StoreId::new();
        self.store.remember(ID, &id.to_string()).await?;
        Ok(id)
    }

    fn failed(&self, error: &BackupError, wait: Duration) {
        tracing::warn!(%error, ?wait, "a backup of the store could not be made, and is tried again");
        self.failures.inc();
        let mut state = self.state();
        let since = state.failed.as_ref().map_or_else(self.clock, |failed| failed.since);
        state.failed = Some(FailedBackup { since, error: error.to_string() });
    }

    /// When the next is due after one that was begun then.
    fn after(&self, begun: Timestamp) -> Timestamp {
        begun.saturating_add(self.schedule.every.get()).unwrap_or(Timestamp::MAX)
    }

    /// Whether it is time. It also is when that is further away than it can be: the clock was set back.
    fn is_due(&self, due: Timestamp, now: Timestamp) -> bool {
        due <= now || due > self.after(soon(now))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a clock may be set back without anybody having been wrong before.
fn soon(now: Timestamp) -> Timestamp {
    now.saturating_add(LOOK).unwrap_or(Timestamp::MAX)
}

/// The waits after each failure in a row: from ten seconds on, doubled.
fn waits() -> impl Iterator<Item = Duration> {
    ExponentialBackoff::from_millis(2).factor(5000).max_delay(LONGEST_WAIT)
}
