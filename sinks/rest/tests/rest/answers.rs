//! What becomes of a change, by what the application says.

use std::time::Duration;

use rolecall_sink_api::{Action, Outcome, Sink as _};
use rolecall_testkit::{Fault, HttpApplication};
use serde_json::json;

use crate::application::{config, sink, whole_documents};
use crate::people::{changes, joins, leaves, user};

/// No lookup, so that each change begins with its own request.
fn plain() -> serde_json::Value {
    json!({ "lookup": {} })
}

#[tokio::test]
async fn a_user_is_made_and_known_by_the_applications_id_from_then_on() {
    let application = HttpApplication::start().await;
    let sink = sink(&application, plain());
    let outcomes = sink.apply(&[joins(user("ada"))]).await.unwrap();
    assert_eq!(outcomes, [Outcome::applied_as("user-1", Action::Created)]);

    let mut renamed = user("ada");
    renamed.profile.display_name = Some("Ada Lovelace".into());
    let outcomes = sink.apply(&[changes(user("ada"), "user-1", renamed)]).await.unwrap();
    assert_eq!(outcomes, [Outcome::applied_as("user-1", Action::Updated)]);
    assert_eq!(application.requests()[1].line(), "PUT /users/user-1");
    assert_eq!(application.users()["user-1"]["display_name"], "Ada Lovelace");
}

#[tokio::test]
async fn who_was_lost_behind_our_back_is_made_again() {
    let application = HttpApplication::start().await;
    let sink = sink(&application, plain());
    let mut renamed = user("ada");
    renamed.profile.display_name = Some("Ada Lovelace".into());
    let outcomes = sink.apply(&[changes(user("ada"), "user-77", renamed)]).await.unwrap();
    assert_eq!(outcomes, [Outcome::applied_as("user-1", Action::Created)]);
    let lines: Vec<String> = application.requests().iter().map(|request| request.line()).collect();
    assert_eq!(lines, ["PUT /users/user-77", "POST /users"]);
}

#[tokio::test]
async fn who_is_gone_already_is_gone() {
    let application = HttpApplication::start().await;
    for status in [404, 410] {
        application.fail_next(1, Fault::status(status));
        let outcomes = sink(&application, plain()).apply(&[leaves(user("ada"), "user-1")]).await.unwrap();
        assert_eq!(outcomes, [Outcome::applied_as("user-1", Action::Unchanged)], "{status}");
    }
}

#[tokio::test]
async fn one_that_is_there_already_is_rejected_unless_a_lookup_finds_it() {
    let application = HttpApplication::start().await;
    let there = application.insert_user(json!({"external_id": "ada", "user_name": "old"}));
    let outcomes = sink(&application, plain()).apply(&[joins(user("ada"))]).await.unwrap();
    let [Outcome::Reject { reason }] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(reason.contains("409 Conflict") && reason.contains("lookup.user"), "{reason}");
    assert_eq!(application.users()[&there]["user_name"], "old");

    let outcomes = sink(&application, json!({})).apply(&[joins(user("ada"))]).await.unwrap();
    assert_eq!(outcomes, [Outcome::applied_as(there.clone(), Action::Updated)]);
    assert_eq!(application.users()[&there]["user_name"], "ada");
}

#[tokio::test]
async fn what_the_application_calls_wrong_is_rejected_with_its_words() {
    let application = HttpApplication::start().await;
    application.fail_next(1, Fault::status(422).body(json!({"error": "user_name is\u{1b}[31m reserved"})));
    let outcomes =
        sink(&application, plain()).apply(&[joins(user("ada")), joins(user("bob"))]).await.unwrap();
    let reasons: Vec<&String> = outcomes
        .iter()
        .filter_map(|outcome| if let Outcome::Reject { reason } = outcome { Some(reason) } else { None })
        .collect();
    assert_eq!(reasons.len(), 1, "the other goes through: {outcomes:?}");
    for part in ["app: http://127.0.0.1", "user_create (POST /users)", "422", "reserved"] {
        assert!(reasons[0].contains(part), "{part}: {}", reasons[0]);
    }
    assert!(!reasons[0].contains('\u{1b}'), "{}", reasons[0]);
}

#[tokio::test]
async fn a_failure_is_tried_again_when_the_application_says() {
    let application = HttpApplication::start().await;
    let sink = sink(&application, plain());
    for status in [408, 425, 500, 502, 504] {
        application.fail_next(1, Fault::status(status).header("Retry-After", "7"));
        let outcomes =
            sink.apply(&[joins(user("ada"))]).await.unwrap_or_else(|down| panic!("{status}: {down}"));
        let [Outcome::Retry { reason, after, .. }] = &outcomes[..] else { panic!("{status}: {outcomes:?}") };
        assert!(reason.contains(&status.to_string()), "{reason}");
        assert_eq!(*after, Some(Duration::from_secs(7)), "{status}");
    }
    let outcomes = sink.apply(&[joins(user("ada"))]).await.unwrap();
    assert_eq!(outcomes, [Outcome::applied_as("user-1", Action::Created)]);
}

#[tokio::test]
async fn a_date_to_retry_after_is_obeyed_too() {
    let application = HttpApplication::start().await;
    let date = "Tue, 31 Dec 2999 23:59:59 GMT";
    application.fail_next(1, Fault::status(500).header("Retry-After", date));
    let outcomes = sink(&application, plain()).apply(&[joins(user("ada"))]).await.unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    assert!(matches!(&outcomes[..], [Outcome::Retry { after, .. }] if *after == Some(day)), "{outcomes:?}");
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read() {
    let application = HttpApplication::start().await;
    let long = json!({"id": "user-1", "padding": "x".repeat(100_000)});
    application.fail_next(1, Fault::status(201).body(long.clone()));
    let small = json!({"lookup": {}, "max_response_bytes": 1000});
    let outcomes = sink(&application, small.clone()).apply(&[joins(user("ada"))]).await.unwrap();
    let [Outcome::Reject { reason }] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(reason.contains("longer than max_response_bytes"), "{reason}");

    application.fail_next(1, Fault::status(400).body(long));
    let outcomes = sink(&application, small).apply(&[joins(user("bob"))]).await.unwrap();
    let [Outcome::Reject { reason }] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(reason.len() < 600, "{} bytes: {reason}", reason.len());
}

#[tokio::test]
async fn what_needs_a_value_that_is_not_set_is_not_sent() {
    let application = HttpApplication::start().await;
    let mut base = whole_documents(&application.url());
    base["operations"]["user_delete"]["path"] = json!("/users/{{ user.email }}");
    let sink = rolecall_sink_rest::RestSink::new("app", config(base, plain())).unwrap();
    let outcomes = sink.apply(&[leaves(user("ada"), "user-1")]).await.unwrap();
    let [Outcome::Reject { reason }] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(reason.contains("/users/{{ user.email }}") && reason.contains("not set"), "{reason}");
    assert!(application.requests().is_empty(), "DELETE /users/ would be something else");
}
