//! Stores that earlier versions wrote: they open, are brought up to date with all that is in them, and can be gone back
//! to.

use std::path::PathBuf;

use super::*;

/// A store as the release with this schema version left it, with people, groups, a queue and a journal. To add the one of
/// this version: `ROLECALL_WRITE_GENERATED=1 cargo test -p rolecall --lib released`.
fn fixture(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/store/v{version}.db"))
}

/// Writes what stands in `store` as a store of an earlier version: each table as it was then, with the columns that it had.
fn write_as(version: u32, store: &Path, to: &Path) {
    let mut old = rusqlite::Connection::open(to).unwrap();
    old.execute_batch("PRAGMA page_size = 512").unwrap();
    crate::store::sqlite::migrate_to(&mut old, version);
    old.execute("ATTACH ?1 AS newer", [store.to_str().unwrap()]).unwrap();
    let names = |sql: &str| -> Vec<String> {
        let mut select = old.prepare(sql).unwrap();
        select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    for table in names("SELECT name FROM main.sqlite_schema WHERE type = 'table'") {
        let columns = names(&format!("SELECT name FROM pragma_table_info('{table}')")).join(", ");
        old.execute_batch(&format!(
            "INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}"
        ))
        .unwrap();
    }
    old.execute_batch("DETACH newer; VACUUM").unwrap();
}

#[tokio::test]
async fn the_store_of_every_release_is_kept_to_be_opened() {
    let newest = crate::store::sqlite::known_schema();
    if std::env::var_os("ROLECALL_WRITE_GENERATED").is_some() {
        for version in (1..=newest).filter(|version| !fixture(*version).exists()) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("store.db");
            let running = Running::start(&path).await;
            let group = Fact::GroupNamed {
                group: GroupId::new("g1"),
                name: Some("name 0".into()),
                organization: None,
            };
            let member = |user: &str| Fact::Member {
                group: GroupId::new("g1"),
                user: UserId::new(user),
                member: true,
            };
            running
                .send(event(1, "e1", vec![profile("u1", "ann"), active("u1", true), group, member("u1")]))
                .await;
            running.send(event(1, "e2", vec![profile("u2", "bob"), active("u2", true), member("u2")])).await;
            running.send(event(2, "e3", vec![active("u2", false)])).await;
            running.send(event(2, "e4", vec![Fact::UserGone { user: UserId::new("u3") }])).await;
            running.stop().await;
            std::fs::create_dir_all(fixture(version).parent().unwrap()).unwrap();
            write_as(version, &path, &fixture(version));
        }
    }
    for version in 1..=newest {
        let command = "ROLECALL_WRITE_GENERATED=1 cargo test -p rolecall --lib released";
        assert!(fixture(version).exists(), "{} is missing: {command}", fixture(version).display());
    }
}

/// A copy of that store where it can be opened.
fn left_by(version: u32, directory: &tempfile::TempDir) -> PathBuf {
    let path = directory.path().join("store.db");
    std::fs::copy(fixture(version), &path).unwrap();
    path
}

fn schema_of(path: &Path) -> u32 {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn the_store_of_every_release_opens_with_all_that_is_in_it_and_works() {
    for version in 1..=crate::store::sqlite::known_schema() {
        let directory = tempfile::tempdir().unwrap();
        let path = left_by(version, &directory);
        let running = Running::start(&path).await;
        let ann = running.store.users("ann").await.unwrap().remove(0);
        let roles: Vec<&str> = ann.roles.iter().map(|role| role.as_str()).collect();
        assert_eq!(roles, ["member", "named", "zero"], "{version}");
        let due = running.store.due(&sink("a"), later(60), 10).await.unwrap();
        let who: Vec<&str> = due.iter().map(|due| due.change.entity.id()).collect();
        assert_eq!(who, ["u2", "g1", "u1"], "{version}: the queue, leavers first");
        assert_eq!(
            running.store.events(&EventFilter::default(), None, 10).await.unwrap().items.len(),
            4,
            "{version}"
        );
        assert_eq!(running.send(event(1, "e1", vec![])).await, Receipt::Duplicate, "{version}");
        assert_eq!(
            running.send(event(3, "e9", vec![profile("u9", "new")])).await,
            Receipt::Committed,
            "{version}"
        );
        running.stop().await;

        let store = StoppedStore::existing(&path).unwrap();
        let mut after = None;
        loop {
            let step = store.check(after, clock()).unwrap();
            assert_eq!(step.findings, [], "{version}");
            after = step.next;
            if after.is_none() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn what_the_store_was_before_an_upgrade_is_kept_and_can_be_restored() {
    let directory = tempfile::tempdir().unwrap();
    let path = left_by(1, &directory);
    let running = Running::start(&path).await;
    running.send(event(3, "e9", vec![profile("u9", "new")])).await;
    running.stop().await;
    assert_eq!(schema_of(&path), crate::store::sqlite::known_schema());

    let before = directory.path().join("store.db.before-v2");
    assert_eq!(schema_of(&before), 1, "the older version can read it");
    assert_eq!(verify_backup(&before).unwrap().users, 2);
    StoppedStore::lock(&path).unwrap().restore(&before, clock()).unwrap();
    assert_eq!(schema_of(&path), 1);

    let running = Running::start(&path).await;
    assert_eq!(running.store.users("u1").await.unwrap().len(), 1);
    assert!(running.store.users("u9").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_new_store_and_one_of_this_version_need_no_copy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    for _ in 0..2 {
        drop(SqliteStore::open(&path).unwrap());
    }
    let names: Vec<_> =
        std::fs::read_dir(&directory).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_str().unwrap().contains("before")), "{names:?}");
}

#[tokio::test]
async fn the_newest_copy_from_before_an_upgrade_alone_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = left_by(1, &directory);
    drop(SqliteStore::open(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    left_by(2, &directory);
    drop(SqliteStore::open(&path).unwrap());
    let is_there = |version: u32| directory.path().join(format!("store.db.before-v{version}")).exists();
    let newest = crate::store::sqlite::known_schema();
    assert_eq!((is_there(2), is_there(3)), (newest == 2, newest > 2));
}
