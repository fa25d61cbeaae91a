//! A store that no daemon has open, for those who look after it.

use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::file;
use super::{READER_CACHE, backup, check, connect, restore, schema, size};
use crate::rules::Scopes;
use crate::store::{BackupContents, CheckPlace, CheckStep, Restored, StoreError, StoreSize};

/// A store that no daemon has open, and none can open while this is held.
#[derive(Debug)]
pub struct StoppedStore {
    path: PathBuf,
    _lock: File,
}

impl StoppedStore {
    /// Takes the store at `path` for oneself. Nothing needs to be there yet, except its directory.
    ///
    /// # Errors
    /// When a daemon has it open.
    pub fn lock(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), _lock: file::lock(path)? })
    }

    /// As [`lock`](Self::lock), of a store that must be there.
    ///
    /// # Errors
    /// When it is not, or a daemon has it open.
    pub fn existing(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            let why = "there is no such file".to_owned();
            return Err(StoreError::NoStore { path: path.display().to_string(), why });
        }
        Self::lock(path)
    }

    /// Makes a checked copy under this name, which is replaced.
    ///
    /// # Errors
    /// When it cannot be made; then nothing is there under this name that was not there before.
    pub fn backup(&self, name: &Path) -> Result<BackupContents, StoreError> {
        backup::keep(&backup::source(&self.path)?, name, backup::STAYS_FREE)
    }

    /// A copy without a name, to be sent somewhere, and its length.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn snapshot(&self) -> Result<(File, u64), StoreError> {
        backup::snapshot(&backup::source(&self.path)?, &self.path)
    }

    /// Puts a backup in the place of this store, which is kept under another name. When the daemon starts on it,
    /// everybody is brought up to date in every sink once more.
    ///
    /// # Errors
    /// When the backup is no whole store that this version knows, or something cannot be written: then the store is as it
    /// was.
    pub fn restore(self, backup: &Path, now: Timestamp) -> Result<Restored, StoreError> {
        restore::restore(&self.path, backup, now)
    }

    /// What takes how much space.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn size(&self) -> Result<StoreSize, StoreError> {
        size::size(&self.connect()?, &self.path)
    }

    /// The next step of looking whether all is well; the first without a place. Changes nothing.
    ///
    /// # Errors
    /// When the store cannot be read at all.
    pub fn check(&self, after: Option<CheckPlace>, now: Timestamp) -> Result<CheckStep, StoreError> {
        let connection = self.connect()?;
        let scopes = check::had_no_scopes(&connection)?.then(Scopes::default);
        check::step(&connection, scopes.as_ref(), after, now)
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = connect(&self.path, flags, READER_CACHE)?;
        connection.pragma_update(None, "query_only", true)?;
        let (found, known) = (schema::version(&connection)?, schema::known());
        schema::is_known(found, &self.path.display().to_string())?;
        if found < known {
            return Err(StoreError::Failed(format!(
                "the store {} has tables of version {found}, and this is about those of version {known}: they are brought \
                 up to date when the daemon starts",
                self.path.display()
            )));
        }
        Ok(connection)
    }
}

/// Looks through a backup: whether it is a whole store that this version knows, and what it holds.
///
/// # Errors
/// When it is not, and why.
pub fn verify_backup(path: &Path) -> Result<BackupContents, StoreError> {
    backup::verify(path)
}
