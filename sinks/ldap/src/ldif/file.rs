//! The file: read back when it is opened, appended to and synced with every batch.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rolecall_sink_api::SinkDown;

use super::memory::Memory;
use super::{parse, record};
use crate::dn::Dn;
use crate::entry::{AttributeName, Entry};
use crate::query::Query;
use crate::request::{Reply, Request};

/// The longest line that is read back, in bytes: a base64 value of the largest template output, and then some.
const MAX_LINE: u64 = 4 * 1024 * 1024;

/// An LDIF file that is written to.
pub(crate) struct LdifFile {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    memory: Memory,
    /// Records that are not in the file yet. What a batch that was cut off had planned stays here, and goes into
    /// the file with the next.
    pending: String,
    /// Whether something had to be taken for written that no record made: the file lacks earlier records.
    lacks_records: bool,
}

impl LdifFile {
    /// Opens the file, or makes it, and reads back its records. A last record that a crash cut short is cut off.
    pub(crate) fn open(path: &Path, marker: AttributeName) -> io::Result<Self> {
        let mut file = open(path)?;
        let (memory, whole) = read_back(&mut file, marker)?;
        if file.metadata()?.len() > whole {
            file.set_len(whole)?;
            file.sync_all()?;
        }
        let state = State { memory, pending: String::new(), lacks_records: false };
        Ok(Self { path: path.to_owned(), state: Arc::new(Mutex::new(state)) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
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

    /// Brings what is pending into the file and onto the disk.
    pub(crate) async fn commit(&self) -> Result<(), SinkDown> {
        let (path, state) = (self.path.clone(), self.state.clone());
        let written = tokio::task::spawn_blocking(move || {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            append(&path, &state.pending)?;
            state.pending.clear();
            Ok::<_, io::Error>(())
        });
        let result = written.await.map_err(|e| io::Error::other(e.to_string())).flatten();
        result.map_err(|e| SinkDown::new(format!("{}: cannot append to the file: {e}", self.path.display())))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of the state is whole when it panics, so a poisoned lock guards nothing worse.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> io::Result<File> {
    // It is full of people's data: a new one is for the daemon's user alone.
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

/// Appends `records`. The file is opened anew, so that it may be moved away between two batches; a write that
/// fails half-way is undone.
fn append(path: &Path, records: &str) -> io::Result<()> {
    let mut file = open(path)?;
    if records.is_empty() {
        return Ok(());
    }
    let before = file.metadata()?.len();
    let head = if before == 0 { record::VERSION } else { "" };
    let written = file
        .write_all(head.as_bytes())
        .and_then(|()| file.write_all(records.as_bytes()))
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // What is left behind then is cut off when the file is next opened.
        let _ = file.set_len(before);
    } else if before == 0 {
        sync_directory(path)?;
    }
    written
}

/// A new file is only there after a power cut when its directory was synced too.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// Reads all whole records, those that an empty line ends, and returns where the last of them ends.
fn read_back(file: &mut File, marker: AttributeName) -> io::Result<(Memory, u64)> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file);
    let mut memory = Memory::new(marker);
    let (mut at, mut whole) = (0, 0);
    let mut text = String::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = io::Read::take(&mut reader, MAX_LINE).read_until(b'\n', &mut line)?;
        at += u64::try_from(read).unwrap_or(u64::MAX);
        match line.as_slice() {
            b"\n" => {
                let request = parse_record(&text);
                let request = request.map_err(|what| io::Error::other(format!("byte {whole}: {what}")))?;
                if let Some(request) = request {
                    memory.write(&request);
                }
                text.clear();
                whole = at;
            }
            line if line.ends_with(b"\n") => text.push_str(&String::from_utf8_lossy(line)),
            // The end of the file, or a line without its own.
            _ if at == length => return Ok((memory, whole)),
            _ => return Err(io::Error::other(format!("it has a line of more than {MAX_LINE} bytes"))),
        }
    }
}

fn parse_record(text: &str) -> Result<Option<Request>, String> {
    match text.trim_end_matches('\n') {
        "" | "version: 1" => Ok(None),
        text => parse::record(text).map(Some),
    }
}
