//! Moves the write-ahead log into the database, beside the writer.
//!
//! Moving some thousand pages takes a score of milliseconds, most of them spent waiting for the disk, and whoever
//! waits for the writer would wait for that too. So a thread with a connection of its own moves the bulk while the
//! writer goes on. What the writer appended meanwhile is little; it moves that itself, between two transactions.
//! Only then has all been moved, and the log begins again at its start instead of growing
//! (<https://sqlite.org/wal.html#ckpt>).

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

/// How many pages of 4 KiB the log gathers before they are moved.
const ENOUGH: i32 = 4000;
/// How many it gathers at most, whoever moves them: a log that outgrows its mover is moved by the writer.
const TOO_MANY: i32 = 5 * ENOUGH;

/// Belongs to the writer. Dropping it ends the thread, and waits for that.
pub(super) struct Checkpoints {
    /// In the log, as of the last commit.
    pages: Arc<AtomicI32>,
    begin: Option<SyncSender<()>>,
    moved: Receiver<()>,
    working: bool,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Takes them over from `writer`; `own` is another connection to the same database.
    ///
    /// # Errors
    /// When a connection refuses, or no thread can be started.
    pub(super) fn begin(writer: &mut Connection, own: Connection) -> Result<Self, String> {
        let pages = Arc::new(AtomicI32::new(0));
        let seen = Arc::clone(&pages);
        // In place of SQLite's own hook, which would make the writer move everything.
        writer
            .wal_hook(Some(move |_: &mut Wal, in_log| {
                seen.store(in_log, Ordering::Relaxed);
                Ok(())
            }))
            .map_err(|error| error.to_string())?;
        let (begin, work) = sync_channel(1);
        let (done, moved) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || {
                while work.recv().is_ok() {
                    move_pages(&own);
                    if done.send(()).is_err() {
                        break;
                    }
                }
            })
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Self { pages, begin: Some(begin), moved, working: false, thread: Some(thread) })
    }

    /// To be called by the writer between transactions.
    pub(super) fn after_write(&mut self, writer: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if self.working {
            match self.moved.try_recv() {
                Ok(()) => {
                    self.working = false;
                    move_pages(writer);
                    // It is known again after the next commit.
                    self.pages.store(0, Ordering::Relaxed);
                }
                Err(TryRecvError::Empty) if pages < TOO_MANY => {}
                Err(_) => move_pages(writer),
            }
        } else if pages >= ENOUGH {
            // There is room for one request, and none is under way.
            self.working = self.begin.as_ref().is_some_and(|begin| begin.try_send(()).is_ok());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.begin = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// Moves what can be moved without waiting for anybody. What cannot (somebody still reads an older state, the disk
/// is full) stays in the log, where it is as safe, until the next time.
fn move_pages(connection: &Connection) {
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the write-ahead log could not be moved into the store; trying again later");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &std::path::Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection
    }

    #[test]
    fn the_log_begins_again_although_the_writer_never_rests() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let mut writer = open(&path);
        writer.execute_batch("CREATE TABLE t (blob BLOB)").unwrap();
        let mut checkpoints = Checkpoints::begin(&mut writer, open(&path)).unwrap();
        let write =
            |pages: i32| writer.execute("INSERT INTO t VALUES (zeroblob(?1))", [pages * 4096]).unwrap();
        write(ENOUGH);
        let full = checkpoints.pages.load(Ordering::Relaxed);
        assert!(full >= ENOUGH);
        assert!(std::fs::metadata(&path).unwrap().len() < 100 * 4096);
        checkpoints.after_write(&writer);
        while checkpoints.pages.load(Ordering::Relaxed) >= full {
            assert!(checkpoints.working || checkpoints.pages.load(Ordering::Relaxed) < TOO_MANY);
            write(1);
            checkpoints.after_write(&writer);
        }
        write(1);
        assert!(checkpoints.pages.load(Ordering::Relaxed) < 100, "the log was not begun again");
        assert!(std::fs::metadata(&path).unwrap().len() >= ENOUGH as u64 * 4096);
    }

    #[test]
    fn a_log_that_nobody_else_moves_is_moved_by_the_writer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let mut writer = open(&path);
        writer.execute_batch("CREATE TABLE t (blob BLOB)").unwrap();
        let mut checkpoints = Checkpoints::begin(&mut writer, open(&path)).unwrap();
        // As if the thread never came to an end with it.
        checkpoints.working = true;
        writer.execute("INSERT INTO t VALUES (zeroblob(?1))", [TOO_MANY * 4096]).unwrap();
        checkpoints.after_write(&writer);
        assert!(std::fs::metadata(&path).unwrap().len() >= TOO_MANY as u64 * 4096);
    }
}
