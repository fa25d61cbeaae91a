//! Trouble that is not one change's.

use std::time::Duration;

use rolecall_sink_api::{Change, Outcome, Sink as _, SinkDown};
use rolecall_sink_rest::RestSink;
use rolecall_testkit::{CertificateAuthority, Fault, HttpApplication};
use serde_json::{Value, json};

use crate::application::sink;
use crate::people::{joins, user};

fn crowd(size: usize) -> Vec<Change> {
    (0..size).map(|n| joins(user(&format!("user{n}")))).collect()
}

/// One request at a time, so that their number tells something.
fn one_at_a_time() -> Value {
    json!({ "lookup": {}, "concurrency": 1 })
}

async fn down(sink: &RestSink) -> SinkDown {
    match sink.apply(&crowd(20)).await {
        Err(down) => down,
        Ok(outcomes) => panic!("it is not down: {outcomes:?}"),
    }
}

#[tokio::test]
async fn credentials_that_are_refused_bring_the_sink_down_until_they_are_replaced() {
    let application = HttpApplication::options().bearer("n3w-t0ken").start().await;
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "0ld-t0ken\n").unwrap();
    let auth = json!({"bearer": {"file": token.path()}});
    let sink = sink(&application, json!({"lookup": {}, "concurrency": 1, "auth": auth}));
    let refused = down(&sink).await;
    assert!(refused.reason.contains("401") && refused.reason.contains("credentials"), "{refused}");
    assert_eq!(application.requests().len(), 1, "nobody else is sent after that");
    assert!(sink.probe().await.unwrap_err().reason.contains("401"));

    std::fs::write(token.path(), "n3w-t0ken\n").unwrap();
    sink.probe().await.unwrap();
    assert!(sink.apply(&crowd(1)).await.is_ok());
    for secret in ["0ld-t0ken", "n3w-t0ken"] {
        assert!(!format!("{refused:?}").contains(secret));
    }
}

#[tokio::test]
async fn a_secret_that_the_application_repeats_is_blotted_out() {
    let application = HttpApplication::start().await;
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "s3cret-t0ken").unwrap();
    let echo = json!({"error": "bad header Authorization: Bearer s3cret-t0ken"});
    let auth = json!({"bearer": {"file": token.path()}});
    let sink = sink(&application, json!({"lookup": {}, "auth": auth}));
    for status in [400, 403, 500, 429] {
        application.fail_next(1, Fault::status(status).body(echo.clone()));
        let said = match sink.apply(&crowd(1)).await {
            Ok(outcomes) => format!("{outcomes:?}"),
            Err(down) => format!("{down:?}"),
        };
        assert!(said.contains("bad header") && said.contains("[secret]"), "{said}");
        assert!(!said.contains("s3cret-t0ken"), "{said}");
    }
    let headers = application.requests().remove(0).headers;
    assert_eq!(headers["authorization"], "Bearer s3cret-t0ken", "it is sent all the same");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (application, other) = (HttpApplication::start().await, HttpApplication::start().await);
    for status in [301, 302, 307, 308] {
        let elsewhere = format!("{}/users", other.url());
        application.fail_next(1, Fault::status(status).header("Location", &elsewhere));
        let refused = down(&sink(&application, one_at_a_time())).await;
        assert!(refused.reason.contains(&elsewhere) && refused.reason.contains("base_url"), "{refused}");
    }
    assert!(other.requests().is_empty(), "{:?}", other.requests());
}

#[tokio::test]
async fn a_busy_application_is_left_alone_and_no_change_is_blamed() {
    let application = HttpApplication::start().await;
    for status in [429, 503] {
        application.forget_requests();
        application.fail(Fault::status(status).header("Retry-After", "9"));
        let busy = down(&sink(&application, one_at_a_time())).await;
        assert_eq!(busy.after, Some(Duration::from_secs(9)));
        assert_eq!(application.requests().len(), 1, "{status}: nobody else is sent after that");
    }
}

#[tokio::test]
async fn a_rate_limit_in_mid_batch_keeps_what_got_through() {
    let application = HttpApplication::start().await;
    let sink = sink(&application, one_at_a_time());
    // The first three get through, the fourth meets the limit.
    for _ in 0..3 {
        application.fail_next(1, Fault::status(201).body(json!({"id": "user-x"})));
    }
    application.fail_next(1, Fault::status(429).header("Retry-After", "9"));
    let outcomes = sink.apply(&crowd(20)).await.unwrap();
    let (through, left) = outcomes.split_at(3);
    assert!(through.iter().all(|outcome| matches!(outcome, Outcome::Applied { .. })), "{through:?}");
    let nine = Some(Duration::from_secs(9));
    assert!(
        left.iter().all(|outcome| matches!(outcome, Outcome::Retry { after, .. } if *after == nine)),
        "{left:?}"
    );
    assert_eq!(application.requests().len(), 4);
}

#[tokio::test]
async fn an_application_that_fails_every_time_is_down() {
    let application = HttpApplication::start().await;
    application.fail(Fault::status(500));
    let failing = down(&sink(&application, one_at_a_time())).await;
    assert!(failing.reason.contains("in a row") && failing.reason.contains("500"), "{failing}");
    assert!(application.requests().len() < 20);
}

