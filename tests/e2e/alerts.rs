//! Alerts on their way to somebody who listens.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use rolecall_testkit::Fault;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use warp::Filter as _;

use crate::support::{Application, PATIENCE, Person, SIGNING_SECRET, Site};

/// Somebody who is told of alerts. What arrives is verified before it is read.
struct Listener {
    address: SocketAddr,
    arriving: mpsc::Receiver<(HeaderMap, Bytes)>,
    answers: Arc<Semaphore>,
    serving: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Listener {
    async fn start() -> Self {
        Self::answering(Semaphore::MAX_PERMITS).await
    }

    /// One that leaves its senders without an answer after so many.
    async fn answering(answers: usize) -> Self {
        let (arrive, arriving) = mpsc::channel(64);
        let answers = Arc::new(Semaphore::new(answers));
        let may_answer = Arc::clone(&answers);
        let taken = warp::post().and(warp::header::headers_cloned()).and(warp::body::bytes()).then(
            move |headers, body| {
                let (arrive, may_answer) = (arrive.clone(), Arc::clone(&may_answer));
                async move {
                    arrive.send((headers, body)).await.unwrap();
                    may_answer.acquire().await.unwrap().forget();
                    "taken"
                }
            },
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(warp::serve(taken).incoming(listener).run());
        Self { address, arriving, answers, serving }
    }

    /// A site whose alerts arrive here, signed, and end so long after their cause.
    fn site(&self, end_after: &str) -> Site {
        let site = Site::new();
        let secret = site.path("webhook-secret").display().to_string();
        let url = format!("http://{}/rolecall", self.address);
        site.section(&format!(
            "alerts: {{webhooks: {{ops: {{url: '{url}', secret: {{file: {secret}}}}}}}, end_after: {end_after}, sink_down_for: 1s}}"
        ))
    }

    /// The next message, if it is signed as it should be.
    async fn hears(&mut self) -> Value {
        let heard = timeout(PATIENCE, self.arriving.recv()).await;
        let (headers, body) = heard.expect("a message arrives").unwrap();
        let library = standardwebhooks::Webhook::new(SIGNING_SECRET).unwrap();
        library.verify(&body, &headers).expect("the public library finds the signature right");
        serde_json::from_slice(&body).unwrap()
    }

    /// The next message's alerts, each as `kind state sink`.
    async fn hears_of(&mut self) -> Vec<String> {
        let message = self.hears().await;
        assert_eq!(message["type"], "rolecall.alerts", "{message}");
        let alerts = message["data"]["alerts"].as_array().unwrap().iter().map(|alert| {
            let word = |key: &str| alert[key].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", word("kind"), word("state"), word("sink"))
        });
        alerts.collect()
    }
}

#[tokio::test]
async fn a_dead_letter_is_told_when_there_is_one_and_when_there_is_none_any_more() {
    let (mut listener, app) = (Listener::start().await, Application::start().await);
    let site = listener.site("1s").sink("app", &app.section());
    let daemon = site.start().await;
    app.0.fail(Fault::status(422).body(serde_json::json!({"error": "Ada Lovelace has no such plan"})));
    daemon.send([&Person::new("ada").created()]).await;
    let message = listener.hears().await;
    let alert = &message["data"]["alerts"][0];
    assert_eq!((&alert["kind"], &alert["state"]), (&"dead_letters".into(), &"began".into()), "{message}");
    assert_eq!(alert["text"], "the sink app has 1 dead letter");
    assert_eq!(alert["command"], "rolecall queue list --dead --sink app");
    assert!(!message.to_string().contains("Ada"), "nothing of what a target says of people: {message}");
    let listed = site.run(&["alerts", "list"]).await;
    assert_eq!(listed.code, Some(1), "{listed:?}");
    assert!(listed.stdout.contains("the sink app has 1 dead letter, since"), "{listed:?}");

    app.0.recover();
    assert_eq!(site.run(&["queue", "retry", "--dead"]).await.code, Some(0));
    assert_eq!(listener.hears_of().await, ["dead_letters ended app"]);
    let listed = site.run(&["alerts", "list"]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
}

#[tokio::test]
async fn a_sink_that_is_down_for_too_long_is_told_once_however_often_the_daemon_is_started() {
    let (mut listener, app) = (Listener::answering(0).await, Application::start().await);
    let elsewhere = app.section().replace(&app.0.url(), "http://127.0.0.1:1");
    let site = listener.site("1h").sink("app", &elsewhere);
    let daemon = site.start().await;
    daemon.send([&Person::new("ada").created()]).await;
    assert_eq!(listener.hears_of().await, ["sink_down began app"]);
    daemon.ask_to_stop();
    daemon.logs("stopping").await;
    listener.answers.add_permits(64);
    assert!(daemon.ended().await.0.success());

    let daemon = site.start().await;
    site.rules("rules: [{}]");
    daemon.ask_to_reload();
    assert_eq!(listener.hears_of().await, ["rules_rejected began -"], "that the sink is down is known");
}

#[tokio::test]
async fn rules_that_were_turned_down_are_told_and_so_is_that_others_are_in_force() {
    let mut listener = Listener::start().await;
    let site = listener.site("1s");
    let daemon = site.start().await;
    site.rules("rules: [{}]");
    daemon.ask_to_reload();
    assert_eq!(listener.hears_of().await, ["rules_rejected began -"]);
    site.rules("rules: []");
    daemon.ask_to_reload();
    assert_eq!(listener.hears_of().await, ["rules_rejected ended -"]);
}

#[tokio::test]
async fn a_test_shows_whether_messages_arrive_and_what_is_answered() {
    let mut listener = Listener::start().await;
    let site = listener.site("1s");
    let daemon = site.start().await;
    let tested = site.run(&["alerts", "test"]).await;
    assert_eq!((tested.code, tested.stdout.as_str()), (Some(0), "ops: taken, it answered 200\n"));
    assert_eq!(listener.hears().await["type"], "rolecall.alerts.test");
    daemon.stop().await;

    drop(listener);
    let nobody = Site::new()
        .section("alerts: {webhooks: {ops: {url: 'http://127.0.0.1:1/T0/secret-path', format: slack}}}");
    let _daemon = nobody.start().await;
    let tested = nobody.run(&["alerts", "test"]).await;
    assert_eq!(tested.code, Some(1), "{tested:?}");
    assert!(tested.stdout.starts_with("ops: not taken: "), "{tested:?}");
    assert!(tested.stdout.contains("refused") && !tested.stdout.contains("secret-path"), "{tested:?}");
}
