//! The daemon under a service manager: what it tells it, and the socket that is held while it restarts.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::header::CONNECTION;
use rolecall_testkit::until;
use rusqlite::Connection;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Answer, Application, PATIENCE, Person, Sender, ServiceManager, Site};

/// A watchdog that no machine is too busy to satisfy.
const PATIENT: Duration = Duration::from_secs(120);
/// One that notices within the ten seconds after which the store gives up waiting for a lock.
const IMPATIENT: Duration = Duration::from_secs(2);

/// Sends this person over a connection of its own, as somebody who had none before. An error is a refusal.
async fn send_on_a_new_connection(sender: &Sender, person: &Person) -> reqwest::Result<Answer> {
    let event = person.created();
    let body = event.body.clone().into_bytes();
    let request = sender.signed(&event.message_id, jiff::Timestamp::now(), &body);
    Answer::of(request.header(CONNECTION, "close").body(body).send().await?).await
}

#[tokio::test]
async fn the_service_manager_is_told_when_the_daemon_is_ready_reloads_and_stops() {
    let site = Site::new();
    let manager = ServiceManager::of(&site);
    let early = Sender::to(&format!("http://{}/webhooks/scalekit", manager.address()));
    let early = tokio::spawn(async move { early.send(&Person::new("ada").created()).await });
    let daemon = site.start_by(manager.command(PATIENT)).await;
    assert_eq!(manager.told().await, "READY=1\n", "that comes first");
    assert_eq!(early.await.unwrap().unwrap().text(), "200 committed");
    daemon.send([&Person::new("ben").created()]).await;
    manager.until_told("STATUS=0 of 0 sinks up; 0 waiting; 0 dead letters\n").await;

    site.rules("rules: [{name: all, when: {group: All}, grant: member}]");
    daemon.ask_to_reload();
    let told = manager.until_told("RELOADING=1\n").await;
    let told = told.last().unwrap();
    let now = told.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(now.unwrap().parse::<u64>().unwrap() > 0, "{told}");
    manager.until_told("READY=1\n").await;
    let history = site.run(&["rules", "history", "--json"]).await;
    assert!(history.stdout.contains("reload"), "ready only when the rules are in force: {history:?}");

    site.rules("rules: [{}]");
    daemon.ask_to_reload();
    manager.until_told("RELOADING=1\n").await;
    manager.until_told("READY=1\n").await;
    manager.until_told("STATUS=rules turned down, those of before stay").await;

    daemon.ask_to_stop();
    manager.until_told("STOPPING=1\n").await;
    let (status, log) = daemon.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
}

#[tokio::test]
async fn nobody_is_told_that_a_daemon_is_ready_which_cannot_start() {
    let site = Site::new();
    let _first = site.start().await;
    let manager = ServiceManager::of(&site);
    let mut second = manager.command(PATIENT);
    let second = second.arg("serve").arg("--config").arg(site.configuration()).status().await.unwrap();
    assert_eq!(second.code(), Some(1));
    manager.tell_yourself("nothing before this");
    assert_eq!(manager.told().await, "nothing before this");
}

#[tokio::test]
async fn the_watchdog_hears_of_the_daemon_while_it_gets_on_and_no_longer() {
    let app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let manager = ServiceManager::of(&site);
    let daemon = site.start_by(manager.command(IMPATIENT)).await;
    for _ in 0..3 {
        manager.until_told("WATCHDOG=1\n").await;
    }

    // Another process writes and does not come to an end: the store hangs until it gives up waiting.
    let mut other = Connection::open(site.store()).unwrap();
    let writing = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let sender = daemon.sender();
    let sending = tokio::spawn(async move {
        let event = Person::new("ada").created();
        while sender.send(&event).await.unwrap().text() != "200 committed" {}
    });
    manager.until_told("STATUS=the committer has not got on for").await;
    let next = manager.told().await;
    assert!(next.starts_with("STATUS="), "it is stuck, and tells so instead of how well it is: {next}");
    assert!(daemon.log().contains("the watchdog ends the daemon"), "{}", daemon.log());

    drop(writing);
    manager.until_told("WATCHDOG=1\n").await;
    sending.await.unwrap();
    site.settled().await;
    assert!(app.people().contains_key("ada"));
}

#[tokio::test]
async fn a_restart_with_a_socket_that_is_held_refuses_no_webhook() {
    const SENDERS: usize = 4;
    const RESTARTS: usize = 5;
    let app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let manager = ServiceManager::of(&site);
    let mut daemon = site.start_by(manager.command(PATIENT)).await;

    let (over, taken) = (AtomicBool::new(false), AtomicUsize::new(0));
    let sender = Sender::to(&format!("http://{}/webhooks/scalekit", manager.address()));
    let send = async |number: usize| {
        let mut sent = 0;
        while !over.load(Ordering::Relaxed) {
            let person = Person::new(&format!("p{number}x{sent}"));
            let answer = send_on_a_new_connection(&sender, &person).await;
            assert_eq!(answer.expect("no webhook is refused").text(), "200 committed");
            sent += 1;
            taken.fetch_add(1, Ordering::Relaxed);
        }
        sent
    };
    let restart = async {
        for _ in 0..RESTARTS {
            let before = taken.load(Ordering::Relaxed);
            until(PATIENCE, "webhooks are being taken", async || {
                let now = taken.load(Ordering::Relaxed);
                if now >= before + SENDERS { Ok(()) } else { Err(now) }
            })
            .await;
            daemon.stop().await;
            daemon = site.start_by(manager.command(PATIENT)).await;
        }
        over.store(true, Ordering::Relaxed);
        daemon
    };
    let (sent, _daemon) = tokio::join!(futures_util::future::join_all((0..SENDERS).map(send)), restart);

    site.settled().await;
    assert_eq!(app.people().len(), sent.iter().sum::<usize>());
}

#[tokio::test]
async fn who_has_just_connected_when_the_daemon_stops_is_still_answered() {
    let site = Site::new();
    let daemon = site.start().await;
    // The daemon accepts them in their order: when the second is answered, it has the first.
    let mut new = TcpStream::connect(daemon.address()).await.unwrap();
    daemon.send([&Person::new("ada").created()]).await;

    daemon.ask_to_stop();
    daemon.logs("stopping").await;
    new.write_all(b"GET /healthz HTTP/1.1\r\nhost: rolecall\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    new.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    daemon.ended().await;
}
