//! Copies of the store, and going back to them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::*;

/// A directory with a store of two people and a group.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    async fn with_people() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        let running = Running::start(&place.store()).await;
        let group =
            Fact::GroupNamed { group: GroupId::new("g1"), name: Some("name 0".into()), organization: None };
        let member = Fact::Member { group: GroupId::new("g1"), user: UserId::new("u1"), member: true };
        running.send(event(1, "e1", vec![profile("u1", "ann"), group, member])).await;
        running.send(event(1, "e2", vec![profile("u2", "bob")])).await;
        running.stop().await;
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn store(&self) -> PathBuf {
        self.path("store.db")
    }

    /// A backup made while nobody has the store open.
    fn backup(&self) -> PathBuf {
        let name = self.path("backup.db");
        StoppedStore::existing(&self.store()).unwrap().backup(&name).unwrap();
        name
    }

    fn restore(&self, backup: &Path) -> Result<Restored, StoreError> {
        StoppedStore::lock(&self.store()).unwrap().restore(backup, clock())
    }

    /// The names of all files, without the lock.
    fn files(&self) -> Vec<String> {
        let files = std::fs::read_dir(&self.directory).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != "store.db.lock").collect();
        names.sort();
        names
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn confirm_all(store: &dyn Store, of: &SinkName) {
    for due in store.due(of, later(9999), 1000).await.unwrap() {
        let Change { entity, generation, desired, .. } = due.change;
        let resolution =
            Resolution::Applied { document: desired, remote: None, action: Action::Created, again: None };
        let settlement = Settlement { entity, generation, attempts: 1, resolution };
        store.settle(of, vec![settlement], clock()).await.unwrap();
    }
}

#[tokio::test]
async fn a_snapshot_is_the_whole_store_while_others_write() {
    let place = Place::with_people().await;
    let running = Running::start(&place.store()).await;
    let Snapshot { mut file, bytes, .. } = running.store.snapshot().await.unwrap();
    running.send(event(2, "e3", vec![profile("u3", "eve")])).await;

    let copied = place.path("copied.db");
    let written = std::io::copy(&mut file, &mut std::fs::File::create(&copied).unwrap()).unwrap();
    assert_eq!(written, bytes);
    let contents = verify_backup(&copied).unwrap();
    assert_eq!((contents.users, contents.groups, contents.events), (2, 1, 2));
    assert_eq!(contents.last_event, Some(clock()));
    assert!(!place.files().iter().any(|name| name.contains("snapshot")), "{:?}", place.files());
}

#[tokio::test]
async fn there_is_one_snapshot_at_a_time() {
    let place = Place::with_people().await;
    let store = SqliteStore::open(&place.store()).unwrap();
    let first = store.snapshot().await.unwrap();
    assert!(matches!(store.snapshot().await, Err(StoreError::Busy(_))));
    drop(first);
    assert!(store.snapshot().await.is_ok());
}

#[tokio::test]
async fn a_backup_is_for_its_owner_and_says_what_it_holds() {
    let place = Place::with_people().await;
    let name = place.backup();
    assert_eq!(mode(&name), 0o600);
    assert_eq!(verify_backup(&name).unwrap().users, 2);
    assert_eq!(place.files(), ["backup.db", "store.db"]);
}

#[tokio::test]
async fn what_is_no_whole_store_is_no_backup() {
    let place = Place::with_people().await;
    let name = place.backup();
    let whole = std::fs::read(&name).unwrap();

    let is_none = |content: &[u8], why: &str| {
        std::fs::write(&name, content).unwrap();
        let before = std::fs::read(place.store()).unwrap();
        let error = place.restore(&name).unwrap_err().to_string();
        assert!(error.contains("backup.db") && error.contains(why), "{error}");
        assert_eq!(std::fs::read(place.store()).unwrap(), before, "the store is as it was");
        assert_eq!(place.files(), ["backup.db", "store.db"], "nothing is left behind");
    };
    is_none(
        b"no database, but long enough to be taken for one if nobody looked at its first bytes",
        "no SQLite database",
    );
    is_none(&whole[..whole.len() / 2], "damaged");
    is_none(b"", "no SQLite database");
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 4096].fill(0xff);
    is_none(&damaged, "damaged");

    std::fs::remove_file(&name).unwrap();
    let other = rusqlite::Connection::open(&name).unwrap();
    other.execute_batch("CREATE TABLE event (id); PRAGMA user_version = 1").unwrap();
    drop(other);
    let error = place.restore(&name).unwrap_err().to_string();
    assert!(error.contains("another program"), "{error}");
}

