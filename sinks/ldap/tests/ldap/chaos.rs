//! Servers that are stopped, killed, frozen, closed to writes and full: nothing is lost, nothing is there twice, and
//! everything ends as it should be.

use std::collections::BTreeSet;

use rolecall_sink_api::{Outcome, Sink, User};
use rolecall_sink_ldap::LdapSink;
use rolecall_testkit::Slapd;
use serde_json::json;

use crate::fixture::{Daemon, Directory, UserExt as _, Wanted, group, person, role, sink, team, user};

const GROUPS: [&str; 4] = ["g0", "g1", "g2", "g3"];
/// How often a change is delivered before a test gives up; a daemon would wait in between.
const PATIENCE: usize = 200;

fn member(n: usize) -> User {
    let id = format!("u{n}");
    user(&id).within(&[GROUPS[n % 4], GROUPS[(n + 1) % 4]]).with_roles(&["reader"])
}

fn impatient(directory: &Directory) -> LdapSink {
    let mut config = directory.config();
    config["operation_timeout"] = json!("1s");
    config["connect_timeout"] = json!("1s");
    sink(config)
}

/// Delivers `wanted` in batches of twenty until everything is applied, as the daemon would.
async fn deliver_all(daemon: &mut Daemon, sink: &impl Sink, wanted: impl Fn() -> Vec<Wanted>) {
    let all = wanted().len();
    let mut waiting: BTreeSet<usize> = (0..all).collect();
    for _ in 0..PATIENCE {
        let batch: Vec<usize> = waiting.iter().copied().take(20).collect();
        if batch.is_empty() {
            return;
        }
        let changes = wanted().into_iter().enumerate().filter(|(at, _)| batch.contains(at));
        let Ok(outcomes) = daemon.try_deliver(sink, changes.map(|(_, wanted)| wanted)).await else {
            continue;
        };
        for (at, outcome) in batch.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Applied { .. } => _ = waiting.remove(&at),
                Outcome::Retry { .. } => {}
                Outcome::Reject { reason } => panic!("given up: {reason}"),
            }
        }
    }
    panic!("{} of {all} changes do not go through", waiting.len());
}

/// Everybody there once, and exactly those in each group who should be.
async fn expect_all(directory: &Directory, people: usize) {
    let found = directory.slapd.search("ou=people,dc=example,dc=com", "(uid=*)", &["businessCategory"]).await;
    let marks: BTreeSet<&str> = found.iter().filter_map(|entry| entry.value("businessCategory")).collect();
    assert_eq!((found.len(), marks.len()), (people, people));
    for (at, id) in GROUPS.iter().enumerate() {
        let mut members = directory.values(&team(id), "member").await;
        members.sort();
        let should = (0..people).filter(|n| n % 4 == at || (n + 1) % 4 == at);
        let mut should: Vec<String> = should.map(|n| person(&format!("u{n}"))).collect();
        should.sort();
        assert_eq!(members, should, "{id}");
    }
    assert_eq!(directory.values(&role("reader"), "member").await.len(), people);
}

/// What is done to a server while people are delivered to it.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Restart,
    Kill,
    Freeze,
    CloseToWrites,
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_done_to_the_server_everything_arrives_once() {
    // One that syncs each write is slow enough for the blow to fall in the middle.
    let mut directory = Directory::with(Slapd::options().durable().start().await);
    let (sink, mut daemon) = (impatient(&directory), Daemon::default());
    deliver_all(&mut daemon, &sink, || GROUPS.map(|id| group(id).into()).into()).await;
    let each = 60;
    let blows = [Blow::Restart, Blow::Kill, Blow::Freeze, Blow::CloseToWrites];
    for (round, blow) in blows.into_iter().enumerate() {
        let people = || (round * each..(round + 1) * each).map(|n| member(n).into()).collect::<Vec<Wanted>>();
        // The blow falls in the middle of a batch: after the first of it has arrived.
        let first = person(&format!("u{}", round * each));
        let hit = async {
            while directory.slapd.entry(&first, &["1.1"]).await.is_none() {}
            strike(&mut directory.slapd, blow).await;
        };
        let begun = async { _ = daemon.try_deliver(&sink, people()).await };
        tokio::join!(begun, hit);
        if let Blow::Freeze = blow {
            directory.slapd.resume();
        }
        if let Blow::CloseToWrites = blow {
            // All of the batch may have arrived; somebody else has not.
            let newcomer: Wanted = member((round + 1) * each).into();
            let down = daemon.try_deliver(&sink, [newcomer]).await.unwrap_err();
            assert!(down.reason.contains("unwillingToPerform (53)"), "{down}");
            directory.slapd.set_read_only(false);
            directory.slapd.restart().await;
        }
        deliver_all(&mut daemon, &sink, people).await;
        expect_all(&directory, (round + 1) * each).await;
    }
}

async fn strike(slapd: &mut Slapd, blow: Blow) {
    match blow {
        Blow::Restart => slapd.restart().await,
        Blow::Kill => {
            slapd.kill().await;
            slapd.restart().await;
        }
        Blow::Freeze => slapd.pause(),
        Blow::CloseToWrites => {
            slapd.set_read_only(true);
            slapd.restart().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_is_down_and_gets_everything_once_it_has_room() {
    let mut directory = Directory::with(Slapd::options().room(1 << 20).start().await);
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    deliver_all(&mut daemon, &sink, || GROUPS.map(|id| group(id).into()).into()).await;
    let mut made = 0;
    let down = loop {
        assert!(made < 5_000, "it never gets full");
        let people = (made..made + 100).map(|n| member(n).into());
        match daemon.try_deliver(&sink, people).await {
            Ok(outcomes) => {
                assert!(outcomes.iter().all(|o| !matches!(o, Outcome::Reject { .. })), "{outcomes:?}")
            }
            Err(down) => break down,
        }
        made += 100;
    };
    assert!(down.reason.contains("other (80)"), "{down}");
    directory.slapd.set_room(64 << 20);
    directory.slapd.restart().await;
    let everybody = made + 100;
    for start in (0..everybody).step_by(100) {
        deliver_all(&mut daemon, &sink, || (start..start + 100).map(|n| member(n).into()).collect()).await;
    }
    expect_all(&directory, everybody).await;
}
