//! What is sent, and what is refused before anything is.

use std::collections::BTreeSet;

use rolecall_sink_api::{Action, Attempted, Change, ConfigError, Document, Outcome, RoleName, Sink as _};
use rolecall_sink_rest::{Config, RestSink};
use rolecall_testkit::{Fault, HttpApplication};
use serde_json::{Value, json};

use crate::application::{config, one_by_one, sink, whole_documents};
use crate::people::{again, changes, joins, leaves, user};

#[tokio::test]
async fn the_idempotency_key_stays_over_attempts_and_differs_by_request_and_generation() {
    let application = HttpApplication::start().await;
    let sink = RestSink::new(
        "app",
        config(
            one_by_one(&application.url()),
            json!({"lookup": {
                "group": {"path": "/groups?external_id={{ group.id }}", "id": "/0/id"}
            }}),
        ),
    )
    .unwrap();
    let mut ada = user("ada");
    ada.roles = ["admin", "reader"].map(RoleName::new).into();
    let first = joins(ada.clone());
    application.fail_next(1, Fault::status(500));
    sink.apply(std::slice::from_ref(&first)).await.unwrap();
    sink.apply(&[again(first)]).await.unwrap();
    let keys = keys(&application);
    assert_eq!(keys.len(), 4, "a create that failed, a create, two grants: {keys:?}");
    assert_eq!(keys[0], keys[1], "the same create");
    assert_eq!(keys[1..].iter().collect::<BTreeSet<_>>().len(), 3, "three requests: {keys:?}");

    application.forget_requests();
    let mut renamed = ada.clone();
    renamed.profile.display_name = Some("Ada".into());
    let second = changes(ada, "user-1", renamed);
    sink.apply(std::slice::from_ref(&second)).await.unwrap();
    sink.apply(&[Change { generation: 3, idempotency_key: "app/ada/3".into(), ..second }]).await.unwrap();
    let keys = self::keys(&application);
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 2, "two generations: {keys:?}");
}

fn keys(application: &HttpApplication) -> Vec<String> {
    let key = |request: &rolecall_testkit::Recorded| request.header("idempotency-key").unwrap().to_owned();
    application.requests().iter().map(key).collect()
}

#[tokio::test]
async fn no_value_leaves_its_place() {
    let application = HttpApplication::start().await;
    let mut base = whole_documents(&application.url());
    base["operations"] = json!({"user_update": {
        "method": "PUT", "path": "/users/{{ user.id }}/profile?name={{ user.user_name }}",
        "headers": {"X-Name": "{{ user.user_name }}"},
        "body": {"name": "{{ user.user_name }}"},
    }});
    let sink = RestSink::new("app", config(base, json!({"id": null, "lookup": {}}))).unwrap();

    let mut plain = user("../admin?x#y");
    plain.profile.user_name = Some("a&b=c\", \"admin\": \"true".into());
    application.fail_next(1, Fault::status(200));
    sink.apply(&[joins(plain)]).await.unwrap();
    let request = application.requests().remove(0);
    assert_eq!(
        request.line(),
        "PUT /users/..%2Fadmin%3Fx%23y/profile?name=a%26b%3Dc%22%2C%20%22admin%22%3A%20%22true"
    );
    assert_eq!(request.body, json!({"name": "a&b=c\", \"admin\": \"true"}));

    application.forget_requests();
    let mut splitting = user("ada");
    splitting.profile.user_name = Some("x\r\nX-Admin: 1".into());
    let outcomes = sink.apply(&[joins(splitting), joins(user(".."))]).await.unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Reject { .. })), "{outcomes:?}");
    assert!(application.requests().is_empty(), "{:?}", application.requests());
}

#[tokio::test]
async fn what_a_failed_attempt_gave_is_taken_away_when_something_else_is_desired() {
    let application = HttpApplication::start().await;
    let sink = RestSink::new("app", config(one_by_one(&application.url()), json!({}))).unwrap();
    let ada = user("ada");
    let first = sink.apply(&[joins(ada.clone())]).await.unwrap();
    let [Outcome::Applied { remote: Some(remote), .. }] = &first[..] else { panic!("{first:?}") };

    // `admin` is granted, `reader` fails: the attempt as a whole is not confirmed.
    let mut both = ada.clone();
    both.roles = ["admin", "reader"].map(RoleName::new).into();
    let change = changes(ada.clone(), remote.as_str(), both);
    let only_admin = |user: &Value| user["roles"] == json!({"admin": true});
    fail_from_the_second_request_on(&application, &sink, &change).await;
    assert!(only_admin(&application.users()[remote.as_str()]), "{:?}", application.users());

    application.recover();
    let sink = RestSink::new("app", config(one_by_one(&application.url()), json!({}))).unwrap();
    let newer = Change {
        attempted: Attempted::by(&change),
        desired: Some(Document::User(Box::new(ada))),
        generation: 3,
        idempotency_key: "app/ada/3".into(),
        ..change
    };
    let outcomes = sink.apply(&[newer]).await.unwrap();
    assert!(matches!(&outcomes[..], [Outcome::Applied { .. }]), "{outcomes:?}");
    assert_eq!(application.users()[remote.as_str()]["roles"], json!({}));
}

