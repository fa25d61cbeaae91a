//! How the daemon starts, how it stops, and what it refuses to start with.

use rolecall_testkit::{Fault, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Application, Daemon, Event, PATIENCE, Person, Site, secret};

/// A request of which the daemon has the head and the first half of the body.
struct HalfSent {
    connection: TcpStream,
    rest: Vec<u8>,
}

impl HalfSent {
    async fn to(daemon: &Daemon, event: &Event) -> Self {
        let headers = secret().sign(&event.message_id, jiff::Timestamp::now(), event.body.as_bytes());
        let head = format!(
            "POST /webhooks/scalekit HTTP/1.1\r\nhost: rolecall\r\ncontent-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\
             webhook-id: {}\r\nwebhook-timestamp: {}\r\nwebhook-signature: {}\r\n\r\n",
            event.body.len(),
            headers.id,
            headers.timestamp,
            headers.signature,
        );
        let mut connection = TcpStream::connect(daemon.address()).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        // Said when the daemon begins to read the body: from then on the request is under way.
        let mut go_on = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        connection.read_exact(&mut go_on).await.unwrap();
        assert!(go_on.starts_with(b"HTTP/1.1 100 "));
        let (half, rest) = event.body.as_bytes().split_at(event.body.len() / 2);
        connection.write_all(half).await.unwrap();
        Self { connection, rest: rest.to_vec() }
    }

    /// Sends the rest, and returns all that the daemon answers until it closes the connection.
    async fn finish(mut self) -> String {
        self.connection.write_all(&self.rest).await.unwrap();
        let mut answer = String::new();
        self.connection.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

#[tokio::test]
async fn a_request_that_has_begun_is_answered_before_the_daemon_stops() {
    let app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let daemon = site.start().await;
    daemon.send([&Person::new("ada").created()]).await;
    let request = HalfSent::to(&daemon, &Person::new("ben").created()).await;

    daemon.ask_to_stop();
    daemon.logs("stopping").await;
    until(PATIENCE, "no new connection is taken", async || {
        TcpStream::connect(daemon.address()).await.map_or(Ok(()), Err)
    })
    .await;
    let answer = request.finish().await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"committed\""), "{answer}");
    let (status, log) = daemon.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("\"stopped\""), "{log}");

    let _daemon = site.start().await;
    site.settled().await;
    assert_eq!(app.people().into_keys().collect::<Vec<_>>(), ["ada", "ben"]);
}

#[tokio::test]
async fn what_waits_when_the_daemon_stops_is_delivered_after_the_next_start() {
    let mut app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let daemon = site.start().await;
    app.0.stop().await;
    daemon.send([&Person::new("ada").created(), &Person::new("ben").created()]).await;
    daemon.stop().await;

    app.0.restart().await;
    let _daemon = site.start().await;
    site.settled().await;
    assert_eq!(app.people().into_keys().collect::<Vec<_>>(), ["ada", "ben"]);
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_the_delivery_that_was_under_way_comes_again() {
    let app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let daemon = site.start().await;
    let ada = Person::new("ada");
    daemon.send([&ada.created()]).await;
    site.settled().await;
    app.0.forget_requests();

    app.0.fail(Fault::Hang);
    daemon.send([&ada.with("title", "Analyst").updated()]).await;
    let asked = app.0.wait_for("the application was asked", |requests| !requests.is_empty()).await;
    daemon.ask_to_stop();
    daemon.logs("stopping").await;
    daemon.ask_to_stop();
    let (status, log) = daemon.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stopped at once"), "{log}");

    app.0.recover();
    let _daemon = site.start().await;
    site.settled().await;
    assert_eq!(app.people()["ada"].title.as_deref(), Some("Analyst"));
    let again = app.0.requests();
    let key = |at: usize| again[at].header("idempotency-key").map(str::to_owned);
    assert_eq!(again[0], asked[0]);
    assert_eq!((again.len(), key(0)), (2, key(1)), "the same change has the same key: {again:#?}");
}

#[tokio::test]
async fn a_second_daemon_on_the_same_store_is_refused_and_the_first_goes_on() {
    let site = Site::new();
    let daemon = site.start().await;
    let pid = daemon.pid().as_raw_nonzero();

    let second = site.run(&["serve"]).await;

    assert_eq!(second.code, Some(1), "{second:?}");
    let store = site.store().display().to_string();
    let said = format!("the store {store} is in use by another process (process {pid}); stop it first");
    assert!(second.stderr.contains(&said), "{}", second.stderr);
    daemon.send([&Person::new("ada").created()]).await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_with_its_key() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let site = Site::new();
    let configuration = std::fs::read_to_string(site.configuration()).unwrap();
    site.file("rolecall.yaml", &configuration.replace("127.0.0.1:0", &address.to_string()));
    let refused = site.run(&["serve"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains(&format!("cannot listen on {address} (listen.address)")), "{refused:?}");
}

#[tokio::test]
async fn a_mistake_in_the_configuration_is_refused_at_its_line_and_column() {
    let application = "type: rest
base_url: http://127.0.0.1:9
operations:
  user_update: {method: PUT, path: '/users/{{ user.id }}'}";
    let site = Site::new().sink("app", application);
    let right = std::fs::read_to_string(site.configuration()).unwrap();
    assert_eq!(site.run(&["check"]).await.code, Some(0));
    for (was, becomes, place, said) in [
        ("listen:", "lisen:", "1:1", "did you mean `listen`"),
        ("127.0.0.1:0", "127.0.0.1", "2:12", "socket address"),
        ("type: rest", "type: rset", "17:11", "did you mean `rest`"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9\n    timeout: 5", "19:14", "30s"),
        ("{{ user.id }}", "{{ user.id }", "20:40", "template"),
    ] {
        assert!(right.contains(was), "{right}");
        site.file("rolecall.yaml", &right.replacen(was, becomes, 1));
        let at = format!("{}:{place}", site.configuration().display());
        for command in ["serve", "check"] {
            let refused = site.run(&[command]).await;
            assert_eq!(refused.code, Some(2), "{becomes}: {refused:?}");
            let told = refused.stdout + &refused.stderr;
            assert!(told.contains(&at) && told.contains(said), "{becomes}: {at}: {told}");
        }
    }
}

#[tokio::test]
async fn a_secret_or_rules_file_that_cannot_be_used_is_refused_by_name() {
    let site = Site::new();
    site.rules("rules:\n  - name: engineers\n    when: {group: Engineering}\n    grnt: [developer]\n");
    let refused = site.run(&["serve"]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let at = format!("{}:4:5", site.path("rules.yaml").display());
    assert!(refused.stderr.contains(&at) && refused.stderr.contains("grant"), "{refused:?}");

    site.rules("rules: []");
    let secret = site.path("webhook-secret");
    std::fs::remove_file(&secret).unwrap();
    let refused = site.run(&["serve"]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains(&secret.display().to_string()), "{refused:?}");
}
