//! Copies of the whole store: made while others write, and looked through before anybody relies on them.
//!
//! `VACUUM INTO` reads the store in one transaction, so a copy is the store as it was at one moment, without what is in
//! the write-ahead log being lost, and writes it in order and without free pages. Who commits meanwhile does not wait
//! for it; the log cannot begin anew until it is done, and grows by what they write.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use super::convert::{time, unsigned};
use super::file::{self, ONLY_OURS};
use super::{READER_CACHE, connect, schema, size};
use crate::store::{BackupContents, Space, StoreError};

/// What stays free on the disk beside a copy, in bytes: messages go on arriving.
pub(super) const STAYS_FREE: u64 = 16 * 1024 * 1024;
/// The most damages of a file that are told.
const MOST_DAMAGES: u32 = 10;
/// Without any of these it is another program's database.
const OURS: [&str; 5] = ["entity", "event", "membership", "queue", "setting"];

/// A connection that makes a copy of the store at `path`. Interrupting it ends that.
pub(super) fn source(path: &Path) -> Result<Connection, StoreError> {
    // Whoever may only read leaves the files of the log behind where nobody else has the store open.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = connect(path, flags, READER_CACHE)?;
    // A copy that must survive is synced once, when it is complete.
    connection.pragma_update(None, "synchronous", "OFF")?;
    Ok(connection)
}

/// Removes what a process that was killed while it made a copy has left behind.
pub(super) fn remove_leftovers(path: &Path) {
    for suffix in [".snapshot", ".restoring"] {
        let name = file::beside(path, suffix);
        match std::fs::remove_file(&name) {
            Ok(()) => {
                tracing::info!(file = %name.display(), "removed a copy of the store that was never finished")
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(file = %name.display(), %error, "a copy of the store that was never finished could not be removed")
            }
        }
    }
}

/// A copy beside the store at `path` that has lost its name, and its length.
pub(super) fn snapshot(source: &Connection, path: &Path) -> Result<(File, u64), StoreError> {
    let name = file::beside(path, ".snapshot");
    let copied = copy(source, &name, STAYS_FREE)
        .and_then(|()| File::open(&name).map_err(|e| failed("read", &name, &e)));
    // Of a process that was killed meanwhile the next one removes it.
    let removed = std::fs::remove_file(&name);
    let file = copied?;
    removed.map_err(|e| failed("remove", &name, &e))?;
    let bytes = file.metadata().map_err(|e| failed("look at", &name, &e))?.len();
    Ok((file, bytes))
}

/// A copy under this name that is checked and on disk when this returns. What had the name before is replaced then,
/// and not before. It is not begun unless so many bytes stay free beside it.
pub(super) fn keep(source: &Connection, name: &Path, free: u64) -> Result<BackupContents, StoreError> {
    let new = file::beside(name, ".new");
    let kept = copy(source, &new, free).and_then(|()| {
        let contents = verify(&new)?;
        File::open(&new).and_then(|file| file.sync_all()).map_err(|e| failed("sync", &new, &e))?;
        std::fs::rename(&new, name).map_err(|e| failed("put in place", name, &e))?;
        file::sync_directory(name)?;
        Ok(contents)
    });
    if kept.is_err() {
        // It may never have been there.
        let _ = std::fs::remove_file(&new);
    }
    kept
}

/// What stays free beside a copy that nobody has asked for, under this name: where the store at `path` is on the same disk,
/// as much as it takes for that not to be nearly full.
pub(super) fn stays_free(path: &Path, name: &Path) -> Result<u64, StoreError> {
    let shared = file::same_disk(path, name).map_err(|e| failed("look at the directory of", name, &e))?;
    Ok(if shared { Space::enough(size::taken(path)) } else { STAYS_FREE })
}

/// Copies all to a new file, which only its owner can read.
fn copy(source: &Connection, to: &Path, free: u64) -> Result<(), StoreError> {
    room_for(source, to, free)?;
    match std::fs::remove_file(to) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("make room for", to, &error)),
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(ONLY_OURS)
        .open(to)
        .map_err(|e| failed("make", to, &e))?;
    let name = to.to_str().ok_or_else(|| failed("make", to, &"the path is no UTF-8"))?;
    source.execute("VACUUM INTO ?1", [name]).map(|_| ()).map_err(|error| {
        // A part of a copy is none.
        let _ = std::fs::remove_file(to);
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => {
                StoreError::Failed("the copy was given up: nobody waits for it any more".into())
            }
            _ => error.into(),
        }
    })
}

/// Looks beforehand whether there is room: a copy that fills the disk would have messages turned away.
fn room_for(source: &Connection, to: &Path, stays: u64) -> Result<(), StoreError> {
    let pragma = |name| source.pragma_query_value(None, name, |row| row.get::<_, i64>(0).map(unsigned));
    let used = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
    let needed = used * pragma("page_size")? + stays;
    let free = file::free_bytes(to).map_err(|e| failed("ask for the room for", to, &e))?;
    if free < needed {
        return Err(StoreError::NoRoom { path: to.display().to_string(), needed, free });
    }
    Ok(())
}

