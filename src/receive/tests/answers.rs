//! Every answer a sender can get, and what it changes.

use std::io;
use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::store::Unavailable;

#[tokio::test]
async fn an_event_that_is_on_disk_is_committed() {
    let (daemon, mut store) = Daemon::with_store(config()).await;
    let sent = async { daemon.send(USER).await };
    let stored = async {
        let Submission { message, answer } = in_time(store.recv()).await.unwrap();
        answer.send(Ok(Receipt::Committed)).unwrap();
        message
    };
    let (heard, message) = tokio::join!(sent, stored);

    assert_eq!((heard.status, heard.body), (200, json!({"status": "committed", "event": "evt_7"})));
    assert_eq!(heard.headers["content-type"], "application/json");
    assert_eq!((message.source.as_str(), message.message_id.as_str()), ("scalekit", "msg_1"));
    assert_eq!((message.signed_at, message.received_at), (now(), now()));
    assert_eq!(message.body, USER);
    assert!(matches!(message.reading, Reading::Event { .. }));
    assert_eq!(daemon.counts.of(Answer::Committed), 1);
}

#[tokio::test]
async fn what_the_store_says_is_what_the_sender_hears() {
    let (daemon, mut store) = Daemon::with_store(config()).await;
    for (receipt, body, answer) in [
        (Receipt::Duplicate, json!({"status": "duplicate", "event": "evt_7"}), Answer::Duplicate),
        (Receipt::Ignored, json!({"status": "ignored", "event": "evt_7"}), Answer::Ignored),
        (
            Receipt::Unreadable("why".into()),
            json!({"status": "unreadable", "event": "evt_7", "reason": "why"}),
            Answer::Unreadable,
        ),
    ] {
        let stored = async { in_time(store.recv()).await.unwrap().answer.send(Ok(receipt)).unwrap() };
        let (heard, ()) = tokio::join!(daemon.send(USER), stored);
        assert_eq!((heard.status, heard.body), (200, body));
        assert_eq!(daemon.counts.of(answer), 1);
    }
}

