//! Every answer that a sender can get.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use rolecall::receive::signature::{ID_HEADER, SIGNATURE_HEADER, SigningKey, TIMESTAMP_HEADER};
use rolecall_sink_api::Secret;
use serde_json::json;

use crate::support::{Answer, Application, Event, Person, SIGNING_SECRET, Site};

#[tokio::test]
async fn what_is_stored_is_answered_200_and_said_to_be_new_known_of_no_concern_or_unreadable() {
    let site = Site::new();
    let daemon = site.start().await;
    let sender = daemon.sender();
    let ada = Person::new("ada").created();

    let committed = sender.send(&ada).await.unwrap();
    assert_eq!((committed.status, committed.json()), (200, json!({"status": "committed", "event": ada.id})));
    let duplicate = sender.send(&ada).await.unwrap();
    assert_eq!((duplicate.status, duplicate.json()), (200, json!({"status": "duplicate", "event": ada.id})));
    // The event's id is what counts: the same event as another message is known too.
    let resent = sender.send_body("msg_of_another_attempt", ada.body.clone()).await.unwrap();
    assert_eq!(resent.text(), "200 duplicate");
    let other = Event::documented("created", json!({"id": "org_7"}));
    let ignored = sender.send(&other).await.unwrap();
    assert_eq!((ignored.status, ignored.json()), (200, json!({"status": "ignored", "event": other.id})));
    let nonsense = sender.send_body("msg_nonsense", "nonsense").await.unwrap();
    assert_eq!(nonsense.text(), "200 unreadable");
    assert_eq!(nonsense.json()["event"], "msg_nonsense");
    assert!(nonsense.json()["reason"].as_str().unwrap().starts_with("not JSON"), "{nonsense:?}");

    let received = &site.status().await["received"];
    for (answer, times) in [("committed", 1), ("duplicate", 2), ("ignored", 1), ("unreadable", 1)] {
        assert_eq!(received[answer], times, "{answer}: {received}");
    }
}

#[tokio::test]
async fn a_message_signed_by_the_public_library_is_accepted() {
    let site = Site::new();
    let daemon = site.start().await;
    let ada = Person::new("ada").created();
    let now = Timestamp::now().as_second();
    let library = standardwebhooks::Webhook::new(SIGNING_SECRET).unwrap();
    let signature = library.sign(&ada.message_id, now, ada.body.as_bytes()).unwrap();
    let request = daemon.sender().http().post(format!("http://{}/webhooks/scalekit", daemon.address()));
    let request = request
        .header(ID_HEADER, &ada.message_id)
        .header(TIMESTAMP_HEADER, now)
        .header(SIGNATURE_HEADER, signature)
        .body(ada.body);
    assert_eq!(Answer::of(request.send().await.unwrap()).await.unwrap().text(), "200 committed");
}

