//! What else happens when somebody loses access: the operator's SQL, in the same transaction.

use rolecall_sink_api::conformance::people::{put_user, remove_user, user};
use rolecall_sink_api::{Action, Sink as _};
use serde_json::json;

use crate::fixture::{Fixture, apply, member, rejected};

/// An application that keeps its sessions by email address.
async fn with_sessions() -> Fixture {
    let fixture = Fixture::start().await;
    fixture.server.execute("CREATE TABLE sessions (email text, token text)").await;
    fixture
}

const BY_EMAIL: &str =
    "DELETE FROM public.sessions USING rolecall.users u WHERE u.id = :user_id AND sessions.email = u.email";

async fn open_sessions(fixture: &Fixture, of: &[&str]) {
    for id in of {
        fixture.server.execute(&format!("INSERT INTO sessions VALUES ('{id}@example.com', '{id}')")).await;
    }
}

#[tokio::test]
async fn sessions_end_with_access_and_nobody_elses() {
    let fixture = with_sessions().await;
    let sink = fixture.sink_with(json!({"on_deactivate": [BY_EMAIL]}));
    apply(&sink, &["ada", "bob", "eve"].map(|id| put_user(user(id), 1))).await;
    open_sessions(&fixture, &["ada", "bob", "eve"]).await;
    let mut ada = user("ada");
    ada.active = false;
    let done =
        apply(&sink, &[put_user(ada, 2), remove_user("bob", 2), put_user(member("eve", &[], &["x"]), 2)])
            .await;
    assert_eq!(done, [Action::Deactivated, Action::Deleted, Action::Updated]);
    assert_eq!(fixture.column("SELECT token FROM sessions").await, ["eve"]);
}

#[tokio::test]
async fn nothing_runs_for_rows_that_are_not_written() {
    let fixture = with_sessions().await;
    let sink = fixture.sink_with(json!({"on_deactivate": [BY_EMAIL]}));
    apply(&sink, &[put_user(user("ada"), 5)]).await;
    fixture
        .server
        .execute("INSERT INTO rolecall.users (id, active, email) VALUES ('own', true, 'own@example.com')")
        .await;
    open_sessions(&fixture, &["ada", "own"]).await;
    for outcome in sink.apply(&[remove_user("ada", 4), remove_user("own", 1)]).await.unwrap() {
        rejected(&outcome);
    }
    assert_eq!(fixture.column("SELECT token FROM sessions ORDER BY 1").await, ["ada", "own"]);
}

#[tokio::test]
async fn what_it_refuses_for_one_leaves_that_one_as_they_were_and_holds_nobody_up() {
    let fixture = with_sessions().await;
    fixture.server.execute("CREATE TABLE kept (id text PRIMARY KEY)").await;
    let once = "INSERT INTO public.kept VALUES (:user_id)";
    let sink = fixture.sink_with(json!({"on_deactivate": [once, BY_EMAIL]}));
    apply(&sink, &["ada", "bob", "eve"].map(|id| put_user(user(id), 1))).await;
    open_sessions(&fixture, &["ada", "bob", "eve"]).await;
    fixture.server.execute("INSERT INTO kept VALUES ('bob')").await;
    let outcomes = sink.apply(&["ada", "bob", "eve"].map(|id| remove_user(id, 2))).await.unwrap();
    let reason = rejected(&outcomes[1]);
    assert!(
        reason.contains("user bob") && reason.contains("on_deactivate.0") && reason.contains("23505"),
        "{reason}"
    );
    assert_eq!(fixture.column("SELECT token FROM sessions").await, ["bob"]);
    assert_eq!(fixture.column("SELECT id FROM rolecall.users WHERE active").await, ["bob"]);
}

#[tokio::test]
async fn check_reads_it_once_there_are_tables() {
    let fixture = with_sessions().await;
    let sink = fixture.sink_with(json!({"on_deactivate": [BY_EMAIL]}));
    let report = sink.check().await.unwrap().found.join("\n");
    assert!(report.contains("on_deactivate.0: checked once the tables are there"), "{report}");
    sink.probe().await.unwrap();
    let report = sink.check().await.unwrap().found.join("\n");
    assert!(report.contains("on_deactivate.0: accepted"), "{report}");

    let sink = fixture
        .sink_with(json!({"on_deactivate": [BY_EMAIL, "DELETE FROM sessions WHERE email = :user_id"]}));
    for down in [sink.check().await.unwrap_err(), sink.probe().await.unwrap_err()] {
        assert!(
            down.reason.contains("on_deactivate.1, line 1, column 13") && down.reason.contains("42P01"),
            "{down}"
        );
    }
}