fn failed(doing: &str, path: &Path, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Failed(format!("cannot {doing} {}: {error}", path.display()))
}

/// Looks through a copy: whether it is a whole store that this version knows, and what it holds.
///
/// # Errors
/// When it is not, and why.
pub(in crate::store) fn verify(path: &Path) -> Result<BackupContents, StoreError> {
    let no_store = |why: String| StoreError::NoStore { path: path.display().to_string(), why };
    if !is_database(path).map_err(|error| no_store(error.to_string()))? {
        return Err(no_store("it is no SQLite database".into()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let damaged = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            no_store("it is damaged, or only a part of a backup".into())
        }
        _ => error.into(),
    };
    let connection = connect(path, flags, READER_CACHE).map_err(damaged)?;
    let schema = schema::version(&connection).map_err(damaged)?;
    let mut table = connection.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?;
    for name in OURS {
        if schema == 0 || !table.exists([name])? {
            return Err(no_store("it is a database of another program, or an empty one".into()));
        }
    }
    schema::is_known(schema, &path.display().to_string())?;
    let damages = damages(&connection, None)?;
    if !damages.is_empty() {
        return Err(no_store(format!("it is damaged: {}", damages.join("; "))));
    }
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0).map(unsigned));
    let last_event: Option<i64> = connection
        .query_row("SELECT received_at FROM event ORDER BY seq DESC LIMIT 1", [], |row| row.get(0))
        .optional()?;
    Ok(BackupContents {
        schema,
        users: count("SELECT count(*) FROM entity WHERE kind = 0 AND status <> 0")?,
        groups: count("SELECT count(*) FROM entity WHERE kind = 1 AND status <> 0")?,
        events: count("SELECT count(*) FROM event")?,
        last_event: last_event.map(time),
        bytes: std::fs::metadata(path).map_or(0, |meta| meta.len()),
    })
}

/// Whether the file begins as every database does.
pub(in crate::store) fn is_database(path: &Path) -> std::io::Result<bool> {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    let mut start = Vec::new();
    File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut start)?;
    Ok(start == MAGIC)
}

/// What SQLite finds wrong with the file, or with one table and its indexes; nothing in one that is sound.
pub(super) fn damages(connection: &Connection, table: Option<&str>) -> Result<Vec<String>, StoreError> {
    let sql = match table {
        // A name of ours, which is no input.
        Some(table) => format!("PRAGMA integrity_check('{table}')"),
        None => format!("PRAGMA integrity_check({MOST_DAMAGES})"),
    };
    let mut check = connection.prepare(&sql)?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?;
    let mut found: Vec<String> = match lines.collect() {
        Ok(lines) => lines,
        // Some damages end the check itself.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            vec![error.to_string()]
        }
        Err(error) => return Err(error.into()),
    };
    found.retain(|line| line != "ok");
    found.truncate(MOST_DAMAGES as usize);
    Ok(found)
}

/// Where the store lies as it was before its tables were brought up to this version.
pub(super) fn before(path: &Path, version: u32) -> PathBuf {
    file::beside(path, &format!(".before-v{version}"))
}

/// Keeps the store as it is before its tables are brought up to date, so that the older binary can be gone back to.
/// The newest such copy alone is kept. Where there is no room for one, that is said, and the store goes on: a daemon that
/// does not start would be worse.
pub(super) fn before_migration(path: &Path, found: u32) -> Result<(), StoreError> {
    let name = before(path, found + 1);
    match keep(&source(path)?, &name, STAYS_FREE) {
        Ok(_) => {
            tracing::info!(
                copy = %name.display(),
                "the store's tables are brought up to date; `rolecall store restore` puts this copy back, for the version before"
            );
            remove_older(path, &name);
            Ok(())
        }
        Err(error @ (StoreError::NoRoom { .. } | StoreError::Full(_))) => {
            tracing::warn!(%error, "the store's tables are brought up to date without a copy of what they were: going back to the version before needs a backup");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn remove_older(path: &Path, newest: &Path) {
    let version = |version| before(path, version);
    for older in (1..=schema::known()).map(version).filter(|older| older != newest) {
        match std::fs::remove_file(&older) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(copy = %older.display(), %error, "an older copy of the store could not be removed");
            }
            _ => {}
        }
    }
}

/// The name under which a store is kept that a backup takes the place of.
pub(super) fn replaced(path: &Path, now: Timestamp) -> PathBuf {
    file::beside(path, &format!(".replaced-{}", now.strftime("%Y%m%dT%H%M%SZ")))
}
