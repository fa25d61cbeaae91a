//! The file: read back when it is opened, appended to and synced with every batch.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
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
        let state = State { memory, pending: String::new() };
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

    /// Takes an entry for written that the file does not have.
    pub(super) fn put(&self, entry: Entry) {
        self.lock().memory.put(entry);
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
    OpenOptions::new().read(true).append(true).create(true).open(path)
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

/// Reads all whole records, and returns where the last of them ends. A record is whole when its last line is, and
/// only the file's last may be cut short; it then ends without a line break or cannot be read.
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
        let ended = line.ends_with(b"\n");
        if read > 0 && !ended && at < length {
            return Err(io::Error::other(format!("it has a line of more than {MAX_LINE} bytes")));
        }
        if read == 0 || line == b"\n" {
            match parse_record(&text) {
                Ok(request) => {
                    if let Some(request) = request {
                        memory.write(&request);
                    }
                    whole = at;
                }
                Err(_) if read == 0 => return Ok((memory, whole)),
                Err(what) => return Err(io::Error::other(format!("byte {whole}: {what}"))),
            }
            text.clear();
            if read == 0 {
                return Ok((memory, whole));
            }
        } else if ended {
            text.push_str(&String::from_utf8_lossy(&line));
        } else {
            return Ok((memory, whole));
        }
    }
}

fn parse_record(text: &str) -> Result<Option<Request>, String> {
    match text.trim_end_matches('\n') {
        "" | "version: 1" => Ok(None),
        text => parse::record(text).map(Some),
    }
}
