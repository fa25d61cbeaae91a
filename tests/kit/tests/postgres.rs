//! PostgreSQL starts, answers, survives and is gone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is the report")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rolecall_testkit::{Postgres, until};

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}

/// A query over the kind of connection that `sslmode` asks for.
fn select_one(postgres: &Postgres, sslmode: &str, ca: &Path) -> std::process::Output {
    Command::new("psql")
        .env("PGCONNECT_TIMEOUT", "2")
        .args(["-X", "-d", &format!("{}?sslmode={sslmode}&sslrootcert={}", postgres.url(), ca.display())])
        .args(["-c", "SELECT 1"])
        .output()
        .unwrap()
}

#[tokio::test]
async fn rows_come_back_as_they_went_in() {
    let postgres = Postgres::start().await;
    postgres
        .execute("CREATE TABLE t (a text, b int); INSERT INTO t VALUES (E'tab\\tand\\nline', 1), ('', NULL), (NULL, 3);")
        .await;
    let rows = postgres.query("SELECT a, b FROM t ORDER BY b NULLS LAST;").await;
    assert_eq!(rows[0], some(&["tab\tand\nline", "1"]));
    assert_eq!(rows[1], [None, Some("3".to_owned())]);
    assert_eq!(rows[2], [Some(String::new()), None]);
    assert_eq!(postgres.query("SELECT current_setting('fsync')").await, [some(&["on"])]);
    assert_eq!(
        postgres
            .query("SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'postgres'")
            .await,
        [some(&["t"])]
    );
}

#[tokio::test]
async fn databases_are_apart() {
    let postgres = Postgres::start().await;
    let url = postgres.create_database("app \"x\"").await;
    assert!(url.starts_with("postgresql://"));
    let other = postgres.create_database("other").await;
    assert_ne!(url, other);
    postgres.execute_in("other", "CREATE TABLE here (id int)").await;
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'here'";
    assert_eq!(postgres.query_in("other", tables).await, [some(&["1"])]);
    assert_eq!(postgres.query(tables).await, [some(&["0"])]);
}

#[tokio::test]
async fn its_certificate_is_valid_for_its_address_under_its_own_authority_only() {
    let postgres = Postgres::options().encrypted_only().start().await;
    let full = select_one(&postgres, "verify-full", &postgres.ca_path());
    assert!(full.status.success(), "{}", String::from_utf8_lossy(&full.stderr));
    let other = Postgres::start().await;
    assert!(!select_one(&postgres, "verify-full", &other.ca_path()).status.success());
    assert!(!select_one(&postgres, "disable", &postgres.ca_path()).status.success());
    assert!(select_one(&other, "disable", &other.ca_path()).status.success());
}

#[tokio::test]
async fn it_comes_back_on_the_same_port_with_the_same_rows() {
    let mut postgres = Postgres::start().await;
    let url = postgres.url();
    postgres.execute("CREATE TABLE kept AS SELECT 7 AS n").await;
    postgres.stop().await;
    assert!(!select_one(&postgres, "prefer", &postgres.ca_path()).status.success());
    postgres.restart().await;
    assert_eq!(postgres.url(), url);
    assert_eq!(postgres.query("SELECT n FROM kept").await, [some(&["7"])]);
}

#[tokio::test]
async fn paused_even_its_open_connections_hang() {
    let postgres = Postgres::start().await;
    let mut open = Command::new("psql")
        .args(["-X", "-A", "-t", "-d", &postgres.url()])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = open.stdin.take().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(open.stdout.take().unwrap()));
    std::io::Write::write_all(&mut stdin, b"SELECT pg_backend_pid();\n").unwrap();
    let backend = lines.next().unwrap().unwrap();

    postgres.pause();
    assert!(!select_one(&postgres, "prefer", &postgres.ca_path()).status.success());
    let status = std::fs::read_to_string(format!("/proc/{backend}/status")).unwrap();
    assert!(status.contains("State:\tT (stopped)"), "{status}");

    postgres.resume();
    std::io::Write::write_all(&mut stdin, b"SELECT 'on again';\n").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "on again");
    drop(stdin);
    open.wait().unwrap();
}

#[tokio::test]
async fn dropped_it_is_gone_with_all_its_processes_even_when_paused() {
    let postgres = Postgres::start().await;
    let directory = postgres.ca_path();
    let pid = postgres.process_id().unwrap();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    assert!(!children.trim().is_empty());
    postgres.pause();
    drop(postgres);
    for pid in children.split_whitespace().chain([pid.to_string().as_str()]) {
        until(Duration::from_secs(60), "each of its processes is gone", async || {
            // A process that ended but whose new parent has not looked yet has no command line any more.
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if command.is_empty() { Ok(()) } else { Err(String::from_utf8_lossy(&command).into_owned()) }
        })
        .await;
    }
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_setting_that_it_refuses_is_reported_with_its_log() {
    let starting = tokio::spawn(Postgres::options().setting("no_such_setting", "1").start());
    let panic = starting.await.err().expect("it does not start").into_panic();
    let message = panic.downcast::<String>().unwrap();
    assert!(message.contains("no_such_setting"), "{message}");
}