#[tokio::test]
async fn a_message_that_is_not_authentic_is_refused_and_its_sender_is_not_told_why() {
    let site = Site::new();
    let daemon = site.start().await;
    let sender = daemon.sender();
    let body = Person::new("mallory").created().body;
    let now = Timestamp::now();
    let signed = |at| sender.signed("msg_m", at, body.as_bytes()).build().unwrap();
    let without = |header| {
        let mut request = signed(now);
        request.headers_mut().remove(header).unwrap();
        request
    };
    let with = |header, value: &str| {
        let mut request = signed(now);
        request.headers_mut().insert(header, value.parse().unwrap());
        request
    };
    let others = SigningKey::new(&Secret::new("whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldCBhbHRvZ2V0aGVy")).unwrap();
    let others = others.sign("msg_m", now, body.as_bytes()).signature;
    let right = signed(now).headers()[SIGNATURE_HEADER].to_str().unwrap().to_owned();
    let requests = [
        ("no id", without(ID_HEADER)),
        ("no timestamp", without(TIMESTAMP_HEADER)),
        ("no signature", without(SIGNATURE_HEADER)),
        ("another's signature", with(SIGNATURE_HEADER, &others)),
        ("another version", with(SIGNATURE_HEADER, &right.replace("v1,", "v2,"))),
        ("no base64", with(SIGNATURE_HEADER, "v1,%%%")),
        ("another message's id", with(ID_HEADER, "msg_n")),
        ("a timestamp that is none", with(TIMESTAMP_HEADER, "yesterday")),
        ("too old", signed(now - SignedDuration::from_secs(400))),
        ("too new", signed(now + SignedDuration::from_secs(400))),
    ];
    let count = requests.len();
    let mut answers = BTreeSet::new();
    for (what, mut request) in requests {
        *request.body_mut() = Some(body.clone().into());
        let answer = Answer::of(sender.http().execute(request).await.unwrap()).await.unwrap();
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        answers.insert(answer.body);
    }
    let tampered = sender.signed("msg_m", now, body.as_bytes()).body(body.replace("mallory", "boss"));
    let tampered = Answer::of(tampered.send().await.unwrap()).await.unwrap();
    assert_eq!(tampered.status, 400);
    answers.insert(tampered.body);

    assert_eq!(answers, BTreeSet::from([r#"{"status":"refused"}"#.to_owned()]));
    let status = site.status().await;
    assert_eq!(status["received"]["refused"], count + 1, "{status}");
    assert_eq!(status["store"]["active_users"], 0, "{status}");
    // The operator is told.
    for reason in [
        "no webhook-id",
        "no webhook-timestamp",
        "no webhook-signature",
        "no signature matches",
        "6m 40s ago",
    ] {
        assert!(daemon.log().contains(reason), "{reason}: {}", daemon.log());
    }
}

#[tokio::test]
async fn what_is_no_webhook_is_answered_as_http_has_it() {
    let site = Site::new().listen("max_body_bytes: 20000");
    let daemon = site.start().await;
    let sender = daemon.sender();
    let at = |path: &str| format!("http://{}{path}", daemon.address());
    let ask = async |method: Method, path: &str| {
        Answer::of(sender.http().request(method, at(path)).send().await.unwrap()).await.unwrap()
    };

    assert_eq!(ask(Method::POST, "/webhooks/okta").await.text(), "404 not_found");
    assert_eq!(ask(Method::GET, "/").await.text(), "404 not_found");
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let wrong = ask(method, "/webhooks/scalekit").await;
        assert_eq!(wrong.text(), "405 method_not_allowed");
        assert_eq!(wrong.headers["allow"], "POST");
    }
    assert_eq!(ask(Method::GET, "/healthz").await.status, 200);

    let form = Person::new("ada").created();
    let form = sender.signed("msg_1", Timestamp::now(), form.body.as_bytes()).body(form.body);
    let mut form = form.build().unwrap();
    form.headers_mut().insert(CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
    let form = Answer::of(sender.http().execute(form).await.unwrap()).await.unwrap();
    assert_eq!(form.text(), "415 not_json");

    // A byte more than is allowed, and exactly as much.
    let padded = |size| {
        let body = Person::new("ada").created().body;
        format!("{}{}", " ".repeat(size - body.len()), body)
    };
    assert_eq!(sender.send_body("msg_2", padded(20_001)).await.unwrap().text(), "413 too_large");
    assert_eq!(sender.send_body("msg_3", padded(20_000)).await.unwrap().text(), "200 committed");
    assert_eq!(site.status().await["store"]["active_users"], 1);
}

#[tokio::test]
async fn when_the_disk_takes_no_more_the_sender_is_asked_to_send_again_and_nothing_is_lost() {
    let app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let daemon = site.start().await;
    let sender = daemon.sender();
    let [ada, ben, cleo] = ["ada", "ben", "cleo"].map(Person::new);
    daemon.send([&ada.created()]).await;
    site.settled().await;

    daemon.may_write_files(false);
    let (refused, also_refused) = (ben.created(), cleo.created());
    for event in [&refused, &also_refused, &refused] {
        let answer = sender.send(event).await.unwrap();
        assert_eq!(answer.text(), "503 unavailable");
        assert_eq!(answer.headers["retry-after"], "5");
    }
    // What is known already is still known, and the daemon can still be asked.
    assert_eq!(site.status().await["received"]["unavailable"], 3);

    daemon.may_write_files(true);
    daemon.send([&refused, &also_refused]).await;
    site.settled().await;
    assert_eq!(app.people().into_keys().collect::<Vec<_>>(), ["ada", "ben", "cleo"]);
    daemon.stop().await;

    // Nor has the store on the disk been harmed.
    let _daemon = site.start().await;
    assert_eq!(site.status().await["store"]["active_users"], 3);
}

#[tokio::test]
async fn what_a_store_confirms_while_the_disk_is_full_is_noted_later_and_not_done_again() {
    let mut app = Application::start().await;
    let site = Site::new().sink("app", &(app.section() + IMPATIENT));
    let daemon = site.start().await;
    app.0.stop().await;
    daemon.send([&Person::new("ada").created()]).await;
    // By then it is noted that she may be there.
    daemon.logs("the sink is down; deliveries wait").await;

    daemon.may_write_files(false);
    app.0.restart().await;
    app.0.wait_for("ada is in the application", |_| !app.people().is_empty()).await;
    daemon.logs("outcomes cannot be stored").await;
    daemon.may_write_files(true);
    site.settled().await;

    assert_eq!(app.changes(), ["POST /users ada"]);
    assert_eq!(site.status().await["sinks"]["app"]["confirmed"], 1);
}

#[tokio::test]
async fn while_the_disk_is_full_nothing_is_begun_that_could_not_be_taken_back_and_then_all_goes_on() {
    let mut app = Application::start().await;
    let site = Site::new().sink("app", &(app.section() + IMPATIENT));
    let daemon = site.start().await;
    app.0.stop().await;
    daemon.send([&Person::new("ada").created()]).await;
    daemon.logs("the sink is down; deliveries wait").await;
    // The breaker is open, so he is in the queue and nothing was begun for him.
    daemon.send([&Person::new("ben").created()]).await;

    // The application cannot be read, so what it is about to be told is noted first.
    daemon.may_write_files(false);
    app.0.restart().await;
    daemon.logs("the store fails; deliveries wait").await;
    assert!(app.changes().is_empty());
    daemon.may_write_files(true);
    site.settled().await;

    // They are handed over side by side.
    let mut changes = app.changes();
    changes.sort();
    assert_eq!(changes, ["POST /users ada", "POST /users ben"]);
    assert_eq!(site.status().await["sinks"]["app"]["confirmed"], 2);
}

/// Tries again, and asks a sink that is down, soon.
const IMPATIENT: &str = "delivery: {initial_backoff: 50ms, max_probe_interval: 50ms}\n";