/// One request each, and no way to find a user.
fn blind(application: &HttpApplication) -> RestSink {
    let groups = json!({"lookup": {"group": {"path": "/groups?external_id={{ group.id }}", "id": "/0/id"}}});
    RestSink::new("app", config(one_by_one(&application.url()), groups)).unwrap()
}

/// The change as the daemon hands it over after `outcome`.
fn after(change: &Change, outcome: &Outcome) -> Change {
    let Outcome::Retry { remote, .. } = outcome else { panic!("not to be tried again: {outcome:?}") };
    let remote = remote.clone().or(change.remote.clone());
    let attempted = Attempted::by(change).map(|left| Attempted { remote: remote.clone(), ..left });
    Change { remote, attempted, attempt: change.attempt + 1, ..change.clone() }
}

#[tokio::test]
async fn what_was_made_before_the_rest_failed_is_known_by_its_id_and_not_made_again() {
    for status in [500, 404, 422, 401, 429] {
        let application = HttpApplication::start().await;
        let sink = blind(&application);
        let mut ada = user("ada");
        ada.roles = ["admin"].map(RoleName::new).into();
        let first = joins(ada);
        let made = sink_then_fail(&application, &sink, &first, status).await;
        let Outcome::Retry { remote, .. } = &made else { panic!("{status}: {made:?}") };
        assert_eq!(remote.as_ref().map(|id| id.as_str()), Some("user-1"), "{status}: {made:?}");

        application.recover();
        application.forget_requests();
        // The daemon died meanwhile: nothing is known but what it kept.
        let outcomes = blind(&application).apply(&[after(&first, &made)]).await.unwrap();
        assert_eq!(outcomes, [Outcome::applied_as("user-1", Action::Updated)], "{status}");
        assert_eq!(application.users().len(), 1);
        assert!(application.requests().iter().all(|request| request.method != "POST"), "{status}");
    }
}

#[tokio::test]
async fn who_was_made_before_the_rest_failed_can_go() {
    let application = HttpApplication::start().await;
    let sink = blind(&application);
    let mut ada = user("ada");
    ada.roles = ["admin"].map(RoleName::new).into();
    let first = joins(ada);
    let made = sink_then_fail(&application, &sink, &first, 422).await;
    application.recover();
    let gone = Change { desired: None, ..after(&first, &made) };
    assert_eq!(sink.apply(&[gone]).await.unwrap(), [Outcome::applied_as("user-1", Action::Deleted)]);
    assert!(application.users().is_empty());
}

#[tokio::test]
async fn what_is_refused_for_good_becomes_a_dead_letter_once_the_id_is_kept() {
    let application = HttpApplication::start().await;
    let sink = blind(&application);
    let mut ada = user("ada");
    ada.roles = ["admin"].map(RoleName::new).into();
    let first = joins(ada);
    let made = sink_then_fail(&application, &sink, &first, 422).await;
    application.recover();
    application.fail_next(1, Fault::status(200));
    application.fail_next(1, Fault::status(422));
    let outcomes = sink.apply(&[after(&first, &made)]).await.unwrap();
    let [Outcome::Reject { reason }] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(reason.contains("role_grant") && reason.contains("422"), "{reason}");
}

/// What becomes of `change` whose first request succeeds and whose others are answered `status`.
async fn sink_then_fail(
    application: &HttpApplication,
    sink: &RestSink,
    change: &Change,
    status: u16,
) -> Outcome {
    let mut requests = application.subscribe();
    let failing = async {
        requests.wait_for(|all| !all.is_empty()).await.unwrap();
        application.fail(Fault::status(status));
    };
    let (outcomes, ()) = tokio::join!(sink.apply(std::slice::from_ref(change)), failing);
    outcomes.unwrap().remove(0)
}

/// A sink that ends the sessions of those who lose access.
fn ending_sessions(application: &HttpApplication) -> RestSink {
    let mut base = one_by_one(&application.url());
    base["operations"]["session_revoke"] =
        json!({"method": "DELETE", "path": "/users/{{ remote }}/sessions"});
    RestSink::new("app", serde_json::from_value(base).unwrap()).unwrap()
}

