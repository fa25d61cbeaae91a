//! The schema: who makes it, when, and with which privileges.

use rolecall_sink_api::Sink as _;
use rolecall_sink_api::conformance::people::{put_user, remove_user, user};
use serde_json::json;

use crate::fixture::{Fixture, apply, member, readme};

#[tokio::test]
async fn two_sinks_that_start_at_once_make_the_tables_once() {
    let fixture = Fixture::start().await;
    let sinks: Vec<_> = (0..4).map(|_| fixture.sink()).collect();
    let (a, b, c, d) = tokio::join!(sinks[0].probe(), sinks[1].probe(), sinks[2].probe(), sinks[3].probe());
    for result in [a, b, c, d] {
        result.unwrap();
    }
    assert_eq!(fixture.column("SELECT version FROM rolecall.rolecall_migrations").await, ["1"]);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let fixture = Fixture::start().await;
    fixture.sink().probe().await.unwrap();
    fixture.server.execute("INSERT INTO rolecall.rolecall_migrations (version) VALUES (99)").await;
    let sink = fixture.sink();
    for down in [
        sink.probe().await.unwrap_err(),
        sink.apply(&[put_user(user("ada"), 1)]).await.unwrap_err(),
        sink.check().await.unwrap_err(),
    ] {
        assert!(down.reason.contains("version 99") && down.reason.contains("newer rolecall"), "{down}");
    }
    assert_eq!(fixture.value("SELECT count(*) FROM rolecall.users").await, "0");
}

#[tokio::test]
async fn tables_that_somebody_else_made_are_left_alone() {
    let fixture = Fixture::start().await;
    fixture.server.execute("CREATE TABLE public.users (mine text)").await;
    let down = fixture.sink_with(json!({"schema": "public"})).probe().await.unwrap_err();
    assert!(down.reason.contains("did not make") && down.reason.contains("42P07"), "{down}");
    assert_eq!(fixture.value("SELECT to_regclass('public.groups')").await, "NULL", "nothing half-made stays");
}

#[tokio::test]
async fn a_schema_may_have_any_name() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink_with(json!({"schema": "we\"ird; DROP"}));
    apply(&sink, &[put_user(user("ada"), 1)]).await;
    assert_eq!(fixture.column("SELECT id FROM \"we\"\"ird; DROP\".users").await, ["ada"]);
    let report = sink.check().await.unwrap().found.join("\n");
    assert!(report.contains("we\"ird; DROP"), "{report}");
}

#[tokio::test]
async fn a_role_without_more_than_the_documented_grants_can_do_it_all() {
    let fixture = Fixture::start().await;
    fixture
        .server
        .execute(
            "CREATE ROLE owner LOGIN PASSWORD 'secret'; CREATE SCHEMA rolecall AUTHORIZATION owner; \
             CREATE ROLE writer LOGIN PASSWORD 'secret'; REVOKE ALL ON SCHEMA public FROM public",
        )
        .await;
    let url = |role: &str| format!("postgresql://{role}@127.0.0.1:{}/postgres", fixture.server.port());
    let owner = fixture.sink_with(json!({"url": url("owner")}));
    let report = owner.check().await.unwrap().found.join("\n");
    assert!(report.contains("no tables yet"), "{report}");
    owner.probe().await.unwrap();

    let writer = fixture.sink_with(json!({"url": url("writer")}));
    let down = writer.probe().await.unwrap_err();
    assert!(down.reason.contains("needs USAGE"), "{down}");
    let grant =
        "GRANT USAGE ON SCHEMA rolecall TO writer; GRANT SELECT ON rolecall.rolecall_migrations TO writer";
    fixture.server.execute(grant).await;
    for down in [
        writer.check().await.unwrap_err(),
        writer.probe().await.unwrap_err(),
        writer.apply(&[put_user(user("ada"), 1)]).await.unwrap_err(),
    ] {
        assert!(down.reason.contains("GRANT SELECT, INSERT ON rolecall.roles TO writer"), "{down}");
    }
    fixture.server.execute(&readme("sql grants", 0)).await;
    let report = writer.check().await.unwrap().found.join("\n");
    assert!(report.contains("as writer") && report.contains("version 1 of 1"), "{report}");
    apply(&writer, &[put_user(member("ada", &["staff"], &["reader"]), 1)]).await;
    apply(&writer, &[put_user(member("ada", &["admins"], &["admin"]), 2)]).await;
    apply(&writer, &[remove_user("ada", 3)]).await;

    fixture.server.execute("REVOKE DELETE ON rolecall.user_roles FROM writer").await;
    let down = writer.apply(&[put_user(member("ada", &[], &[]), 4)]).await.unwrap_err();
    assert!(down.reason.contains("42501") && down.reason.contains("grant"), "{down}");
}

#[tokio::test]
async fn a_role_that_may_not_make_the_schema_is_told_what_to_ask_for() {
    let fixture = Fixture::start().await;
    fixture.server.execute("CREATE ROLE poor LOGIN PASSWORD 'secret'").await;
    let url = format!("postgresql://poor@127.0.0.1:{}/postgres", fixture.server.port());
    let sink = fixture.sink_with(json!({"url": url}));
    let down = sink.check().await.unwrap_err();
    assert!(down.reason.contains("CREATE SCHEMA rolecall AUTHORIZATION poor"), "{down}");
    let down = sink.probe().await.unwrap_err();
    assert!(down.reason.contains("42501"), "{down}");
}

#[tokio::test]
async fn check_changes_nothing() {
    let fixture = Fixture::start().await;
    let report = fixture.sink().check().await.unwrap().found.join("\n");
    assert!(report.contains("version 1") && report.contains("TLSv1.3"), "{report}");
    assert!(report.contains("no tables yet"), "{report}");
    assert_eq!(fixture.value("SELECT to_regnamespace('rolecall')").await, "NULL");
}
