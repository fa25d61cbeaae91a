//! What only the inside of the embedded store shows.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rusqlite::trace::{TraceEvent, TraceEventCodes};
use tokio::sync::oneshot;

use super::*;

impl SqliteStore {
    /// As if the disk had failed while somebody else wrote.
    pub(in crate::store) fn fail_disk(&self) {
        self.syncer.fail();
    }

    /// The statements that are run from now on.
    pub(in crate::store) async fn statements(&self) -> Arc<Mutex<Vec<String>>> {
        let statements = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&statements);
        let listen = move |connection: &mut Connection| {
            let noted = Arc::clone(&noted);
            let note = move |event: TraceEvent<'_>| {
                if let TraceEvent::Stmt(statement, _) = event {
                    noted.lock().unwrap().push(statement.sql().into_owned());
                }
            };
            connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note)).unwrap();
        };
        self.readers.idle.lock().unwrap().iter_mut().for_each(&listen);
        let on_writer = move |writer: &mut Connection| {
            listen(writer);
            Ok(())
        };
        self.write(on_writer).await.unwrap();
        statements
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn nobody_else_can_read_a_new_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    for file in std::fs::read_dir(&directory).unwrap() {
        let file = file.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert!(directory.path().join("store.db-wal").exists());
    drop(store);
}

#[test]
fn an_existing_store_keeps_the_permissions_somebody_chose() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    drop(SqliteStore::open(&path).unwrap());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    drop(SqliteStore::open(&path).unwrap());
    assert_eq!(mode(&path), 0o640);
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_any_more_is_busy_until_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("store.db")).unwrap();
    let mut ends = Vec::new();
    for _ in 0..READERS {
        let (began, begins) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let read = store.read(move |_| {
            began.send(()).unwrap();
            ended.blocking_recv().unwrap();
            Ok(())
        });
        tokio::select! {
            biased;
            _ = read => unreachable!("it was not told to end"),
            begins = begins => begins.unwrap(),
        }
        ends.push(end);
    }
    assert_eq!(store.readers.turns.available_permits(), 0);
    let one_more = store.read(|c| Ok(c.query_row("SELECT 1", [], |row| row.get::<_, i64>(0))?));
    ends.pop().unwrap().send(()).unwrap();
    assert_eq!(one_more.await.unwrap(), 1);
    ends.into_iter().for_each(|end| end.send(()).unwrap());
}

#[tokio::test]
async fn a_read_that_panics_takes_no_connection_along() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("store.db")).unwrap();
    for _ in 0..=READERS {
        let error = store.read(|_| -> Result<(), StoreError> { panic!("on purpose") }).await.unwrap_err();
        assert!(error.to_string().contains("a read panicked"), "{error}");
    }
    assert!(store.overview().await.is_ok());
}
