//! The file: who else uses it, what it may be, and what happens when it is not there.

use futures_util::TryStreamExt as _;
use rolecall_sink_api::conformance::people::put_user;
use rolecall_sink_api::{Action, Sink as _};
use rolecall_sink_sqlite::SqliteSink;
use serde_json::json;

use crate::fixture::{Fixture, apply, member};

#[tokio::test]
async fn a_path_that_cannot_work_is_refused_before_anything_is_opened() {
    let fixture = Fixture::new();
    let cases = [
        (json!({"path": "/no/such/directory/app.db"}), "path", "make it first"),
        (json!({"path": "/"}), "path", "is a directory"),
        (json!({"path": ""}), "path", "the path of a file"),
        (json!({"path": ":memory:"}), "path", "the path of a file"),
        (json!({"path": "/etc/passwd/app.db"}), "path", "not a directory"),
        (json!({"timeout": "5s"}), "timeout", "busy_timeout"),
    ];
    for (changes, path, hint) in cases {
        let error = match SqliteSink::new("app", fixture.config(changes.clone())) {
            Err(error) => error,
            Ok(_) => panic!("{changes} was accepted"),
        };
        assert_eq!(error.path, path, "{changes}: {error}");
        assert!(error.message.to_lowercase().contains(hint), "{changes}: {error}");
    }
}

#[tokio::test]
async fn two_sinks_that_start_at_once_make_the_tables_once() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.sink(), fixture.sink());
    let (a, b) = tokio::join!(one.probe(), two.probe());
    a.unwrap();
    b.unwrap();
    assert_eq!(fixture.column("SELECT version FROM rolecall_migrations"), ["Integer(1)"]);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let fixture = Fixture::new();
    fixture.sink().probe().await.unwrap();
    fixture.connect().execute("INSERT INTO rolecall_migrations (version) VALUES (99)", []).unwrap();
    let sink = fixture.sink();
    for down in [
        sink.probe().await.unwrap_err(),
        sink.apply(&[put_user(member("ada", &[], &[]), 1)]).await.unwrap_err(),
        sink.check().await.unwrap_err(),
    ] {
        assert!(down.reason.contains("version 99") && down.reason.contains("newer rolecall"), "{down}");
    }
}

#[tokio::test]
async fn tables_that_somebody_else_made_are_left_alone() {
    let fixture = Fixture::new();
    let sink = fixture.sink();
    fixture.connect().execute_batch("CREATE TABLE users (mine TEXT)").unwrap();
    let down = sink.probe().await.unwrap_err();
    assert!(down.reason.contains("a file of its own"), "{down}");
    assert_eq!(fixture.column("SELECT name FROM sqlite_schema WHERE type = 'table'"), ["users"]);
}

#[tokio::test]
async fn readers_and_writers_of_the_same_file_are_tolerated() {
    let fixture = Fixture::new();
    let sink = fixture.sink_with(json!({"busy_timeout": "100ms"}));
    apply(&sink, &[put_user(member("ada", &[], &[]), 1)]).await;
    let reader = fixture.connect();
    reader.execute_batch("BEGIN; SELECT count(*) FROM users").unwrap();
    apply(&sink, &[put_user(member("bob", &[], &[]), 1)]).await;

    let writer = fixture.connect();
    writer.execute_batch("CREATE TABLE own (x); BEGIN IMMEDIATE; INSERT INTO own VALUES (1)").unwrap();
    for down in [
        sink.apply(&[put_user(member("eve", &[], &[]), 1)]).await.unwrap_err(),
        sink.probe().await.unwrap_err(),
        sink.check().await.unwrap_err(),
    ] {
        assert!(down.reason.contains("another program holds"), "{down}");
    }
    writer.execute_batch("COMMIT").unwrap();
    sink.probe().await.unwrap();
    apply(&sink, &[put_user(member("eve", &[], &[]), 1)]).await;
    assert_eq!(fixture.column("SELECT id FROM users ORDER BY id"), ["ada", "bob", "eve"]);
}

#[tokio::test]
async fn a_file_that_was_taken_away_is_not_written_to_any_more() {
    let fixture = Fixture::new();
    let sink = fixture.sink();
    apply(&sink, &[put_user(member("ada", &[], &[]), 1)]).await;
    for end in ["", "-wal", "-shm"] {
        let mut path = fixture.path().into_os_string();
        path.push(end);
        std::fs::remove_file(path).unwrap();
    }
    assert_eq!(apply(&sink, &[put_user(member("ada", &[], &[]), 1)]).await, [Action::Created]);
    assert_eq!(fixture.column("SELECT id FROM users"), ["ada"]);
}

#[tokio::test]
async fn what_is_no_database_is_down() {
    let fixture = Fixture::new();
    let sink = fixture.sink();
    std::fs::write(fixture.path(), "this is a letter, and not a database at all".repeat(100)).unwrap();
    let down = sink.probe().await.unwrap_err();
    assert!(down.reason.contains("not an SQLite database"), "{down}");
}

#[tokio::test]
async fn before_the_first_delivery_nothing_is_made_and_nothing_is_observed() {
    let fixture = Fixture::new();
    let sink = fixture.sink();
    let report = sink.check().await.unwrap().found.join("\n");
    assert!(report.contains("no tables yet"), "{report}");
    let observed: Vec<_> = sink.observe().unwrap().try_collect().await.unwrap();
    assert!(observed.is_empty());
    assert!(!fixture.path().exists());
    sink.probe().await.unwrap();
    let report = sink.check().await.unwrap().found.join("\n");
    assert!(report.contains("version 1 of 1"), "{report}");
}

#[tokio::test]
async fn everything_is_observed_however_many_pages_it_takes() {
    let fixture = Fixture::new();
    let sink = fixture.sink();
    let changes: Vec<_> = (0..2500).map(|n| put_user(member(&format!("user{n}"), &[], &[]), 1)).collect();
    apply(&sink, &changes).await;
    let observed: Vec<_> = sink.observe().unwrap().try_collect().await.unwrap();
    assert_eq!(observed.len(), 2500);
}
