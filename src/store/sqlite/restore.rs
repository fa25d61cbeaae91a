//! Putting a backup in the place of a store, and what the next start makes of it.
//!
//! A store that goes back in time no longer knows what sinks confirmed since. So after a restore everybody is queued for
//! every sink once more, under a newer generation than any target has seen: sinks look at what is there, and bring it to
//! what the store says.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction};

use super::backup::{self, STAYS_FREE};
use super::convert::micros;
use super::file::{self, ONLY_OURS};
use super::{READER_CACHE, connect};
use crate::store::{BackupContents, Restored, StoreError};

/// The files that SQLite puts beside a database.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// Puts a backup where the store at `path` is or was, which nobody has open. The store that was there is kept under
/// another name.
pub(super) fn restore(path: &Path, backup: &Path, now: Timestamp) -> Result<Restored, StoreError> {
    let new = file::beside(path, ".restoring");
    remove(&new)?;
    let restored = prepare(path, backup, &new, now).and_then(|contents| {
        let kept = set_aside(path, now)?;
        std::fs::rename(&new, path).map_err(|e| failed("put in place", path, &e))?;
        file::sync_directory(path)?;
        Ok(Restored { store: path.to_owned(), contents, kept })
    });
    if restored.is_err() {
        // The error that is told is the one that matters.
        let _ = remove(&new);
    }
    restored
}

/// The backup, copied beside the store and looked through there: those are the bytes that will be the store.
fn prepare(path: &Path, backup: &Path, new: &Path, now: Timestamp) -> Result<BackupContents, StoreError> {
    let no_store = |why: String| StoreError::NoStore { path: backup.display().to_string(), why };
    let mut from = File::open(backup).map_err(|e| no_store(format!("cannot open it: {e}")))?;
    let log = std::fs::metadata(file::beside(backup, "-wal")).map_or(0, |meta| meta.len());
    if log > 0 {
        return Err(no_store(
            "a write-ahead log (-wal) lies beside it, so it is a copy of the files of a store, and not all of it is in this one; \
             make a backup of it by `rolecall store backup --store`"
                .into(),
        ));
    }
    let bytes = from.metadata().map_err(|e| failed("look at", backup, &e))?.len();
    let free = file::free_bytes(new).map_err(|e| failed("ask for the room for", new, &e))?;
    let needed = bytes.saturating_add(STAYS_FREE);
    if free < needed {
        return Err(StoreError::NoRoom { path: new.display().to_string(), needed, free });
    }
    let mut to = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(ONLY_OURS)
        .open(new)
        .map_err(|e| failed("make", new, &e))?;
    io::copy(&mut from, &mut to).map_err(|e| failed("write", new, &e))?;
    let contents = backup::verify(new).map_err(|error| match error {
        // It is the backup that is meant, and not its copy.
        StoreError::NoStore { why, .. } => no_store(why),
        other => other,
    })?;
    note(new, now)?;
    file::belongs(&to, path).map_err(|e| failed("give the store's owner", new, &e))?;
    if let Ok(old) = std::fs::metadata(path) {
        let mode = Permissions::from_mode(old.mode() & 0o777);
        to.set_permissions(mode).map_err(|e| failed("set the permissions of", new, &e))?;
    }
    to.sync_all().map_err(|e| failed("sync", new, &e))?;
    Ok(contents)
}

/// Gives the store another name, with its log. At every moment a store lies at `path`: a daemon that started in between
/// would make an empty one otherwise.
fn set_aside(path: &Path, now: Timestamp) -> Result<Option<PathBuf>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    // What is in its log goes into the file, and the log goes when this closes. That of a damaged store is kept with it.
    if backup::is_database(path).unwrap_or(false)
        && let Ok(old) = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, READER_CACHE)
    {
        let _ = old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    let kept = backup::replaced(path, now);
    std::fs::hard_link(path, &kept).map_err(|e| failed("keep the old store as", &kept, &e))?;
    for suffix in BESIDE {
        match std::fs::rename(file::beside(path, suffix), file::beside(&kept, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(failed("move away", &file::beside(path, suffix), &error));
            }
            _ => {}
        }
    }
    Ok(Some(kept))
}

fn remove(new: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let name = file::beside(new, suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(failed("make room for", &name, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn failed(doing: &str, path: &Path, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Failed(format!("cannot {doing} {}: {error}", path.display()))
}

/// Notes in a store that it was restored, for its next start.
fn note(path: &Path, now: Timestamp) -> Result<(), StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, READER_CACHE)?;
    connection.execute(
        "INSERT OR REPLACE INTO setting (name, value) VALUES ('restored', ?1)",
        [micros(now).to_string()],
    )?;
    connection.close().map_err(|(_, error)| error.into())
}

/// Whether the store was restored since it was last opened. Then everything has a new generation, so that targets take
/// it, whatever they were told after the backup.
pub(super) fn was_restored(transaction: &Transaction<'_>, now: Timestamp) -> Result<bool, StoreError> {
    let restored = transaction.execute("DELETE FROM setting WHERE name = 'restored'", [])? > 0;
    if restored {
        transaction.execute("UPDATE entity SET generation = max(generation + 1, ?1)", [micros(now)])?;
        tracing::warn!(
            newest = ?newest(transaction)?,
            "the store was restored from a backup: everybody is brought up to date in every sink once more, to what the \
             backup says; what was received after it comes back only when it is sent again"
        );
    }
    Ok(restored)
}

/// When the newest message in the store arrived, for people.
fn newest(connection: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let mut select = connection.prepare("SELECT received_at FROM event ORDER BY seq DESC LIMIT 1")?;
    let at: Option<i64> = select.query_row([], |row| row.get(0)).optional()?;
    Ok(at.map(super::convert::time))
}
