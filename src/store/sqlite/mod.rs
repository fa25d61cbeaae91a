//! The embedded store: one SQLite file, written by one thread, read by a few.

mod activity;
mod backup;
mod check;
mod checkpoint;
mod clock;
mod commit;
mod convert;
mod events;
mod file;
mod held;
mod holds;
mod items;
mod load;
mod membership;
mod people;
mod population;
mod prune;
mod queue;
mod restore;
mod rules;
mod schema;
mod search;
mod sinks;
mod size;
mod statements;
mod stopped;
mod sync;
#[cfg(test)]
mod tests;
mod turn;
mod views;
mod walk;

use std::collections::BTreeMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rolecall_sink_api::{Attempted, Entity, GroupId, SinkName, UserId};
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

pub(super) use self::backup::is_database;
use self::checkpoint::Checkpoints;
use self::sinks::SinkKeys;
pub use self::stopped::{StoppedStore, verify_backup};
use self::sync::Syncer;
use super::{
    ActivityCursor, ActivityFilter, ActivityItem, Adopted, BackupContents, CheckPlace, CheckStep,
    Consequence, Cursor, Cutoffs, Decision, Due, Durability, EntityFilter, EventCursor, EventFilter,
    EventItem, Found, GroupItem, GroupView, Guarded, HeldItem, Hold, HoldFilter, HoldId, JournalEntry,
    Lately, NewRules, Pause, PersonView, QueueFilter, QueueItem, RulesVersion, Settled, Settlement, Snapshot,
    Space, Stale, StatedGroup, Store, StoreError, StoreSize, StoreView, Transaction, UserItem, UserView,
    Withdrawn,
};
use crate::directory::EventId;
use crate::rules::Scopes;

/// How many reads run at once; each has a connection of its own.
const READERS: usize = 3;
/// How many writes wait at most; more make their callers wait.
const WAITING_WRITES: usize = 64;
/// SQLite's page cache of the writer and of each reader, in KiB.
const WRITER_CACHE: i64 = 64 * 1024;
const READER_CACHE: i64 = 8 * 1024;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A [`Store`] in one SQLite file with a write-ahead log, which is synced beside the thread that writes it. One process
/// at a time.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: mpsc::Sender<Job>,
    readers: Arc<Readers>,
    sinks: RwLock<Arc<SinkKeys>>,
    /// What each sink is given.
    scopes: RwLock<Arc<Scopes>>,
    /// There is one copy of the store at a time.
    snapshots: Arc<Semaphore>,
    pruned: Mutex<prune::Place>,
    /// Writes; holds the lock beside the store until the database is closed.
    thread: Option<JoinHandle<()>>,
    /// Syncs what was written.
    syncer: Syncer,
}

#[derive(Debug)]
struct Readers {
    idle: Mutex<Vec<Connection>>,
    turns: Arc<Semaphore>,
}