#[tokio::test]
async fn a_copy_without_its_log_is_told_from_a_backup() {
    let place = Place::with_people().await;
    let name = place.backup();
    std::fs::write(place.path("backup.db-wal"), "newer changes").unwrap();
    let error = place.restore(&name).unwrap_err().to_string();
    assert!(error.contains("write-ahead log") && error.contains("rolecall store backup"), "{error}");
}

#[tokio::test]
async fn a_store_that_a_daemon_has_open_is_not_replaced() {
    let place = Place::with_people().await;
    let _running = Running::start(&place.store()).await;
    assert!(matches!(StoppedStore::lock(&place.store()), Err(StoreError::InUse { .. })));
}

#[tokio::test]
async fn a_restore_keeps_the_old_store_and_its_permissions() {
    let place = Place::with_people().await;
    let backup = place.backup();
    let running = Running::start(&place.store()).await;
    running.send(event(2, "e3", vec![profile("u3", "eve")])).await;
    running.stop().await;
    std::fs::set_permissions(place.store(), std::fs::Permissions::from_mode(0o640)).unwrap();

    let restored = place.restore(&backup).unwrap();

    assert_eq!(mode(&place.store()), 0o640);
    let kept = restored.kept.unwrap();
    assert_eq!(kept, place.path("store.db.replaced-20260101T000000Z"));
    assert_eq!(place.files(), ["backup.db", "store.db", "store.db.replaced-20260101T000000Z"]);
    assert_eq!((restored.contents.users, verify_backup(&kept).unwrap().users), (2, 3));
    let store = SqliteStore::open(&place.store()).unwrap();
    assert!(store.users("u3").await.unwrap().is_empty());
    assert_eq!(store.users("u1").await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_log_of_a_damaged_store_goes_with_it() {
    let place = Place::with_people().await;
    let backup = place.backup();
    std::fs::write(place.store(), "nonsense").unwrap();
    std::fs::write(place.path("store.db-wal"), "what was not moved yet").unwrap();
    let restored = place.restore(&backup).unwrap();
    let kept = restored.kept.unwrap();
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "nonsense");
    let log = format!("{}-wal", kept.display());
    assert_eq!(std::fs::read_to_string(log).unwrap(), "what was not moved yet");
    assert_eq!(SqliteStore::open(&place.store()).unwrap().users("u1").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_backup_can_be_restored_where_there_is_no_store() {
    let place = Place::with_people().await;
    let backup = place.backup();
    std::fs::remove_file(place.store()).unwrap();
    let restored = place.restore(&backup).unwrap();
    assert_eq!((restored.kept, mode(&place.store())), (None, 0o600));
    assert_eq!(SqliteStore::open(&place.store()).unwrap().users("u1").await.unwrap().len(), 1);
}

#[tokio::test]
async fn after_a_restore_everybody_is_brought_up_to_date_once_more_under_a_newer_generation() {
    let place = Place::with_people().await;
    let store = SqliteStore::open(&place.store()).unwrap();
    store.configure(&[sink("a"), sink("b")], clock()).await.unwrap();
    confirm_all(&store, &sink("a")).await;
    let before = store.users("u1").await.unwrap()[0].generation;
    drop(store);
    let backup = place.backup();
    place.restore(&backup).unwrap();

    let store = SqliteStore::open(&place.store()).unwrap();
    store.configure(&[sink("a"), sink("b")], later(60)).await.unwrap();
    for of in ["a", "b"] {
        let due = store.due(&sink(of), later(60), 10).await.unwrap();
        let who: Vec<&str> = due.iter().map(|due| due.change.entity.id()).collect();
        assert_eq!(who, ["g1", "u1", "u2"], "{of}");
        assert!(due.iter().all(|due| due.change.generation > before), "{of}");
        assert_eq!(due.iter().all(|due| due.change.applied.is_some()), of == "a", "{of}");
    }
    confirm_all(&store, &sink("a")).await;
    drop(store);
    let store = SqliteStore::open(&place.store()).unwrap();
    store.configure(&[sink("a"), sink("b")], later(120)).await.unwrap();
    assert_eq!(store.due(&sink("a"), later(120), 10).await.unwrap(), [], "once is enough");
}

#[tokio::test]
async fn what_a_killed_process_left_of_a_copy_is_removed_at_the_start() {
    let place = Place::with_people().await;
    std::fs::write(place.path("store.db.snapshot"), "half").unwrap();
    drop(SqliteStore::open(&place.store()).unwrap());
    assert_eq!(place.files(), ["store.db"]);
}
