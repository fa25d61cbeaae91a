//! The file: opening it, its tables, and what SQLite's errors mean.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rolecall_sink_api::{SinkDown, Timespan};
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior};

/// Every migration there ever was, by number from 1. One that was released is never changed.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_tables.sql")];

/// The version this sink works with.
pub(crate) const KNOWN: u32 = MIGRATIONS.len() as u32;

/// Where the database is, and how patient to be with others who use it.
#[derive(Clone)]
pub(crate) struct Location {
    pub(crate) path: PathBuf,
    pub(crate) busy_timeout: Timespan,
}

/// An open database with its tables in place.
pub(crate) struct Database {
    pub(crate) connection: Connection,
    /// Which file that is, should another one take its path.
    file: Option<FileId>,
}

type FileId = (u64, u64);

fn file_id(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Database {
    /// Opens the file, makes it where there is none, and brings its tables up to date.
    pub(crate) fn open(location: &Location) -> Result<Self, SinkDown> {
        let mut connection = location.connect(OpenFlags::SQLITE_OPEN_CREATE)?;
        prepare(&connection).map_err(|e| location.down("setting up", &e))?;
        match migrate(&mut connection) {
            Ok(found) if found > KNOWN => Err(location.newer(found)),
            Ok(_) => Ok(Self { connection, file: file_id(&location.path) }),
            Err(error) => Err(location.down("making the tables in", &error)),
        }
    }

    /// Whether the path still leads to this file. One that was removed can still be written to, for nobody to
    /// read.
    pub(crate) fn is_at(&self, location: &Location) -> bool {
        self.file.is_some() && self.file == file_id(&location.path)
    }
}

impl Location {
    /// Opens the file to read; `None` where there is no file, or no tables of the sink's in it.
    pub(crate) fn open_to_read(&self) -> Result<Option<Connection>, SinkDown> {
        if !self.path.exists() {
            return Ok(None);
        }
        let connection = self.connect(OpenFlags::empty())?;
        match version(&connection).map_err(|e| self.down("reading the schema version of", &e))? {
            0 => Ok(None),
            found if found > KNOWN => Err(self.newer(found)),
            _ => Ok(Some(connection)),
        }
    }

    fn connect(&self, also: OpenFlags) -> Result<Connection, SinkDown> {
        // Without SQLITE_OPEN_URI: a path is a path, whatever it looks like.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | also;
        let open = || {
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(self.busy_timeout.get())?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.set_prepared_statement_cache_capacity(32);
            Ok(connection)
        };
        open().map_err(|e| self.down("opening", &e))
    }

    /// What stops all work, for a person.
    pub(crate) fn down(&self, doing: &str, error: &Error) -> SinkDown {
        let hint = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "; another program holds the file's write lock for longer than busy_timeout"
            }
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
                "; the daemon must be able to write to the file and its directory"
            }
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                "; the file is not an SQLite database, or is damaged: move it away, and a new one is made"
            }
            Some(ErrorCode::DiskFull) => "; make room on the disk",
            _ if error.to_string().contains("already exists") => {
                "; the file holds a table of that name that rolecall did not make: give the sink a \
                 file of its own"
            }
            _ => "",
        };
        SinkDown::new(format!("{doing} the SQLite file {}: {error}{hint}", self.path.display()))
    }

    fn newer(&self, found: u32) -> SinkDown {
        SinkDown::new(format!(
            "the SQLite file {} is at schema version {found}, but this rolecall knows versions up to {KNOWN} \
             only: a newer rolecall has been here; run that one, or give this one another `path`",
            self.path.display()
        ))
    }
}

/// Readers go on while the sink writes, and what is committed survives a power cut.
fn prepare(connection: &Connection) -> Result<(), Error> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    }
    connection.pragma_update(None, "synchronous", "FULL")
}

/// The version of the sink's tables, 0 where there are none.
pub(crate) fn version(connection: &Connection) -> Result<u32, Error> {
    let table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'rolecall_migrations'";
    if connection.query_row(table, [], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    connection.query_row("SELECT coalesce(max(version), 0) FROM rolecall_migrations", [], |row| row.get(0))
}

/// Runs what is missing, all or nothing; the version that was found.
fn migrate(connection: &mut Connection) -> Result<u32, Error> {
    let found = version(connection)?;
    if found >= KNOWN {
        return Ok(found);
    }
    // Takes the write lock first, so that of two that start at once the second finds everything done.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS rolecall_migrations (version INTEGER NOT NULL PRIMARY KEY, \
         applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))",
    )?;
    for (version, sql) in (1_u32..).zip(MIGRATIONS).skip_while(|(version, _)| *version <= found) {
        transaction.execute_batch(sql)?;
        transaction.execute("INSERT INTO rolecall_migrations (version) VALUES (?1)", [version])?;
    }
    transaction.commit()?;
    Ok(found)
}