impl SqliteStore {
    /// Opens the store, and makes it when there is none. The directory must exist.
    ///
    /// # Errors
    /// When another process has it open, when a newer version wrote it, or when it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let shown = path.display().to_string();
        let failed = |message: String| StoreError::Open { path: shown.clone(), message };
        let lock = file::lock(path)?;
        file::create(path)?;
        backup::remove_leftovers(path);
        let mut writer =
            connect(path, OpenFlags::default(), WRITER_CACHE).map_err(|e| failed(e.to_string()))?;
        writer
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
            .map_err(|e| failed(e.to_string()))?;
        let found = schema::version(&writer)?;
        schema::is_known(found, &shown)?;
        if (1..schema::known()).contains(&found) {
            backup::before_migration(path, found)?;
        }
        schema::migrate(&mut writer)?;
        let readers = (0..READERS)
            .map(|_| {
                connect(
                    path,
                    OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
                    READER_CACHE,
                )
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| failed(e.to_string()))?;
        let keys = sinks::configured(&writer)?;
        let syncer =
            Syncer::start(path).map_err(|e| failed(format!("cannot open its write-ahead log: {e}")))?;
        let mover = connect(path, OpenFlags::default(), READER_CACHE).map_err(|e| failed(e.to_string()))?;
        let checkpoints = Checkpoints::begin(&mut writer, mover).map_err(failed)?;
        let (sender, jobs) = mpsc::channel(WAITING_WRITES);
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || write_thread(writer, checkpoints, jobs, lock))
            .map_err(|e| failed(format!("cannot start a thread: {e}")))?;
        Ok(Self {
            path: path.to_owned(),
            writer: sender,
            readers: Arc::new(Readers {
                idle: Mutex::new(readers),
                turns: Arc::new(Semaphore::new(READERS)),
            }),
            sinks: RwLock::new(Arc::new(keys)),
            scopes: RwLock::default(),
            snapshots: Arc::new(Semaphore::new(1)),
            pruned: Mutex::new(prune::Place::START),
            thread: Some(thread),
            syncer,
        })
    }

    /// Runs `job` on the writing thread, after all that were given to it before, and syncs what it wrote.
    async fn write<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let done = self.run(job).await?;
        self.syncer.sync().await.reached().await?;
        Ok(done)
    }

    /// Runs `job` on the writing thread, after all that were given to it before.
    async fn run<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.syncer.check()?;
        let (answer, result) = tokio::sync::oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // A transaction that is cut off by a panic is rolled back; the next job finds the store as it was.
            let done = catch_unwind(AssertUnwindSafe(|| job(connection)));
            let done = done.unwrap_or_else(|_| Err(StoreError::Failed("a write panicked: a bug".into())));
            // Whoever asked may be gone; the work is done all the same.
            let _ = answer.send(done);
        });
        self.writer.send(job).await.map_err(|_| StoreError::Closed)?;
        result.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs `job` with a reading connection, which sees everything that was committed before. Whoever asked may go
    /// away meanwhile: the connection is busy, and counts as busy, until the job has ended.
    async fn read<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let turn = Arc::clone(&self.readers.turns).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let readers = Arc::clone(&self.readers);
        let work = move || {
            let connection = readers.take()?;
            let done = catch_unwind(AssertUnwindSafe(|| job(&connection)));
            readers.put_back(connection);
            drop(turn);
            done.unwrap_or_else(|_| Err(StoreError::Failed("a read panicked: a bug".into())))
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| StoreError::Failed(e.to_string()))?
    }

    /// Handles all matching items, a portion at a time: between two of them messages and outcomes have the store
    /// for themselves.
    async fn in_portions<F>(&self, filter: &QueueFilter, handle: F) -> Result<usize, StoreError>
    where
        F: Fn(&mut Connection, &[Cursor]) -> Result<usize, StoreError> + Clone + Send + 'static,
    {
        let mut filter = filter.clone();
        let mut handled = 0;
        loop {
            let (sinks, wanted) = (self.sinks(), filter.clone());
            let portion = self.read(move |c| items::portion(c, &sinks, &wanted)).await?;
            let Some(last) = portion.last() else { return Ok(handled) };
            filter.after = Some(*last);
            let is_last = portion.len() < items::PORTION as usize;
            let handle = handle.clone();
            handled += self.write(move |c| handle(c, &portion)).await?;
            if is_last {
                return Ok(handled);
            }
        }
    }

    /// There is one copy at a time: each takes as much space as the store.
    fn turn_to_copy(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        Arc::clone(&self.snapshots).try_acquire_owned().map_err(|_| {
            StoreError::Busy(
                "another backup is under way, and there is one at a time: try again when it is done".into(),
            )
        })
    }

    fn sinks(&self) -> Arc<SinkKeys> {
        Arc::clone(&self.sinks.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Ends what its connection does when it goes out of scope.
struct Interrupt(InterruptHandle);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

impl Readers {
    /// A connection for whoever has a turn; there are as many as turns.
    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.ok_or_else(|| StoreError::Failed("a reading connection is missing".into()))
    }

    fn put_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

/// The newest version of the tables.
#[cfg(test)]
pub(in crate::store) fn known_schema() -> u32 {
    schema::known()
}

/// Makes the tables of an earlier version.
#[cfg(test)]
pub(in crate::store) fn migrate_to(connection: &mut Connection, version: u32) {
    schema::migrate_to(connection, version).unwrap();
}

fn write_thread(
    mut connection: Connection,
    mut checkpoints: Checkpoints,
    mut jobs: mpsc::Receiver<Job>,
    lock: File,
) {
    while let Some(job) = jobs.blocking_recv() {
        job(&mut connection);
        checkpoints.after_write(&connection);
    }
    drop(checkpoints);
    // The last connection to close empties the write-ahead log; when that fails, the next start does it.
    let _ = connection.close();
    drop(lock);
}

impl Drop for SqliteStore {
    /// Closes the database: what was asked of it is done first, and then it is one file that can be copied.
    fn drop(&mut self) {
        self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let (closed, _) = mpsc::channel(1);
        self.writer = closed;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn connect(path: &Path, flags: OpenFlags, cache: i64) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.execute_batch(&format!("PRAGMA cache_size = -{cache}; PRAGMA temp_store = MEMORY;"))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

#[async_trait]
impl Store for SqliteStore {
    async fn configure(&self, sinks: &[SinkName], now: Timestamp) -> Result<(), StoreError> {
        let names = sinks.to_vec();
        let keys = self.write(move |c| sinks::configure(c, &names, now)).await?;
        *self.sinks.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    async fn transact(&self, transaction: Box<dyn Transaction>) -> Result<Durability, StoreError> {
        let sinks = self.sinks();
        self.run(move |c| commit::transact(c, &sinks, transaction)).await?;
        Ok(self.syncer.sync().await)
    }

    async fn stale(&self, now: Timestamp, limit: u32) -> Result<Stale, StoreError> {
        self.read(move |c| rules::stale(c, now, limit)).await
    }

    async fn next_evaluation(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(rules::next_evaluation).await
    }

    async fn note_time(&self, now: Timestamp) -> Result<Option<SignedDuration>, StoreError> {
        if self.read(move |c| clock::is_noted(c, now)).await? {
            return Ok(None);
        }
        self.write(move |c| clock::note(c, now)).await
    }

    async fn use_rules(&self, new: NewRules) -> Result<Adopted, StoreError> {
        let scopes = Arc::clone(&new.scopes);
        let adopted = self.write(move |c| rules::use_rules(c, &new)).await?;
        *self.scopes.write().unwrap_or_else(PoisonError::into_inner) = scopes;
        Ok(adopted)
    }

    async fn rules_versions(&self, limit: u32) -> Result<Vec<RulesVersion>, StoreError> {
        self.read(move |c| rules::versions(c, limit)).await
    }

    async fn rules_version(&self, number: Option<u64>) -> Result<Option<RulesVersion>, StoreError> {
        self.read(move |c| rules::version(c, number)).await
    }

    async fn people(&self, after: Option<Cursor>, limit: u32) -> Result<Vec<PersonView>, StoreError> {
        self.read(move |c| people::people(c, after, limit)).await
    }

    async fn groups(&self, after: Option<Cursor>, limit: u32) -> Result<Vec<StatedGroup>, StoreError> {
        self.read(move |c| people::groups(c, after, limit)).await
    }

    async fn due(&self, sink: &SinkName, now: Timestamp, limit: u32) -> Result<Vec<Due>, StoreError> {
        let (name, key) = (sink.clone(), self.sinks().key(sink)?);
        let scope = self.scopes.read().unwrap_or_else(PoisonError::into_inner).of(&name).cloned();
        self.read(move |c| queue::due(c, &queue::Taker { sink: name, key, scope }, now, limit)).await
    }

    async fn next_due(&self, sink: &SinkName) -> Result<Option<Timestamp>, StoreError> {
        let key = self.sinks().key(sink)?;
        self.read(move |c| turn::next_due(c, key)).await
    }

    async fn attempting(&self, sink: &SinkName, attempts: Vec<Attempted>) -> Result<(), StoreError> {
        let key = self.sinks().key(sink)?;
        self.write(move |c| queue::attempting(c, key, &attempts)).await
    }

    async fn settle(
        &self,
        sink: &SinkName,
        settlements: Vec<Settlement>,
        now: Timestamp,
    ) -> Result<Vec<Settled>, StoreError> {
        let key = self.sinks().key(sink)?;
        self.write(move |c| queue::settle(c, key, &settlements, now)).await
    }

    async fn withdrawn_lately(
        &self,
        sink: &SinkName,
        asked: Vec<Withdrawn>,
        since: Timestamp,
    ) -> Result<Lately, StoreError> {
        let key = self.sinks().key(sink)?;
        self.read(move |c| holds::withdrawn_lately(c, key, &asked, since)).await
    }

    async fn guard(
        &self,
        sink: &SinkName,
        guarded: Guarded,
        now: Timestamp,
    ) -> Result<Vec<Hold>, StoreError> {
        let (name, key) = (sink.clone(), self.sinks().key(sink)?);
        self.write(move |c| holds::guard(c, &name, key, &guarded, now)).await
    }

    async fn holds(&self, filter: &HoldFilter, limit: u32) -> Result<Vec<Hold>, StoreError> {
        let filter = filter.clone();
        self.read(move |c| holds::holds(c, &filter, limit)).await
    }

    async fn held(
        &self,
        hold: HoldId,
        after: Option<Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<HeldItem>, StoreError> {
        let sinks = self.sinks();
        let scopes = Arc::clone(&self.scopes.read().unwrap_or_else(PoisonError::into_inner));
        self.read(move |c| held::held(c, &sinks, &scopes, hold, (after, limit), now)).await
    }

    async fn decide(
        &self,
        hold: HoldId,
        decision: Decision,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<Option<usize>, StoreError> {
        let detail = by.clone();
        if !self.write(move |c| holds::decide(c, hold, decision, by.as_deref(), now)).await? {
            return Ok(None);
        }
        let of_it = QueueFilter { hold: Some(hold), ..QueueFilter::default() };
        let done = self.in_portions(&of_it, move |c, portion| {
            holds::carry_out(c, portion, hold, decision, detail.as_deref(), now)
        });
        done.await.map(Some)
    }

    async fn pause(&self, sink: &SinkName, pause: Option<Pause>) -> Result<(), StoreError> {
        let key = self.sinks().key(sink)?;
        self.write(move |c| sinks::pause(c, key, pause.as_ref())).await
    }

    async fn pauses(&self) -> Result<BTreeMap<SinkName, Pause>, StoreError> {
        self.read(sinks::pauses).await
    }

    async fn prune(&self, cutoffs: Cutoffs) -> Result<usize, StoreError> {
        for _ in 0..prune::MOST_STEPS {
            let place = *self.pruned.lock().unwrap_or_else(PoisonError::into_inner);
            let step = self.write(move |c| prune::step(c, cutoffs, place)).await?;
            *self.pruned.lock().unwrap_or_else(PoisonError::into_inner) = step.place;
            if step.gone > 0 || step.done {
                return Ok(step.gone);
            }
        }
        Ok(0)
    }

    async fn last_signed(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(events::last_signed).await
    }

    async fn space(&self) -> Result<Space, StoreError> {
        let path = self.path.clone();
        let asked = tokio::task::spawn_blocking(move || size::space(&path)).await;
        asked.map_err(|e| StoreError::Failed(e.to_string()))?
    }

    async fn overview(&self) -> Result<StoreView, StoreError> {
        let (sinks, path) = (self.sinks(), self.path.clone());
        self.read(move |c| views::overview(c, &sinks, &path)).await
    }

    async fn queue(&self, filter: &QueueFilter, limit: u32) -> Result<Vec<QueueItem>, StoreError> {
        let (sinks, filter) = (self.sinks(), filter.clone());
        self.read(move |c| items::list(c, &sinks, &filter, limit)).await
    }

    async fn retry(&self, filter: &QueueFilter) -> Result<usize, StoreError> {
        let state = filter.state;
        self.in_portions(filter, move |c, portion| items::retry(c, portion, state)).await
    }

    async fn drop_items(&self, filter: &QueueFilter, now: Timestamp) -> Result<usize, StoreError> {
        let state = filter.state;
        self.in_portions(filter, move |c, portion| items::drop_items(c, portion, state, now)).await
    }

    async fn users(&self, name: &str) -> Result<Vec<UserView>, StoreError> {
        let (sinks, name) = (self.sinks(), name.to_owned());
        self.read(move |c| views::users(c, &sinks, &name)).await
    }

    async fn user(&self, id: &UserId) -> Result<Option<UserView>, StoreError> {
        let (sinks, entity) = (self.sinks(), Entity::User(id.clone()));
        self.read(move |c| {
            let key = commit::key_of(c, &entity)?;
            key.map(|key| views::user(c, &sinks, key)).transpose()
        })
        .await
    }

    async fn find_users(
        &self,
        filter: &EntityFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Found<UserItem, Cursor>, StoreError> {
        let filter = filter.clone();
        self.read(move |c| search::users(c, &filter, after, limit)).await
    }

    async fn find_groups(
        &self,
        filter: &EntityFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Found<GroupItem, Cursor>, StoreError> {
        let filter = filter.clone();
        self.read(move |c| search::groups(c, &filter, after, limit)).await
    }

    async fn group(&self, id: &GroupId) -> Result<Option<GroupView>, StoreError> {
        let (sinks, id) = (self.sinks(), id.clone());
        self.read(move |c| search::group(c, &sinks, &id)).await
    }

    async fn members(
        &self,
        id: &GroupId,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Found<UserItem, Cursor>, StoreError> {
        let id = id.clone();
        self.read(move |c| search::members(c, &id, after, limit)).await
    }

    async fn activity(
        &self,
        filter: &ActivityFilter,
        after: Option<ActivityCursor>,
        limit: u32,
    ) -> Result<Found<ActivityItem, ActivityCursor>, StoreError> {
        let (filter, after) = (filter.clone(), after.map(|ActivityCursor(seq)| seq));
        let found =
            self.read(move |c| search::activity(c, &search::sink_names(c)?, &filter, after, limit)).await?;
        Ok(Found { items: found.items, next: found.next.map(ActivityCursor) })
    }

    async fn can_write(&self) -> Result<(), StoreError> {
        self.run(rules::note_nothing).await
    }

    async fn events(
        &self,
        filter: &EventFilter,
        after: Option<EventCursor>,
        limit: u32,
    ) -> Result<Found<EventItem, EventCursor>, StoreError> {
        let filter = filter.clone();
        self.read(move |c| events::events(c, &filter, after, limit)).await
    }

    async fn event(&self, id: &EventId, source: Option<&str>) -> Result<Vec<JournalEntry>, StoreError> {
        let (id, source) = (id.clone(), source.map(str::to_owned));
        self.read(move |c| events::event(c, &id, source.as_deref())).await
    }

    async fn consequences(
        &self,
        id: &EventId,
        entities: Vec<Entity>,
        limit: u32,
    ) -> Result<Vec<Consequence>, StoreError> {
        let id = id.clone();
        self.read(move |c| events::consequences(c, &id, &entities, limit)).await
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let turn = self.turn_to_copy()?;
        let source = backup::source(&self.path)?;
        // When nobody waits for it any more, it ends.
        let _given_up = Interrupt(source.get_interrupt_handle());
        let path = self.path.clone();
        let copied = tokio::task::spawn_blocking(move || backup::snapshot(&source, &path)).await;
        let (file, bytes) = copied.map_err(|e| StoreError::Failed(e.to_string()))??;
        Ok(Snapshot { file, bytes, _turn: turn })
    }

    async fn backup(&self, name: &Path) -> Result<BackupContents, StoreError> {
        let turn = self.turn_to_copy()?;
        let source = backup::source(&self.path)?;
        let _given_up = Interrupt(source.get_interrupt_handle());
        let (path, name) = (self.path.clone(), name.to_owned());
        let kept = tokio::task::spawn_blocking(move || {
            // As long as it is at it, nobody else is, whether anybody waits or not.
            let _turn = turn;
            backup::keep(&source, &name, backup::stays_free(&path, &name)?)
        });
        kept.await.map_err(|e| StoreError::Failed(e.to_string()))?
    }

    async fn size(&self) -> Result<StoreSize, StoreError> {
        let path = self.path.clone();
        self.read(move |c| size::size(c, &path)).await
    }

    async fn check(&self, after: Option<CheckPlace>, now: Timestamp) -> Result<CheckStep, StoreError> {
        let scopes = Arc::clone(&self.scopes.read().unwrap_or_else(PoisonError::into_inner));
        self.read(move |c| check::step(c, Some(&scopes), after, now)).await
    }

    async fn remembered(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = remembered_as(name);
        self.read(move |c| rules::setting(c, &name)).await
    }

    async fn remember(&self, name: &str, text: &str) -> Result<(), StoreError> {
        let (name, text) = (remembered_as(name), text.to_owned());
        self.write(move |c| rules::set(c, &name, &text)).await
    }

    async fn forget_unreadable(&self, id: &EventId, source: &str) -> Result<bool, StoreError> {
        let (id, source) = (id.clone(), source.to_owned());
        self.write(move |c| events::forget_unreadable(c, &id, &source)).await
    }
}

/// The name in the table of settings, apart from those of the store itself.
fn remembered_as(name: &str) -> String {
    format!("remembered {name}")
}
