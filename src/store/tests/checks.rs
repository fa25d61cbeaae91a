//! Whether a store is sound, and what is told when it is not.

use super::*;

/// All that a check finds, and the last step of it.
fn findings(path: &Path) -> (Vec<String>, CheckStep) {
    let store = StoppedStore::existing(path).unwrap();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let step = store.check(after, clock()).unwrap();
        assert!(step.done <= step.of, "{step:?}");
        found.extend(step.findings.iter().map(|finding| finding.what.clone()));
        after = step.next;
        if after.is_none() {
            return (found, step);
        }
    }
}

/// A store with people in groups, of whom sinks confirmed some, and one who is gone.
async fn sound(path: &Path) {
    let running = Running::start(path).await;
    let group = |n: u32| Fact::GroupNamed {
        group: GroupId::new(format!("g{n}")),
        name: Some(format!("name {n}")),
        organization: None,
    };
    let member = |user: &str, n: u32| Fact::Member {
        group: GroupId::new(format!("g{n}")),
        user: UserId::new(user),
        member: true,
    };
    running.send(event(1, "e1", vec![profile("u1", "ann"), group(0), group(1), member("u1", 0)])).await;
    running.send(event(1, "e2", vec![profile("u2", "bob"), member("u2", 1), member("u3", 0)])).await;
    running.send(event(2, "e3", vec![Fact::UserGone { user: UserId::new("u2") }])).await;
    running.send(event(3, "e4", vec![profile("u4", "dan")])).await;
    // All but one, who still waits.
    for due in running.store.due(&sink("a"), clock(), 100).await.unwrap() {
        let Change { entity, generation, desired, .. } = due.change;
        if entity == Entity::User(UserId::new("u4")) {
            continue;
        }
        let resolution =
            Resolution::Applied { document: desired, remote: None, action: Action::Created, again: None };
        let settlement = Settlement { entity, generation, attempts: 1, resolution };
        running.store.settle(&sink("a"), vec![settlement], clock()).await.unwrap();
    }
    running.stop().await;
}

#[tokio::test]
async fn a_sound_store_is_found_sound() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    sound(&path).await;
    let (found, last) = findings(&path);
    assert_eq!(found, [""; 0]);
    assert_eq!((last.left_out, last.done), (None, last.of));
}

#[tokio::test]
async fn what_is_wrong_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    sound(&path).await;
    let whole = std::fs::read(&path).unwrap();
    for (damage, told) in [
        ("UPDATE entity_count SET n = n + 1 WHERE kind = 0 AND status = 1", "users are counted"),
        (
            "UPDATE entity SET digest = x'00112233445566778899aabbccddeeff' WHERE id = 'u1'",
            "user u1: what is desired",
        ),
        ("UPDATE entity SET state = '{' WHERE id = 'u1'", "user u1"),
        ("UPDATE entity SET roles = '[\"admin\"]' WHERE id = 'u1'", "user u1: what is desired"),
        ("UPDATE entity SET state = '{' WHERE id = 'g0'", "group g0"),
        ("UPDATE entity SET absent_since = 1 WHERE id = 'u1'", "user u1: since when"),
        ("UPDATE entity SET status = 2 WHERE id = 'u1'", "user u1: it is listed as another status"),
        ("UPDATE queue SET generation = generation + 1 WHERE sink = 1", "newer than what it is about"),
        ("UPDATE applied SET generation = generation + 1", "confirmed what was never desired"),
        ("DELETE FROM entity WHERE id = 'u3'", "a membership in g0 is of nobody"),
        (
            "INSERT INTO queue (sink, entity, generation, priority, since, due, attempts, state) SELECT sink, 77, generation, priority, since, due, attempts, state FROM queue LIMIT 1",
            "about nobody: key 77",
        ),
        (
            "DELETE FROM membership; DELETE FROM membership_new",
            "user u1: their membership in g0 is in no index",
        ),
        ("UPDATE population SET users = users + 1", "2 users are counted in the sink a, and it confirmed 1"),
        (
            "UPDATE applied SET document = json_set(document, '$.organization', 'org_1') WHERE document IS NOT NULL",
            "0 users of org_1 are counted in the sink a, and it confirmed 1",
        ),
        ("INSERT INTO stale VALUES (78)", "a user is to be evaluated again and is nobody: key 78"),
    ] {
        std::fs::write(&path, &whole).unwrap();
        // Memberships of the newest wait in another table; the check must know both.
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection
            .execute_batch("INSERT OR IGNORE INTO membership SELECT group_id, user FROM membership_new; DELETE FROM membership_new")
            .unwrap();
        connection.execute_batch(damage).unwrap();
        drop(connection);
        let (found, _) = findings(&path);
        assert!(found.iter().any(|found| found.contains(told)), "{damage}: {found:?}");
    }
}

#[tokio::test]
async fn a_damaged_index_is_told_with_its_table() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    sound(&path).await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    // As if a page of the index had been lost: a row is missing in it.
    connection
        .execute_batch(
            "CREATE TABLE other (x); CREATE INDEX aside ON other (x); PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'aside')
             WHERE name = 'entity_absent'; PRAGMA writable_schema = RESET",
        )
        .unwrap();
    drop(connection);
    let (found, _) = findings(&path);
    assert!(found.iter().any(|found| found.starts_with("entity: ")), "{found:?}");
}

#[tokio::test]
async fn who_is_to_be_evaluated_again_is_not_taken_for_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    sound(&path).await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "UPDATE entity SET roles = '[\"admin\"]' WHERE id = 'u1';
             INSERT INTO stale SELECT key FROM entity WHERE id = 'u1'",
        )
        .unwrap();
    drop(connection);
    assert_eq!(findings(&path).0, [""; 0]);
}

#[tokio::test]
async fn a_check_sees_more_entities_than_one_step_looks_at_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let running = Running::start(&path).await;
    for part in 0..3 {
        let crowd = (0..1500).map(|n| profile(&format!("u{part}-{n}"), "x")).collect();
        running.send(event(1, &format!("e{part}"), crowd)).await;
    }
    running.stop().await;
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("UPDATE entity SET state = '{' WHERE id = 'u2-1499'").unwrap();
    drop(connection);
    let before = std::fs::read(&path).unwrap();
    let (found, last) = findings(&path);
    assert!(found.len() == 1 && found[0].contains("u2-1499"), "{found:?}");
    assert_eq!(last.done, last.of);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn what_takes_space_is_told_table_by_table() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    sound(&path).await;
    let size = StoppedStore::existing(&path).unwrap().size().unwrap();
    let rows = |name: &str| size.tables.iter().find(|table| table.table == name).map(|table| table.rows);
    assert_eq!((rows("event"), rows("entity"), rows("rules_version")), (Some(4), Some(6), Some(1)));
    let used: u64 = size.tables.iter().map(|table| table.bytes + table.indexes).sum();
    let schema = size.database - size.unused - used;
    assert!((1..=4).contains(&(schema / 4096)), "what is left is SQLite's own: {size:?}");
    assert_eq!((size.oldest_event, size.newest_event), (Some(clock()), Some(clock())));
    assert!(size.free_on_disk > 0);
}
