//! OAuth 2.0 client credentials.

use rolecall_sink_api::{Outcome, Sink as _};
use rolecall_sink_rest::RestSink;
use rolecall_testkit::{Fault, HttpApplication};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::application::sink;
use crate::people::{joins, user};

/// The answer of a token endpoint.
fn token(token: &str, expires_in: impl Into<Value>) -> Fault {
    let expires_in = expires_in.into();
    Fault::status(200).body(json!({"access_token": token, "token_type": "bearer", "expires_in": expires_in}))
}

fn secret() -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "cl1ent+secret").unwrap();
    file
}

fn authorized(application: &HttpApplication, endpoint: &HttpApplication, secret: &NamedTempFile) -> RestSink {
    let oauth2 = json!({
        "token_url": format!("{}/token", endpoint.url()), "client_id": "role:call",
        "client_secret": {"file": secret.path()}, "scope": "users.write groups.write",
    });
    sink(application, json!({"lookup": {}, "concurrency": 2, "auth": {"oauth2": oauth2}}))
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_used_until_it_expires() {
    let (endpoint, secret) = (HttpApplication::start().await, secret());
    let application = HttpApplication::options().bearer("t0ken").start().await;
    endpoint.fail(token("t0ken", 3600));
    let sink = authorized(&application, &endpoint, &secret);
    let outcomes = sink.apply(&["ada", "bob", "eve"].map(|id| joins(user(id)))).await.unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Applied { .. })), "{outcomes:?}");

    let asked = endpoint.requests();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].body, "grant_type=client_credentials&scope=users.write+groups.write");
    // `role:call` and the secret, each form-encoded, joined by a colon.
    assert_eq!(asked[0].header("authorization"), Some("Basic cm9sZSUzQWNhbGw6Y2wxZW50JTJCc2VjcmV0"));
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    let (endpoint, secret) = (HttpApplication::start().await, secret());
    let application = HttpApplication::options().bearer("n3w-t0ken").start().await;
    endpoint.fail_next(1, token("0ld-t0ken", 3600));
    endpoint.fail_next(1, token("n3w-t0ken", 3600));
    let sink = authorized(&application, &endpoint, &secret);
    let outcomes = sink.apply(&[joins(user("ada"))]).await.unwrap();
    assert!(matches!(&outcomes[..], [Outcome::Applied { .. }]), "{outcomes:?}");
    assert_eq!(endpoint.requests().len(), 2);

    let stubborn = HttpApplication::options().bearer("other").start().await;
    endpoint.fail(token("wr0ng-t0ken", 3600));
    let down = authorized(&stubborn, &endpoint, &secret).apply(&[joins(user("ada"))]).await.unwrap_err();
    assert!(down.reason.contains("401") && !down.reason.contains("wr0ng-t0ken"), "{down}");
    assert_eq!(stubborn.requests().len(), 2, "not for ever");
}

#[tokio::test]
async fn a_token_that_expires_at_once_is_asked_for_again() {
    let (endpoint, secret) = (HttpApplication::start().await, secret());
    let application = HttpApplication::options().bearer("t0ken").start().await;
    endpoint.fail(token("t0ken", 0));
    let sink = authorized(&application, &endpoint, &secret);
    sink.apply(&["ada", "bob"].map(|id| joins(user(id)))).await.unwrap();
    assert_eq!(endpoint.requests().len(), 2);
}

#[tokio::test]
async fn a_lifetime_may_be_written_as_text_and_be_longer_than_all_time() {
    for expires_in in [json!("3600"), json!(u64::MAX), json!(null), json!(-1)] {
        let (endpoint, secret) = (HttpApplication::start().await, secret());
        let application = HttpApplication::options().bearer("t0ken").start().await;
        endpoint.fail(token("t0ken", expires_in.clone()));
        let outcomes =
            authorized(&application, &endpoint, &secret).apply(&[joins(user("ada"))]).await.unwrap();
        assert!(matches!(&outcomes[..], [Outcome::Applied { .. }]), "{expires_in}: {outcomes:?}");
        assert_eq!(endpoint.requests().len(), 1, "{expires_in}");
    }
}

#[tokio::test]
async fn an_endpoint_that_gives_no_token_is_asked_once_for_all_who_wait() {
    let (endpoint, application, secret) =
        (HttpApplication::start().await, HttpApplication::start().await, secret());
    endpoint.fail(Fault::status(503));
    let sink = authorized(&application, &endpoint, &secret);
    let down = sink.apply(&["ada", "bob", "eve"].map(|id| joins(user(id)))).await.unwrap_err();
    assert!(down.reason.contains("no token from"), "{down}");
    assert_eq!(endpoint.requests().len(), 1);
    sink.apply(&[joins(user("ada"))]).await.unwrap_err();
    assert_eq!(endpoint.requests().len(), 2, "whoever comes later asks again");
}

#[tokio::test]
async fn without_a_token_the_sink_is_down_and_says_why_without_the_secret() {
    let (endpoint, application, secret) =
        (HttpApplication::start().await, HttpApplication::start().await, secret());
    let sink = authorized(&application, &endpoint, &secret);
    let denied = json!({"error": "invalid_client", "error_description": "no cl1ent+secret like that"});
    let other = json!({"access_token": "t0ken", "token_type": "mac"});
    let cases: [(Fault, &str); 4] = [
        (Fault::status(401).body(denied), "invalid_client"),
        (Fault::status(200).body(other), "mac"),
        (Fault::status(200).body(Value::from("t0ken")), "no token"),
        (Fault::status(200).body(Value::from("x".repeat(100_000))), "longer than"),
    ];
    for (answer, why) in cases {
        endpoint.fail_next(1, answer);
        let down = sink.apply(&[joins(user("ada"))]).await.unwrap_err();
        assert!(down.reason.contains(why) && down.reason.contains("/token"), "{down}");
        for secret in ["cl1ent", "t0ken"] {
            assert!(!down.reason.contains(secret), "{down}");
        }
    }
    assert!(application.requests().is_empty(), "nothing was sent without a token");
}