#[tokio::test]
async fn sessions_end_after_access_is_taken_and_before_somebody_is_removed() {
    let application = HttpApplication::start().await;
    let sink = ending_sessions(&application);
    sink.apply(&[joins(user("ada"))]).await.unwrap();
    application.forget_requests();

    let mut inactive = user("ada");
    inactive.active = false;
    // The application knows nothing of sessions, and 404 is as good as done.
    let outcomes = sink.apply(&[changes(user("ada"), "user-1", inactive.clone())]).await.unwrap();
    assert_eq!(outcomes, [Outcome::applied_as("user-1", Action::Deactivated)]);
    sink.apply(&[leaves(inactive, "user-1")]).await.unwrap();
    let lines: Vec<String> = application.requests().iter().map(|request| request.line()).collect();
    assert_eq!(
        lines,
        [
            "PATCH /users/user-1",
            "DELETE /users/user-1/sessions",
            "DELETE /users/user-1/sessions",
            "DELETE /users/user-1"
        ]
    );
}

#[tokio::test]
async fn who_goes_is_removed_although_their_sessions_cannot_be_ended_and_a_person_is_told() {
    let application = HttpApplication::start().await;
    let sink = ending_sessions(&application);
    sink.apply(&[joins(user("ada"))]).await.unwrap();
    application.fail_next(1, Fault::status(400).body(json!("no such thing as a session")));
    let outcomes = sink.apply(&[leaves(user("ada"), "user-1")]).await.unwrap();
    assert!(
        matches!(&outcomes[..], [Outcome::Reject { reason }] if reason.contains("no such thing as a session")),
        "{outcomes:?}"
    );
    assert!(application.users().is_empty());
}

#[tokio::test]
async fn who_goes_is_removed_before_the_end_of_their_sessions_is_tried_again() {
    let application = HttpApplication::start().await;
    let sink = ending_sessions(&application);
    sink.apply(&[joins(user("ada"))]).await.unwrap();
    application.fail_next(1, Fault::status(500));
    let gone = leaves(user("ada"), "user-1");
    let outcomes = sink.apply(std::slice::from_ref(&gone)).await.unwrap();
    assert!(matches!(&outcomes[..], [Outcome::Retry { .. }]), "{outcomes:?}");
    assert!(application.users().is_empty());
    assert_eq!(sink.apply(&[gone]).await.unwrap(), [Outcome::applied_as("user-1", Action::Unchanged)]);
}

#[tokio::test]
async fn who_was_made_and_never_confirmed_is_found_in_order_to_go_or_else_a_person_is_told() {
    let application = HttpApplication::start().await;
    let joins = joins(user("ada"));
    let attempted = Attempted::by(&joins);
    sink(&application, json!({})).apply(&[joins]).await.unwrap();
    let gone = Change { applied: None, remote: None, attempted, ..leaves(user("ada"), "user-1") };

    let blind = sink(&application, json!({ "lookup": {} }));
    let outcomes = blind.apply(std::slice::from_ref(&gone)).await.unwrap();
    let [Outcome::Reject { reason }] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(reason.contains("may have made it") && reason.contains("lookup.user"), "{reason}");

    let outcomes = sink(&application, json!({})).apply(&[gone]).await.unwrap();
    assert_eq!(outcomes, [Outcome::applied_as("user-1", Action::Deleted)]);
    assert!(application.users().is_empty(), "{:?}", application.users());
}

async fn fail_from_the_second_request_on(application: &HttpApplication, sink: &RestSink, change: &Change) {
    let mut requests = application.subscribe();
    let before = requests.borrow_and_update().len();
    let failing = async {
        requests.wait_for(|all| all.len() > before).await.unwrap();
        application.fail(Fault::status(500));
    };
    // The sink waits for each answer before it sends the next request, and `failing` is polled first.
    let (outcomes, ()) = tokio::join!(sink.apply(std::slice::from_ref(change)), failing);
    let outcomes = outcomes.unwrap();
    assert!(matches!(&outcomes[..], [Outcome::Retry { .. }]), "{outcomes:?}");
}

