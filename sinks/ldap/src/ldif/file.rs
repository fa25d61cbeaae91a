//! The file: read back when it is opened, appended to and synced with every batch.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rolecall_sink_api::SinkDown;

use super::error::LdifError;
use super::held::Held;
use super::memory::Memory;
use super::record;
use crate::dn::Dn;
use crate::entry::{AttributeName, Entry};
use crate::query::Query;
use crate::request::{Reply, Request};

/// An LDIF file that is written to. Its clones are the same file.
#[derive(Clone)]
pub(crate) struct LdifFile {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    held: Held,
    memory: Memory,
    /// Records that are not in the file yet. What a batch that was cut off had planned stays here, and goes into
    /// the file with the next.
    pending: String,
    /// Whether something had to be taken for written that no record made: the file lacks earlier records.
    lacks_records: bool,
}

impl LdifFile {
    /// Opens the file, or makes it, locks it, and reads back its records. A last record that a crash cut short is
    /// cut off.
    pub(super) fn open(path: &Path, marker: AttributeName) -> Result<Self, LdifError> {
        let mut memory = Memory::new(marker);
        let held = Held::take(path, |request| drop(memory.write(&request)))?;
        let state = State { held, memory, pending: String::new(), lacks_records: false };
        Ok(Self { path: path.to_owned(), state: Arc::new(Mutex::new(state)) })
    }

    pub(crate) fn read(&self, dn: &Dn) -> Option<Entry> {
        self.lock().memory.read(dn).cloned()
    }

    pub(crate) fn search(&self, query: &Query) -> Vec<Entry> {
        self.lock().memory.search(query)
    }

    /// Records one request, unless the records so far rule it out. It is in the file after [`Self::commit`].
    pub(crate) fn write(&self, request: &Request) -> Reply {
        let mut state = self.lock();
        let reply = state.memory.write(request);
        if reply.code == 0 {
            record::write(&mut state.pending, request);
        }
        reply
    }

    /// Whether a record has ever made an entry with this mark, be it gone since.
    pub(super) fn has_made(&self, mark: &str) -> bool {
        self.lock().memory.has_made(mark)
    }

    /// Takes an entry for written that the file does not have.
    pub(super) fn put(&self, entry: Entry) {
        let mut state = self.lock();
        state.lacks_records = true;
        state.memory.put(entry);
    }

    /// Whether records are missing that were written once.
    pub(super) fn lacks_records(&self) -> bool {
        self.lock().lacks_records
    }

    /// Brings what is pending into the file and onto the disk. The file may have been moved away since the last
    /// time: then there is a new one.
    pub(crate) async fn commit(&self) -> Result<(), SinkDown> {
        let (path, state) = (self.path.clone(), self.state.clone());
        let written = tokio::task::spawn_blocking(move || {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let State { held, pending, .. } = &mut *state;
            held.follow(&path)?;
            held.append(&path, pending)?;
            pending.clear();
            Ok::<_, LdifError>(())
        });
        match written.await {
            Ok(written) => written.map_err(|e| e.down(&self.path)),
            Err(e) => Err(SinkDown::new(format!("{}: {e}", self.path.display()))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of the state is whole when it panics, so a poisoned lock guards nothing worse.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