#[tokio::test]
async fn what_cannot_be_stored_now_is_to_be_sent_again() {
    let (daemon, mut store) = Daemon::with_store(config()).await;
    let full = async {
        let answer = in_time(store.recv()).await.unwrap().answer;
        answer.send(Err(Unavailable("the disk is full".into()))).unwrap();
    };
    let (heard, ()) = tokio::join!(daemon.send(USER), full);
    assert_eq!((heard.status, heard.header("retry-after")), (503, Some("5")));
    assert_eq!(heard.body, json!({"status": "unavailable"}));

    drop(store);
    assert_eq!(daemon.send(USER).await.status, 503, "the store is gone");
    assert_eq!(daemon.counts.of(Answer::Unavailable), 2);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_not_waited_for_for_ever() {
    let config = ListenConfig { answer_timeout: millis(50), ..config() };
    let (daemon, _store) = Daemon::with_store(config).await;
    let heard = daemon.send(USER).await;
    assert_eq!((heard.status, heard.header("retry-after")), (503, Some("5")));
}

#[tokio::test]
async fn whoever_is_not_authentic_hears_one_thing_whatever_is_wrong() {
    let daemon = Daemon::start(config()).await;
    let good = key().sign("msg_1", now(), USER.as_bytes());
    let other = SigningKey::new(&Secret::new("whsec_YW5vdGhlci1rZXktYW5vdGhlci1rZXktYW5vdGhlciE=")).unwrap();
    let old = now() - SignedDuration::from_secs(301);
    let cases = [
        ("another secret", other.sign("msg_1", now(), USER.as_bytes())),
        ("another body", key().sign("msg_1", now(), b"{}")),
        ("another id", SignedHeaders { id: "msg_2".into(), ..good.clone() }),
        ("an old attempt", key().sign("msg_1", old, USER.as_bytes())),
        ("no signature", SignedHeaders { signature: String::new(), ..good.clone() }),
        ("a time that is none", SignedHeaders { timestamp: "soon".into(), ..good.clone() }),
    ];
    let refused = cases.len() as u64;
    for (what, headers) in cases {
        let heard = daemon.post("/webhooks/scalekit", &headers, USER.into()).await;
        assert_eq!((heard.status, heard.body), (400, json!({"status": "refused"})), "{what}");
    }
    let url = format!("http://{}/webhooks/scalekit", daemon.address);
    assert_eq!(hear(client().post(url).body(USER)).await.status, 400, "no headers at all");
    assert_eq!(daemon.counts.of(Answer::Refused), refused + 1);
    assert_eq!(daemon.counts.of(Answer::Committed), 0);
}

#[tokio::test]
async fn the_log_says_why_a_message_was_refused_and_the_sender_is_not_told() {
    let log = Log::default();
    let lines = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || lines.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let daemon = Daemon::start(config()).await;

    let headers = key().sign("msg_1\u{7f}", now(), b"{}");
    let heard = daemon
        .post("/webhooks/scalekit", &SignedHeaders { id: "msg_9".into(), ..headers }, USER.into())
        .await;
    assert_eq!(heard.body, json!({"status": "refused"}));
    let text = log.text();
    assert!(text.contains("no signature matches"), "{text}");
    assert!(text.contains(r#"source="scalekit" client=127.0.0.1 message_id="msg_9""#), "{text}");

    daemon.send(r#"{"id":"evt_1","type":"organization.directory.user_created","data":{"id":5}}"#).await;
    assert!(log.text().contains("event evt_1 is kept, but cannot be read: data.id: expected a string"));

    for _ in 0..100 {
        daemon.post("/webhooks/scalekit", &key().sign("msg_1", now(), b""), USER.into()).await;
    }
    assert_eq!(log.text().matches("WARN").count(), 10, "a flood of refusals fills the log");

    let forwarding = ListenConfig { trusted_proxies: vec!["127.0.0.1".parse().unwrap()], ..config() };
    let daemon = Daemon::start(forwarding).await;
    let url = format!("http://{}/webhooks/scalekit", daemon.address);
    let headers = key().sign("msg_8", now(), b"{}");
    hear(signed(client().post(&url), &headers).header("x-forwarded-for", "6.6.6.6, 203.0.113.5").body(USER))
        .await;
    assert!(log.text().contains(r#"client=203.0.113.5 message_id="msg_8""#), "{}", log.text());
}

#[tokio::test]
async fn every_path_and_method_but_one_is_told_so() {
    let daemon = Daemon::start(config()).await;
    let headers = key().sign("msg_1", now(), USER.as_bytes());
    for path in
        ["/webhooks/other", "/webhooks", "/webhooks/", "/", "/webhooks/scalekit/more", "/webhooks/%00"]
    {
        let heard = daemon.post(path, &headers, USER.into()).await;
        assert_eq!((heard.status, heard.body), (404, json!({"status": "not_found"})), "{path}");
    }
    let url = format!("http://{}/webhooks/scalekit", daemon.address);
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
        let heard = hear(client().request(method.parse().unwrap(), &url)).await;
        assert_eq!((heard.status, heard.header("allow")), (405, Some("POST")), "{method}");
    }
    assert_eq!((daemon.counts.of(Answer::NotFound), daemon.counts.of(Answer::MethodNotAllowed)), (6, 6));
}

#[tokio::test]
async fn health_is_asked_with_get() {
    let daemon = Daemon::start(config()).await;
    let url = format!("http://{}/healthz", daemon.address);
    assert_eq!(hear(client().get(&url)).await.status, 200);
    assert_eq!(hear(client().head(&url)).await.status, 200);
    let heard = hear(client().post(&url)).await;
    assert_eq!((heard.status, heard.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn json_goes_by_several_names_and_nothing_else_does() {
    let daemon = Daemon::start(config()).await;
    let url = format!("http://{}/webhooks/scalekit", daemon.address);
    let headers = key().sign("msg_1", now(), USER.as_bytes());
    for (content_type, status) in [
        (None, 200),
        (Some("application/json"), 200),
        (Some("Application/JSON; charset=utf-8"), 200),
        (Some("application/cloudevents+json"), 200),
        (Some("text/plain"), 415),
        (Some("application/x-www-form-urlencoded"), 415),
        (Some("application/jsonp"), 415),
        (Some("+json"), 415),
        (Some(""), 415),
    ] {
        let mut request = signed(client().post(&url), &headers).body(USER);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        assert_eq!(hear(request).await.status, status, "{content_type:?}");
    }
    assert_eq!(daemon.counts.of(Answer::NotJson), 5);
}

#[tokio::test]
async fn bad_input_from_an_authentic_sender_is_kept_and_told() {
    let daemon = Daemon::start(config()).await;
    let user = |data: &str| {
        format!(r#"{{"id":"evt_1","type":"organization.directory.user_created","data":{data}}}"#)
    };
    let at = |time: &str| {
        format!(
            r#"{{"id":"evt_1","type":"organization.directory.user_deleted","occurred_at":"{time}","data":{{"id":"u"}}}}"#
        )
    };
    let deep = "[".repeat(500_000) + &"]".repeat(500_000);
    let bodies = [
        String::new(),
        "not json".into(),
        "[]".into(),
        "{}".into(),
        user("[]"),
        user(r#"{"id":1}"#),
        user(r#"{"id":"u","active":"yes"}"#),
        user(&format!(r#"{{"id":"{}"}}"#, "x".repeat(10_000))),
        user(r#"{"id":"a\u0007b"}"#),
        user(r#"{"id":"u","email":"\ud800"}"#),
        user(&format!(r#"{{"id":"u","custom_attributes":{{"a":{deep}}}}}"#)),
        deep,
        at("9999-12-31T23:59:59Z"),
        at("0000-01-01T00:00:00Z"),
    ];
    let sent = bodies.len() as u64;
    for body in bodies {
        let shown: String = body.chars().take(80).collect();
        let heard = daemon.send(body).await;
        assert_eq!((heard.status, &heard.body["status"]), (200, &json!("unreadable")), "{shown}");
        assert!(heard.body["reason"].as_str().is_some_and(|reason| reason.len() > 10), "{shown}");
    }
    assert_eq!(daemon.counts.of(Answer::Unreadable), sent);
    assert_eq!(daemon.send(USER).await.body["status"], "committed", "the next one is unharmed");
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
