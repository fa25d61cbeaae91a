//! The daemon is killed, again and again, while events stream in. What it acknowledged is there.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::{Daemon, Event, Group, People, Person, Standing, Stores};

const RULES: &str = "
default: member
rules:
  - name: red
    when: {group: Red}
    grant: red
  - name: green
    when: {group: Green}
    grant: green
  - name: blue
    when: {group: Blue}
    grant: blue
";
const PEOPLE: usize = 400;
const KILLS: usize = 24;
/// How often it is killed before the stores are looked into.
const KILLS_BETWEEN_LOOKS: usize = 4;
/// How many events arrive at the same time.
const SENDERS: usize = 8;

/// One version of a person: what an event says, and how they stand everywhere when it is the newest. The title tells
/// the version, so that a mixture of two versions would be seen.
struct Version {
    event: Event,
    standing: Option<Standing>,
    acknowledged: bool,
}

fn name(person: usize) -> String {
    format!("user{person}")
}

impl Version {
    /// The next version of a person: in some groups, or inactive, or gone.
    fn next(random: &mut StdRng, person: usize, number: usize) -> Self {
        let mut colours = vec!["Red", "Green", "Blue"];
        colours.retain(|_| random.random_bool(0.5));
        let groups: Vec<Group> = colours.iter().map(|colour| Group::new(colour)).collect();
        let lower: Vec<String> = colours.iter().map(|colour| colour.to_lowercase()).collect();
        let roles: Vec<&str> = lower.iter().map(String::as_str).chain(["member"]).collect();
        let title = format!("version {number}");
        let now = Person::new(&name(person)).with("title", title.as_str()).groups(&groups);
        let standing = Standing::with(&colours, &roles).titled(&title);
        let (event, standing) = match random.random_range(0..10) {
            0 => (now.deleted(), None),
            1 => (now.inactive().updated(), Some(standing.locked())),
            _ => (now.updated(), Some(standing)),
        };
        Self { event, standing, acknowledged: false }
    }
}

/// All that was sent, each person's versions in their order, and of each whether it was acknowledged.
struct Sent {
    random: StdRng,
    versions: Vec<Vec<Version>>,
}

impl Sent {
    fn nothing(seed: u64) -> Self {
        let versions = std::iter::repeat_with(Vec::new).take(PEOPLE).collect();
        Self { random: StdRng::seed_from_u64(seed), versions }
    }

    /// One more version of somebody: the event, and where to note that it was acknowledged.
    fn next(&mut self) -> (Event, (usize, usize)) {
        let person = self.random.random_range(0..PEOPLE);
        let number = self.versions[person].len();
        let version = Version::next(&mut self.random, person, number);
        let event = version.event.clone();
        self.versions[person].push(version);
        (event, (person, number))
    }

    fn acknowledge(&mut self, (person, number): (usize, usize)) {
        self.versions[person][number].acknowledged = true;
    }

    /// Says of everybody whether they stand in a store as one of their versions says, and one no older than the newest
    /// that was acknowledged.
    fn check(&self, store: &str, people: &People) {
        for (person, versions) in self.versions.iter().enumerate() {
            let newest = versions.iter().rposition(|version| version.acknowledged);
            let standing = people.get(&name(person));
            let never_told = newest.is_none() && standing.is_none();
            let possible: Vec<_> =
                versions[newest.unwrap_or(0)..].iter().map(|version| version.standing.as_ref()).collect();
            assert!(
                never_told || possible.contains(&standing),
                "{store} has {} as {standing:#?}; it should be one of {possible:#?}",
                name(person)
            );
        }
    }

    /// How everybody stands when every event has arrived.
    fn newest(&self) -> People {
        let newest = self.versions.iter().enumerate();
        newest.filter_map(|(person, all)| Some((name(person), all.last()?.standing.clone()?))).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Version> {
        self.versions.iter().flatten()
    }
}

/// Those who may have access: the application is not told of a stranger who may not.
fn with_access(mut people: People) -> People {
    people.retain(|_, standing| standing.active);
    people
}

/// Sends events, many at a time, until the daemon is killed: after so many acknowledgements and a moment more, so that
/// it is killed in the middle of whatever it does.
async fn send_until_killed(daemon: Daemon, sent: &Arc<Mutex<Sent>>) {
    let (after, moment) = {
        let random = &mut sent.lock().unwrap().random;
        (random.random_range(1..40), Duration::from_micros(random.random_range(0..10_000)))
    };
    let acknowledged = Arc::new(watch::Sender::new(0));
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let (sender, sent, acknowledged) = (daemon.sender(), Arc::clone(sent), Arc::clone(&acknowledged));
        senders.spawn(async move {
            loop {
                let (event, version) = sent.lock().unwrap().next();
                // Without an answer, the sender knows nothing: it may have been stored or not.
                let Ok(answer) = sender.send(&event).await else { return };
                assert_eq!(answer.text(), "200 committed");
                sent.lock().unwrap().acknowledge(version);
                acknowledged.send_modify(|count| *count += 1);
            }
        });
    }
    acknowledged.subscribe().wait_for(|&count| count >= after).await.unwrap();
    tokio::time::sleep(moment).await;
    daemon.kill().await;
    senders.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_every_kill_and_nothing_is_half_done() {
    let stores = Stores::named("crash").await;
    // Half of the staff leave in it, which is a wave to be held anywhere else.
    let site = stores.site_with("safeguard: off").await;
    site.rules(RULES);
    let sent = Arc::new(Mutex::new(Sent::nothing(20_261_124)));
    for kill in 1..=KILLS {
        send_until_killed(site.start().await, &sent).await;
        if kill % KILLS_BETWEEN_LOOKS != 0 {
            continue;
        }
        let _daemon = site.start().await;
        site.settled().await;
        let [ldap, tables, app] = stores.people().await;
        {
            let sent = sent.lock().unwrap();
            sent.check("LDAP", &ldap);
            sent.check("PostgreSQL", &tables);
        }
        assert_eq!(ldap, tables, "after kill {kill}");
        assert_eq!(with_access(app), with_access(ldap), "after kill {kill}");
    }

    // The sender sends again what had no answer; and, for good measure, all the rest, in any order.
    let daemon = site.start().await;
    let (again, newest) = {
        let mut sent = sent.lock().unwrap();
        let mut again: Vec<_> =
            sent.all().map(|version| (version.event.clone(), version.acknowledged)).collect();
        again.shuffle(&mut sent.random);
        (again, sent.newest())
    };
    for (event, acknowledged) in again {
        let answer = daemon.sender().send(&event).await.unwrap().text();
        match acknowledged {
            true => assert_eq!(answer, "200 duplicate", "{event:?} was acknowledged and is not known"),
            false => assert!(["200 committed", "200 duplicate"].contains(&answer.as_str()), "{answer}"),
        }
    }
    site.settled().await;
    let [ldap, tables, app] = stores.people().await;
    assert_eq!([&ldap, &tables], [&newest, &newest]);
    assert_eq!(with_access(app), with_access(newest));
    let status = site.status().await;
    for sink in ["ldap", "postgres", "app"] {
        assert_eq!(status["sinks"][sink]["dead_letters"], 0, "{status}");
    }
}
