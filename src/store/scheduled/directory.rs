//! The directory that scheduled backups are kept in, and which of its files are this store's. Nothing else there is
//! touched.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::KeptBackup;
use crate::store::sqlite::is_database;

/// What the name of every backup begins and ends with.
const START: &str = "rolecall-";
const END: &str = ".db";
/// What is behind the name of one that is not complete.
const UNFINISHED: &str = ".new";
/// The time in a name, in UTC.
const TIME: &str = "%Y%m%dT%H%M%SZ";
/// Everybody's names and addresses are in it.
const ONLY_OURS: u32 = 0o700;

/// Which store a backup is of: several may be backed up into one directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoreId(u32);

impl StoreId {
    /// Of a store that has none yet.
    pub(super) fn new() -> Self {
        Self(rand::random())
    }

    /// As [`Display`](fmt::Display) writes it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let id = u32::from_str_radix(text, 16).ok().map(Self);
        id.filter(|id| id.to_string() == text)
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The backups of one store in a directory.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    path: PathBuf,
    store: StoreId,
}

/// What could not be done with the directory or a file in it.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {error}", path.display())]
pub(super) struct DirectoryError {
    doing: &'static str,
    path: PathBuf,
    error: io::Error,
}

impl Directory {
    pub(super) fn new(path: &Path, store: StoreId) -> Self {
        Self { path: path.to_owned(), store }
    }

    /// Makes the directory when it is not there, in one that is, and removes what was never finished.
    pub(super) fn prepare(&self) -> Result<(), DirectoryError> {
        match DirBuilder::new().mode(ONLY_OURS).create(&self.path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(self.cannot("make the directory", &self.path, error));
            }
            _ => {}
        }
        for name in self.names()? {
            if name.strip_suffix(UNFINISHED).is_some_and(|name| self.time(name).is_some()) {
                self.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Where a backup goes that is begun at this time.
    pub(super) fn name(&self, at: Timestamp) -> PathBuf {
        self.path.join(format!("{START}{}-{}{END}", self.store, at.strftime(TIME)))
    }

    /// The complete backups of this store, the newest first. Only what has a name as we give it and begins as a database
    /// does is one.
    pub(super) fn list(&self) -> Result<Vec<KeptBackup>, DirectoryError> {
        let mut found = Vec::new();
        for name in self.names()? {
            let Some(at) = self.time(&name) else { continue };
            let path = self.path.join(&name);
            let look = |error| self.cannot("look at", &path, error);
            let file = fs::symlink_metadata(&path).map_err(look)?;
            if file.is_file() && is_database(&path).map_err(look)? {
                found.push(KeptBackup { file: name, at, bytes: file.len() });
            } else {
                tracing::debug!(file = %path.display(), "has the name of a backup, and is none: it is left alone");
            }
        }
        found.sort_by_key(|backup| std::cmp::Reverse(backup.at));
        Ok(found)
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), DirectoryError> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.cannot("remove", &path, error)),
            _ => Ok(()),
        }
    }

    /// When the backup of this name was begun, if it is one of this store's.
    fn time(&self, name: &str) -> Option<Timestamp> {
        let name = name.strip_prefix(START)?.strip_suffix(END)?;
        let time = name.strip_prefix(&self.store.to_string())?.strip_prefix('-')?;
        let at = Offset::UTC.to_timestamp(DateTime::strptime(TIME, time).ok()?).ok()?;
        // Nothing that only looks similar.
        (at.strftime(TIME).to_string() == time).then_some(at)
    }

    /// What is there. A name that is no UTF-8 is not ours.
    fn names(&self) -> Result<Vec<String>, DirectoryError> {
        let read = |error| self.cannot("read the directory", &self.path, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(read)? {
            names.extend(entry.map_err(read)?.file_name().into_string());
        }
        Ok(names)
    }

    fn cannot(&self, doing: &'static str, path: &Path, error: io::Error) -> DirectoryError {
        DirectoryError { doing, path: path.to_owned(), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn only_what_has_exactly_such_a_name_and_is_a_database_is_a_backup() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::new(place.path(), StoreId(0xab));
        let write = |name: &str, start: &str| fs::write(place.path().join(name), start).unwrap();
        let database = "SQLite format 3\0 and so on";
        write("rolecall-000000ab-20261124T120000Z.db", database);
        assert_eq!(directory.name(noon()), place.path().join("rolecall-000000ab-20261124T120000Z.db"));
        write("rolecall-000000ab-20261124T110000Z.db", "a letter");
        fs::create_dir(place.path().join("rolecall-000000ab-20261124T100000Z.db")).unwrap();
        std::os::unix::fs::symlink(
            place.path().join("rolecall-000000ab-20261124T120000Z.db"),
            place.path().join("rolecall-000000ab-20261124T090000Z.db"),
        )
        .unwrap();
        for other in [
            "rolecall-000000ac-20261124T120000Z.db",
            "rolecall-000000AB-20261124T120000Z.db",
            "rolecall-20261124T120000Z.db",
            "rolecall-000000ab-20261124T120000Z.db.zst",
            "rolecall-000000ab-20261124T120060Z.db",
            "rolecall-000000ab-2026-11-24.db",
            "copy of rolecall-000000ab-20261124T120000Z.db",
            "rolecall.db",
        ] {
            write(other, database);
        }
        let found = directory.list().unwrap();
        let expected = KeptBackup {
            file: "rolecall-000000ab-20261124T120000Z.db".into(),
            at: noon(),
            bytes: database.len() as u64,
        };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn what_this_store_never_finished_is_removed_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::new(&place.path().join("new"), StoreId(0xab));
        directory.prepare().unwrap();
        let ours = "rolecall-000000ab-20261124T120000Z.db.new";
        let other = "rolecall-000000ac-20261124T120000Z.db.new";
        for name in [ours, other, "notes.new"] {
            fs::write(place.path().join("new").join(name), "").unwrap();
        }
        directory.prepare().unwrap();
        let mut left = directory.names().unwrap();
        left.sort();
        assert_eq!(left, ["notes.new", other]);
    }

    #[test]
    fn the_id_of_a_store_is_read_as_it_was_written_and_nothing_else_is() {
        let id = StoreId::new();
        assert_eq!(StoreId::parse(&id.to_string()), Some(id));
        for wrong in ["", "ab", "+00000ab", "000000AB", "0000000ab"] {
            assert_eq!(StoreId::parse(wrong), None, "{wrong}");
        }
    }
}
