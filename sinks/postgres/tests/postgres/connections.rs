//! Getting to the server, and what happens when it is not there.

use rolecall_sink_api::conformance::people::{put_user, user};
use rolecall_sink_api::{Action, ConfigError, Sink as _};
use rolecall_sink_postgres::PostgresSink;
use rolecall_testkit::{CertificateAuthority, Postgres};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::fixture::{Fixture, apply};

#[tokio::test]
async fn a_server_that_takes_encrypted_connections_only_is_reached() {
    let fixture = Fixture::on(Postgres::options().encrypted_only().start().await);
    apply(&fixture.sink(), &[put_user(user("ada"), 1)]).await;
}

#[tokio::test]
async fn a_server_whose_authority_is_not_trusted_is_down() {
    let fixture = Fixture::start().await;
    let stranger = fixture.file("stranger.pem", CertificateAuthority::new().pem());
    let down = fixture.sink_with(json!({"tls": {"ca": stranger}})).probe().await.unwrap_err();
    assert!(down.reason.contains("TLS") && down.reason.contains("certificate"), "{down}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_unless_the_url_allows_it() {
    let fixture = Fixture::on(Postgres::options().setting("ssl", "off").start().await);
    let down = fixture.sink().probe().await.unwrap_err();
    assert!(down.reason.contains("sslmode=disable"), "{down}");
    let url = format!("postgresql://postgres@127.0.0.1:{}/postgres?sslmode=", fixture.server.port());
    // libpq's default would go on without TLS; here it means what require means.
    fixture.sink_with(json!({"url": format!("{url}prefer")})).probe().await.unwrap_err();
    fixture.sink_with(json!({"url": format!("{url}disable")})).probe().await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_down_and_is_not_repeated() {
    let fixture = Fixture::start().await;
    let file = fixture.file("wrong", "hunter2\n");
    let sink = fixture.sink_with(json!({"password": {"file": file}}));
    for down in [
        sink.probe().await.unwrap_err(),
        sink.apply(&[put_user(user("ada"), 1)]).await.unwrap_err(),
        sink.check().await.unwrap_err(),
    ] {
        assert!(down.reason.contains("28P01") && down.reason.contains("check `password`"), "{down}");
        assert!(!down.reason.contains("hunter2"), "{down}");
    }
    fixture.file("wrong", fixture.server.password());
    sink.probe().await.expect("the password is read again");
}

#[tokio::test]
async fn a_stopped_server_is_down_and_found_again() {
    let mut fixture = Fixture::start().await;
    let sink = fixture.sink();
    apply(&sink, &[put_user(user("ada"), 1)]).await;
    fixture.server.stop().await;
    let down = sink.apply(&[put_user(user("bob"), 1)]).await.unwrap_err();
    assert!(down.reason.contains(&format!("127.0.0.1:{}", fixture.server.port())), "{down}");
    sink.probe().await.unwrap_err();
    fixture.server.restart().await;
    assert_eq!(apply(&sink, &[put_user(user("bob"), 1)]).await, [Action::Created]);
}

#[tokio::test]
async fn a_restart_between_two_batches_is_not_noticed() {
    let mut fixture = Fixture::start().await;
    let sink = fixture.sink();
    apply(&sink, &[put_user(user("ada"), 1)]).await;
    fixture.server.restart().await;
    apply(&sink, &[put_user(user("bob"), 1)]).await;
    fixture.server.restart().await;
    sink.probe().await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_is_down_within_the_timeout() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink_with(json!({
        "timeout": "3s", "connect_timeout": "3s", "statement_timeout": "2s", "lock_timeout": "1s"
    }));
    apply(&sink, &[put_user(user("ada"), 1)]).await;
    fixture.server.pause();
    let down = sink.apply(&[put_user(user("ada"), 2)]).await.unwrap_err();
    assert!(down.reason.contains("not done within 3s"), "{down}");
    sink.probe().await.unwrap_err();
    sink.check().await.unwrap_err();
    fixture.server.resume();
    apply(&sink, &[put_user(user("ada"), 2)]).await;
}

#[tokio::test]
async fn what_accepts_connections_and_says_nothing_is_down() {
    let fixture = Fixture::start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgresql://postgres@{}/postgres", silent.local_addr().unwrap());
    let sink = fixture.sink_with(json!({"url": url, "connect_timeout": "300ms"}));
    let down = sink.probe().await.unwrap_err();
    assert!(down.reason.contains("no answer within 300ms"), "{down}");
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_down() {
    let fixture = Fixture::start().await;
    fixture.sink().probe().await.unwrap();
    fixture.server.execute("ALTER DATABASE postgres SET default_transaction_read_only = on").await;
    let sink = fixture.sink();
    let down = sink.apply(&[put_user(user("ada"), 1)]).await.unwrap_err();
    assert!(down.reason.contains("25006") && down.reason.contains("target_session_attrs"), "{down}");
    let down = sink.check().await.unwrap_err();
    assert!(down.reason.contains("read-only"), "{down}");
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_anything_connects() {
    let fixture = Fixture::start().await;
    let cases: [(Value, &str, &str); 10] = [
        (json!({"url": "postgresql://a:hunter2@h/d"}), "url", "`password`"),
        (json!({"url": "postgresql://a@h/d?password=hunter2"}), "url", "`password`"),
        (json!({"url": "mysql://h"}), "url", "postgresql://"),
        (json!({"url": "postgresql:///d"}), "url", "names no host"),
        (json!({"password": {"file": "/nowhere"}}), "password", "/nowhere"),
        (json!({"tls": {"ca": "/nowhere"}}), "tls.ca", "/nowhere"),
        (json!({"schema": "pg_mine"}), "schema", "PostgreSQL's own"),
        (json!({"schema": "x".repeat(64)}), "schema", "63"),
        (json!({"lock_timeout": "15s"}), "lock_timeout", "statement_timeout"),
        (json!({"statement_timeout": "31s"}), "statement_timeout", "timeout"),
    ];
    for (changes, path, hint) in cases {
        let error: ConfigError = match PostgresSink::new("app", fixture.config(changes.clone())) {
            Err(error) => error,
            Ok(_) => panic!("{changes} was accepted"),
        };
        assert_eq!(error.path, path, "{changes}: {error}");
        assert!(error.message.contains(hint), "{changes}: {error}");
        assert!(!error.message.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_wants_one() {
    let authority = CertificateAuthority::new();
    let [(certificate, key), (stranger, strangers_key)] =
        ["writer", "stranger"].map(|name| authority.client(name));
    let fixture = Fixture::on(Postgres::options().authority(authority).client_certificates().start().await);
    fixture
        .server
        .execute("CREATE ROLE writer LOGIN PASSWORD 'secret'; CREATE SCHEMA rolecall AUTHORIZATION writer")
        .await;
    let url = format!("postgresql://writer@127.0.0.1:{}/postgres", fixture.server.port());
    let sink = |certificate: &str, key: &str| {
        let tls = json!({
            "ca": fixture.server.ca_path(),
            "certificate": fixture.file("client.pem", certificate), "key": fixture.file("client.key", key),
        });
        fixture.sink_with(json!({"url": url, "tls": tls}))
    };
    apply(&sink(&certificate, &key), &[put_user(user("ada"), 1)]).await;

    let without = fixture.sink_with(json!({"url": url}));
    let down = without.probe().await.unwrap_err();
    assert!(down.reason.contains("certificate"), "{down}");
    let down = sink(&stranger, &strangers_key).probe().await.unwrap_err();
    assert!(down.reason.contains("28P01"), "{down}");
}
