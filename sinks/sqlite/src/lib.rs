//! rolecall's SQLite sink: users, groups and roles as tables in one file, for the demo and for small
//! applications.
//!
//! # Tables
//! `users`, `groups`, `group_members`, `roles` and `user_roles`, made and upgraded by the sink's numbered
//! migrations:
//! - `users`: one row a user, keyed by the source's id. `active` says whether the user may have access. A
//!   user who is gone at the source keeps the row, with `active = 0` and `deleted_at` set; one who comes back
//!   has the same row again. `email` is not unique: two organizations may know the same person.
//! - `groups`: one row a group, keyed by the source's id, with `deleted_at` likewise.
//! - `group_members`: who is in which group, and since when.
//! - `roles`, `user_roles`: every role ever granted by name, and who holds which now. Who is not active holds
//!   none.
//!
//! A membership may be known before its group: the group then has a row with the name that the member's data
//! gave it and `generation = 0`. `updated_at` moves when a column of that row changes, and only then.
//!
//! Rows whose `generation` is null are not the sink's and are never changed or removed; a user or group that
//! meets such a row is rejected, and setting the row's generation to 0 hands it over. A row never takes a
//! write of a generation lower than its own.
//!
//! # Other programs
//! The file is in WAL mode: others may read it at any time, and write to tables of their own. One that holds
//! the write lock for longer than `busy_timeout` makes the sink go down until it is done. File and directory
//! get the permissions that the daemon's umask leaves.

mod columns;
mod config;
mod database;
mod group;
mod observe;
mod user;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rolecall_sink_api::{
    Change, ConfigError, Findings, Observed, ObservedStream, Outcome, Sink, SinkDown, Timespan,
};
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{Mutex, OwnedMutexGuard};

pub use config::Config;

use database::{Database, KNOWN, Location};
use observe::Cursor;

/// The sink; see the crate's documentation.
pub struct SqliteSink {
    location: Location,
    timeout: Timespan,
    /// Whoever works with the file holds this, also when nobody waits for the answer any more.
    database: Arc<Mutex<Option<Database>>>,
}

impl SqliteSink {
    /// A sink of the given name. The file is opened, and made, when the sink is first used.
    ///
    /// # Errors
    /// When the configuration cannot be used: no such directory, limits that contradict each other.
    pub fn new(name: &str, config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        tracing::debug!(sink = name, path = %config.path.display(), "an SQLite file");
        Ok(Self {
            location: Location { path: config.path, busy_timeout: config.busy_timeout },
            timeout: config.timeout,
            database: Arc::default(),
        })
    }

    /// Works with the open database on a thread that may block, within `timeout`.
    async fn with_database<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, SinkDown> {
        let location = self.location.clone();
        self.bounded(doing, async {
            let database = Arc::clone(&self.database).lock_owned().await;
            blocking(move || {
                let mut database: OwnedMutexGuard<Option<Database>> = database;
                let mut open = match database.take().filter(|open| open.is_at(&location)) {
                    Some(open) => open,
                    None => Database::open(&location)?,
                };
                let result = work(&mut open.connection).map_err(|e| location.down(doing, &e));
                // After an error the file is opened again: it may not be the file any more.
                if result.is_ok() {
                    *database = Some(open);
                }
                result
            })
            .await
        })
        .await
    }

    async fn bounded<T>(
        &self,
        doing: &str,
        work: impl Future<Output = Result<T, SinkDown>>,
    ) -> Result<T, SinkDown> {
        tokio::time::timeout(self.timeout.get(), work).await.unwrap_or_else(|_| {
            Err(SinkDown::new(format!(
                "{doing} the SQLite file {}: not done within {} (`timeout`); is the disk alive?",
                self.location.path.display(),
                self.timeout
            )))
        })
    }
}

impl SqliteSink {
    /// The page at the cursor, on a connection that is opened with the first; and where the next one is.
    async fn page(
        &self,
        connection: Option<Connection>,
        cursor: Option<Cursor>,
    ) -> Result<Option<(Vec<Observed>, (Option<Connection>, Option<Cursor>))>, SinkDown> {
        let Some(cursor) = cursor else { return Ok(None) };
        let location = self.location.clone();
        let reading = blocking(move || {
            let connection = match connection {
                Some(connection) => Some(connection),
                None => location.open_to_read()?,
            };
            // No tables: nothing that the sink made.
            let Some(mut connection) = connection else { return Ok(None) };
            let (page, next) = cursor.page(&mut connection).map_err(|e| location.down("reading", &e))?;
            Ok(Some((page, (Some(connection), next))))
        });
        self.bounded("reading", reading).await
    }
}

/// Runs what blocks on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SinkDown> + Send + 'static,
) -> Result<T, SinkDown> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|e| Err(SinkDown::new(format!("the work on the SQLite file ended early: {e}"))))
}

#[async_trait]
impl Sink for SqliteSink {
    async fn apply(&self, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        let changes = changes.to_vec();
        self.with_database("writing to", move |connection| write::write(connection, &changes)).await
    }

    async fn probe(&self) -> Result<(), SinkDown> {
        self.with_database("asking for the write lock of", |connection| {
            connection.transaction_with_behavior(TransactionBehavior::Immediate)?.rollback()
        })
        .await
    }

    async fn check(&self) -> Result<Findings, SinkDown> {
        let location = self.location.clone();
        let path = location.path.display().to_string();
        let version = rusqlite::version();
        let opening = blocking(move || {
            let Some(mut connection) = location.open_to_read()? else { return Ok(None) };
            let found = (|| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                database::version(&transaction)
            })();
            found.map(Some).map_err(|e| location.down("asking for the write lock of", &e))
        });
        let schema = match self.bounded("opening", opening).await? {
            Some(found) => format!("schema: version {found} of {KNOWN}, writable"),
            None => "schema: no tables yet; the first delivery makes them".into(),
        };
        Ok(vec![format!("SQLite {version}, file {path}"), schema].into())
    }

    fn reads_target(&self) -> bool {
        true
    }

    fn observe(&self) -> Option<ObservedStream<'_>> {
        let start = (None, Some(Cursor::start()));
        let pages = stream::try_unfold(start, move |(connection, cursor)| self.page(connection, cursor));
        Some(pages.map_ok(|page| stream::iter(page).map(Ok)).try_flatten().boxed())
    }
}