#[tokio::test]
async fn every_request_has_the_configured_headers_and_credentials() {
    let application = HttpApplication::start().await;
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "pass word\n").unwrap();
    let file = json!({"file": secret.path()});
    for (auth, header, value) in [
        (json!({"bearer": file}), "authorization", "Bearer pass word"),
        (
            json!({"basic": {"username": "rolecall", "password": file}}),
            "authorization",
            "Basic cm9sZWNhbGw6cGFzcyB3b3Jk",
        ),
        (json!({"header": {"name": "X-Api-Key", "value": file}}), "x-api-key", "pass word"),
    ] {
        application.forget_requests();
        let sink = sink(&application, json!({"auth": auth, "headers": {"X-Tenant": "acme"}}));
        sink.probe().await.unwrap();
        sink.apply(&[joins(user(header))]).await.unwrap();
        for request in application.requests() {
            assert_eq!(request.header(header), Some(value), "{}", request.line());
            assert_eq!(request.header("x-tenant"), Some("acme"), "{}", request.line());
        }
    }
}

#[tokio::test]
async fn a_signed_change_verifies_and_each_attempt_has_the_same_id() {
    let application = HttpApplication::start().await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), secret).unwrap();
    let sink = sink(&application, json!({"lookup": {}, "sign_with": [{"file": file.path()}]}));
    let joins = joins(user("Zoë"));
    application.fail_next(1, Fault::status(500));
    sink.apply(std::slice::from_ref(&joins)).await.unwrap();
    sink.apply(&[again(joins)]).await.unwrap();
    let requests = application.requests();
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"));
    for request in requests {
        let headers = request.headers.iter().map(|(name, value)| {
            (http::HeaderName::try_from(name).unwrap(), http::HeaderValue::try_from(value).unwrap())
        });
        let webhook = standardwebhooks::Webhook::new(secret).unwrap();
        webhook.verify(request.body.to_string().as_bytes(), &headers.collect()).unwrap();
    }
}

#[test]
fn a_configuration_that_cannot_work_is_refused_where_it_is_wrong() {
    for (changes, path) in [
        (json!({"base_url": "app.example.com"}), "base_url"),
        (json!({"base_url": "ftp://app.example.com"}), "base_url"),
        (json!({"base_url": "https://me:secret@app.example.com"}), "base_url"),
        (json!({"base_url": "https://app.example.com/?a=b"}), "base_url"),
        (json!({"auth": {"bearer": {"file": "/nowhere/token"}}}), "auth.bearer"),
        (json!({"sign_with": [{"file": "/nowhere/key"}]}), "sign_with.0"),
        (json!({"headers": {"Authorization": "Bearer x"}}), "headers.Authorization"),
        (json!({"headers": {"X-A": "a\nb"}}), "headers.X-A"),
        (json!({"timeout": "0s"}), "timeout"),
        (json!({"concurrency": 0}), "concurrency"),
        (json!({"concurrency": 1000}), "concurrency"),
        (json!({"max_response_bytes": 0}), "max_response_bytes"),
        (json!({"tls": {"ca": "/nowhere/ca.pem"}}), "tls.ca"),
        (json!({"id": "id"}), "id"),
        (json!({"lookup": {"user": {"path": "/users?x={{ user.nme }}", "id": "/id"}}}), "lookup.user.path"),
        (json!({"lookup": {"user": {"path": "/users", "id": "id"}}}), "lookup.user.id"),
        (json!({"probe": "health"}), "probe"),
        (json!({"operations": {}}), "operations"),
        (json!({"id": null, "lookup": {}}), "operations.user_update"),
    ] {
        let base = whole_documents("https://app.example.com");
        let error = refused(config(base, changes.clone()));
        assert_eq!(error.path, path, "{changes}: {error}");
    }
    let mut base = one_by_one("https://app.example.com");
    base["lookup"]["group"] = Value::Null;
    assert_eq!(refused(serde_json::from_value(base).unwrap()).path, "operations.member_add");
}

fn refused(config: Config) -> ConfigError {
    match RestSink::new("app", config) {
        Ok(_) => panic!("it is taken"),
        Err(error) => error,
    }
}

#[test]
fn the_example_in_the_readme_can_be_used() {
    let readme = include_str!("../../README.md");
    let example = readme.split("```").find_map(|block| block.strip_prefix("yaml\n")).unwrap();
    // There is no credentials directory in a test.
    let example = example.replace("{credential: app-token}", "{env: PATH}");
    let config: Config = serde_saphyr::from_str(&example).unwrap();
    RestSink::new("app", config).unwrap();
}

#[test]
fn an_unknown_key_is_refused() {
    let mut base = whole_documents("https://app.example.com");
    base["operations"]["user_updat"] = json!({"method": "PUT", "path": "/"});
    let error = serde_json::from_value::<Config>(base).unwrap_err().to_string();
    assert!(error.contains("user_updat"), "{error}");
}