#[tokio::test]
async fn an_application_that_hangs_does_not_hold_us() {
    let application = HttpApplication::start().await;
    application.fail_next(1, Fault::Hang);
    let hasty = sink(&application, json!({"lookup": {}, "concurrency": 1, "timeout": "300ms"}));
    let outcomes = hasty.apply(&crowd(2)).await.unwrap();
    assert!(
        matches!(&outcomes[0], Outcome::Retry { reason, .. } if reason.contains("no answer within 300 ms")),
        "{outcomes:?}"
    );
    assert!(matches!(&outcomes[1], Outcome::Applied { .. }), "{outcomes:?}");
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again_at_once() {
    let application = HttpApplication::start().await;
    application.fail_next(1, Fault::Close);
    let outcomes = sink(&application, one_at_a_time()).apply(&crowd(1)).await.unwrap();
    assert!(matches!(&outcomes[0], Outcome::Applied { .. }), "{outcomes:?}");
    let keys: Vec<_> =
        application.requests().iter().map(|r| r.header("idempotency-key").map(str::to_owned)).collect();
    assert!(keys.len() == 2 && keys[0].is_some() && keys[0] == keys[1], "{keys:?}");
}

#[tokio::test]
async fn an_application_that_is_not_there_is_down() {
    let mut application = HttpApplication::start().await;
    let sink = sink(&application, one_at_a_time());
    sink.probe().await.unwrap();
    application.stop().await;
    let refused = down(&sink).await;
    assert!(
        refused.reason.contains("cannot be reached") && refused.reason.contains(&application.url()),
        "{refused}"
    );
    assert!(sink.probe().await.unwrap_err().reason.contains("cannot reach it"));
}

#[tokio::test]
async fn only_a_certificate_from_the_named_authority_is_trusted() {
    let application = HttpApplication::options().tls(CertificateAuthority::new()).start().await;
    let trusting = json!({"lookup": {}, "tls": {"ca": application.ca_path()}});
    assert!(sink(&application, trusting).apply(&crowd(1)).await.is_ok());

    let stranger = HttpApplication::options().tls(CertificateAuthority::new()).start().await;
    let other = json!({"lookup": {}, "tls": {"ca": stranger.ca_path()}});
    let refused = down(&sink(&application, other)).await;
    assert!(refused.reason.contains("certificate"), "{refused}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_an_application_that_wants_one() {
    let authority = CertificateAuthority::new();
    let (certificate, key) = authority.client("rolecall");
    let files = tempfile::tempdir().unwrap();
    let [certificate, key] = [("client.pem", certificate), ("client.key", key)].map(|(name, pem)| {
        std::fs::write(files.path().join(name), pem).unwrap();
        files.path().join(name)
    });
    let application = HttpApplication::options().tls(authority).client_certificates().start().await;
    let ca = application.ca_path();
    let showing = json!({"lookup": {}, "tls": {"ca": ca, "certificate": certificate, "key": key}});
    assert!(sink(&application, showing).apply(&crowd(1)).await.is_ok());

    let refused = sink(&application, json!({"lookup": {}, "tls": {"ca": ca}})).apply(&crowd(1)).await;
    let said = format!("{refused:?}");
    assert!(!said.contains("Applied") && said.contains("ertificate"), "{said}");
    assert_eq!(application.requests().len(), 1);
}

#[tokio::test]
async fn everything_goes_through_the_proxy_where_there_is_one() {
    // To a proxy, a plain request is sent as it is, with the whole URL; this one answers it itself.
    let proxy = HttpApplication::start().await;
    let behind = json!({"lookup": {}, "base_url": "http://app.invalid/api", "proxy": proxy.url()});
    proxy.fail_next(1, Fault::status(201).body(json!({"id": "user-7"})));
    let outcomes = sink(&proxy, behind).apply(&crowd(1)).await.unwrap();
    assert!(matches!(&outcomes[0], Outcome::Applied { .. }), "{outcomes:?}");
    let request = proxy.requests().remove(0);
    assert_eq!((request.line().as_str(), request.header("host")), ("POST /api/users", Some("app.invalid")));
}

#[tokio::test]
async fn an_application_with_a_rate_limit_is_asked_at_its_rate() {
    let application = HttpApplication::options().most_per_second(12).start().await;
    let paced = json!({"lookup": {}, "requests_per_second": 8});
    let outcomes = sink(&application, paced).apply(&crowd(30)).await.unwrap();
    let through = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Applied { .. })).count();
    assert_eq!(through, 30, "{outcomes:?}");
    // As fast as it goes it is too fast.
    let application = HttpApplication::options().most_per_second(12).start().await;
    let outcomes = sink(&application, json!({ "lookup": {} })).apply(&crowd(30)).await.unwrap();
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Outcome::Retry { .. })), "{outcomes:?}");
}

#[tokio::test]
async fn the_probe_asks_what_it_is_told_to() {
    let application = HttpApplication::start().await;
    let probing = sink(&application, json!({"probe": "/users"}));
    probing.probe().await.unwrap();
    assert_eq!(application.requests()[0].line(), "GET /users");
    application.fail_next(1, Fault::status(503).header("Retry-After", "9"));
    assert_eq!(probing.probe().await.unwrap_err().after, Some(Duration::from_secs(9)));

    let wrong = sink(&application, json!({"probe": "/nowhere"})).probe().await.unwrap_err();
    assert!(wrong.reason.contains("GET /nowhere was answered 404"), "{wrong}");
}
