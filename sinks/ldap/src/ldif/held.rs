//! The file as its one writer holds it: locked, mended, appended to.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::error::LdifError;
use super::target::directory;
use super::{read, record};
use crate::request::Request;

/// How long the lock is waited for: a `check` has it for a moment, and a batch that was cut off until its last
/// write is on the disk.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// A file that is locked for as long as this is there.
#[derive(Debug)]
pub(super) struct Held {
    file: File,
    /// Where the whole records end, when a write failed half-way and what it left could not be cut off yet.
    torn_at: Option<u64>,
}

impl Held {
    /// Opens the file, or makes it, locks it, and hands its records to `each`. A last record that a crash cut short
    /// is cut off.
    pub(super) fn take(path: &Path, each: impl FnMut(Request)) -> Result<Self, LdifError> {
        // It is full of people's data: a new one is for the daemon's user alone.
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
        let file = file.map_err(LdifError::failed("open the file"))?;
        lock(&file)?;
        let whole = read::records(&file, each)?;
        let mut held = Self { file, torn_at: Some(whole) };
        held.mend().map_err(LdifError::failed("cut off the record that a crash cut short"))?;
        Ok(held)
    }

    /// Takes the file that is at `path` now, should this one have been moved away.
    pub(super) fn follow(&mut self, path: &Path) -> Result<(), LdifError> {
        if !self.is_at(path).map_err(LdifError::failed("look for the file"))? {
            *self = Self::take(path, drop)?;
        }
        Ok(())
    }

    /// Appends `records` and syncs them; a write that fails half-way is undone.
    pub(super) fn append(&mut self, path: &Path, records: &str) -> Result<(), LdifError> {
        if records.is_empty() {
            return Ok(());
        }
        let failed = LdifError::failed("append to the file");
        self.mend().map_err(&failed)?;
        let before = self.file.metadata().map_err(&failed)?.len();
        let written = self.write(path, records, before == 0);
        if written.is_err() {
            self.torn_at = Some(before);
            // Where this fails too, it is tried again before the next records.
            let _ = self.mend();
        }
        written.map_err(failed)
    }

    fn write(&mut self, path: &Path, records: &str, first: bool) -> io::Result<()> {
        if first {
            self.file.write_all(record::VERSION.as_bytes())?;
        }
        self.file.write_all(records.as_bytes())?;
        self.file.sync_all()?;
        if first {
            // A new file is only there after a power cut when its directory was synced too.
            File::open(directory(path))?.sync_all()?;
        }
        Ok(())
    }

    fn mend(&mut self) -> io::Result<()> {
        if let Some(whole) = self.torn_at {
            if self.file.metadata()?.len() > whole {
                self.file.set_len(whole)?;
                self.file.sync_all()?;
            }
            self.torn_at = None;
        }
        Ok(())
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let there = match fs::metadata(path) {
            Ok(there) => there,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        };
        let ours = self.file.metadata()?;
        Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino()))
    }
}

fn lock(file: &File) -> Result<(), LdifError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => return Err(LdifError::InUse),
            Err(TryLockError::Error(e)) => return Err(LdifError::failed("lock the file")(e)),
        }
    }
}
