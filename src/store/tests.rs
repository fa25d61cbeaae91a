//! The committer and the embedded store together: random histories, and what must survive.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use proptest::prelude::*;
use rolecall_sink_api::{
    Action, Attempted, Change, Document, Entity, GroupId, Profile, RemoteId, SinkName, UserId,
};
use tokio::task::JoinHandle;

use super::*;
use crate::directory::history::{self, event, mix};
use crate::directory::{Event, EventId, Fact};
use crate::rules::Rules;
use crate::source::Reading;

mod backups;
mod checks;
mod clocks;
mod forgetting;
mod handling;
mod holds;
mod plans;
mod released;
mod rules;
mod sources;
mod turns;

const RULES: &str = "
default: [member]
rules:
  - {name: zeros, when: {group: name 0}, grant: [zero]}
  - {name: named, when: {group: {glob: 'name ?'}}, grant: [named]}
";

fn clock() -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap()
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).unwrap()
}

fn sink(name: &str) -> SinkName {
    SinkName::new(name)
}

/// A store with a committer on it.
struct Running {
    store: Arc<dyn Store>,
    intake: Intake,
    committer: JoinHandle<()>,
}

impl Running {
    async fn start(path: &Path) -> Self {
        Self::on(Arc::new(SqliteStore::open(path).unwrap())).await
    }

    async fn on(store: Arc<dyn Store>) -> Self {
        store.configure(&[sink("a"), sink("b")], clock()).await.unwrap();
        let rules = Arc::new(Rules::parse("rules.yaml", RULES).unwrap());
        store.use_rules(new_rules(RULES)).await.unwrap();
        let (intake, inbox) = Intake::new(64);
        let committer = Committer::new(Arc::clone(&store), rules, clock, || {});
        Self { store, intake, committer: tokio::spawn(committer.run(inbox)) }
    }

    async fn send(&self, event: Event) -> Receipt {
        self.intake.submit(message(event)).await.unwrap()
    }

    /// Ends the committer, and with it everything it had begun.
    async fn stop(self) -> Arc<dyn Store> {
        drop(self.intake);
        self.committer.await.unwrap();
        while !self.store.stale(clock(), 1).await.unwrap().entities.is_empty() {
            let rules = Arc::new(Rules::parse("rules.yaml", RULES).unwrap());
            let (intake, inbox) = Intake::new(1);
            let committer =
                tokio::spawn(Committer::new(Arc::clone(&self.store), rules, clock, || {}).run(inbox));
            while !self.store.stale(clock(), 1).await.unwrap().entities.is_empty() {
                tokio::task::yield_now().await;
            }
            drop(intake);
            committer.await.unwrap();
        }
        self.store
    }
}

/// These rules, to be put into force.
fn new_rules(text: &str) -> NewRules {
    NewRules {
        rules: Arc::new(Rules::parse("rules.yaml", text).unwrap()),
        text: text.into(),
        origin: RulesOrigin::Start,
        file: String::new(),
        scopes: Arc::default(),
        at: clock(),
    }
}

fn message(event: Event) -> Message {
    Message {
        source: "test".into(),
        message_id: format!("msg_{}", event.stamp.event),
        signed_at: clock(),
        received_at: clock(),
        body: Bytes::from_static(b"{}"),
        reading: Reading::Event { event, kind: "test".into() },
    }
}

fn profile(user: &str, name: &str) -> Fact {
    let profile = Profile { user_name: Some(name.into()), ..Profile::default() };
    Fact::UserProfile {
        user: UserId::new(user),
        organization: None,
        origin: crate::directory::Origin::default(),
        profile: Box::new(profile),
    }
}

fn active(user: &str, active: bool) -> Fact {
    Fact::UserActive { user: UserId::new(user), active }
}

fn user(id: &str) -> Entity {
    Entity::User(UserId::new(id))
}

/// What every sink should hold, as the queues of a store in which nothing was delivered say.
async fn wanted_state(store: &dyn Store, of: &SinkName) -> BTreeMap<Entity, Option<Document>> {
    let due = store.due(of, later(3600), 1000).await.unwrap();
    due.into_iter().map(|due| (due.change.entity, due.change.desired)).collect()
}

async fn roles(store: &dyn Store) -> BTreeMap<String, Vec<rolecall_sink_api::RoleName>> {
    let mut roles = BTreeMap::new();
    for n in 0..4 {
        let id = format!("diruser_{n}");
        for view in store.users(&id).await.unwrap() {
            roles.insert(id.clone(), view.roles);
        }
    }
    roles
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]

    /// Any order, with repeats, in random portions: the same roles, and the same wanted state for every sink.
    #[test]
    fn any_delivery_of_a_history_leads_to_the_same_wanted_state(history in history::history(), seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut results = Vec::new();
            for order in [seed, seed ^ 1] {
                let directory = tempfile::tempdir().unwrap();
                let running = Running::start(&directory.path().join("store.db")).await;
                let events = history.delivered(order);
                let mut sent = 0;
                while sent < events.len() {
                    let portion = (mix(order, sent) % 9 + 1) as usize;
                    let messages = events.iter().skip(sent).take(portion).cloned();
                    futures_util::future::join_all(messages.map(|event| running.send(event))).await;
                    sent += portion;
                }
                let store = running.stop().await;
                let a = wanted_state(&*store, &sink("a")).await;
                let b = wanted_state(&*store, &sink("b")).await;
                // An entity that came and went may wait for its removal in one order and never have been in
                // another; what should be there is the same.
                let present = |state: BTreeMap<Entity, Option<Document>>| -> BTreeMap<Entity, Document> {
                    state.into_iter().filter_map(|(entity, desired)| Some((entity, desired?))).collect()
                };
                results.push((present(a), present(b), roles(&*store).await));
            }
            let (second, first) = (results.pop().unwrap(), results.pop().unwrap());
            assert_eq!(first.0, first.1);
            assert_eq!(first.0, second.0);
            assert_eq!(first.2, second.2);
        });
    }
}

#[tokio::test]
async fn an_event_is_taken_once() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let joiner = event(1, "e1", vec![profile("u1", "ann")]);
    let (first, second) = tokio::join!(running.send(joiner.clone()), running.send(joiner.clone()));
    assert_eq!((first, second), (Receipt::Committed, Receipt::Duplicate));
    assert_eq!(running.send(joiner).await, Receipt::Duplicate);
}

#[tokio::test]
async fn leavers_come_first_then_groups_then_users_then_groups_that_go() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let group = |id: &str| Fact::GroupNamed { group: GroupId::new(id), name: None, organization: None };
    running.send(event(1, "e1", vec![profile("u1", "leaver")])).await;
    running.send(event(1, "e2", vec![group("g-going")])).await;
    running.send(event(1, "e3", vec![profile("u2", "joiner")])).await;
    running.send(event(2, "e4", vec![Fact::GroupGone { group: GroupId::new("g-going") }])).await;
    running.send(event(2, "e5", vec![group("g-new")])).await;
    running.send(event(3, "e6", vec![active("u1", false)])).await;
    let due = running.store.due(&sink("a"), clock(), 10).await.unwrap();
    let order: Vec<&str> = due.iter().map(|due| due.change.entity.id()).collect();
    assert_eq!(order, ["u1", "g-new", "u2", "g-going"]);
    assert_eq!(due[0].priority, Priority::Leaver);
    assert!(!due[0].change.desired_user().unwrap().active);
    assert!(due[3].change.desired.is_none());
}

#[tokio::test]
async fn a_leaver_who_is_told_of_again_stays_urgent() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    running.send(event(2, "e2", vec![active("u1", false)])).await;
    running.send(event(3, "e3", vec![profile("u1", "anna")])).await;
    let due = running.store.due(&sink("a"), clock(), 10).await.unwrap();
    assert_eq!(due[0].priority, Priority::Leaver);
    running.send(event(4, "e4", vec![active("u1", true)])).await;
    let due = running.store.due(&sink("a"), clock(), 10).await.unwrap();
    assert_eq!(due[0].priority, Priority::Revocation, "the sink may still hold what they no longer have");
}

#[tokio::test]
async fn who_still_has_access_somewhere_goes_first_even_when_their_deactivation_was_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let (store, a) = (&running.store, sink("a"));
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    let change = store.due(&a, clock(), 10).await.unwrap().remove(0).change;
    let resolution =
        Resolution::Applied { document: change.desired, remote: None, action: Action::Created, again: None };
    let settlement =
        Settlement { entity: change.entity, generation: change.generation, attempts: 1, resolution };
    store.settle(&a, vec![settlement], clock()).await.unwrap();
    running.send(event(2, "e2", vec![active("u1", false)])).await;
    let everything = QueueFilter::default();
    store.drop_items(&everything, clock()).await.unwrap();
    running.send(event(3, "e3", vec![profile("u2", "joiner")])).await;
    running.send(event(4, "e4", vec![Fact::UserGone { user: UserId::new("u1") }])).await;
    let due = store.due(&a, clock(), 10).await.unwrap();
    assert_eq!(due[0].change.entity, user("u1"));
    assert_eq!(due[0].priority, Priority::Leaver);
    let due = store.due(&sink("b"), clock(), 10).await.unwrap();
    assert_eq!(due[0].change.entity, user("u2"), "b never had the user");
}

#[tokio::test]
async fn of_several_events_the_latest_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    let (deactivated, late) =
        (event(9, "e9", vec![active("u1", false)]), event(5, "e5", vec![active("u1", true)]));
    tokio::join!(running.send(deactivated), running.send(late));
    let letters = running.store.queue(&QueueFilter::default(), 100).await.unwrap();
    assert_eq!(letters[0].event.as_deref(), Some("e9"));
}

#[tokio::test]
async fn what_cannot_be_read_from_the_store_stops_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let running = Running::start(&path).await;
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    let damage = "UPDATE entity SET state = '{' WHERE id = 'u1'";
    rusqlite::Connection::open(&path).unwrap().execute(damage, []).unwrap();
    let gone = message(event(2, "e2", vec![Fact::UserGone { user: UserId::new("u1") }]));
    let (gone, joiner) =
        tokio::join!(running.intake.submit(gone), running.send(event(2, "e3", vec![profile("u2", "bob")])));
    assert!(gone.unwrap_err().to_string().contains("user u1"));
    assert_eq!(joiner, Receipt::Committed);
}

#[tokio::test]
async fn a_renamed_group_changes_the_roles_of_its_members() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let named = |name: &str| Fact::GroupNamed {
        group: GroupId::new("g1"),
        name: Some(name.into()),
        organization: None,
    };
    let member = Fact::Member { group: GroupId::new("g1"), user: UserId::new("u1"), member: true };
    running.send(event(1, "e1", vec![profile("u1", "ann"), member, named("name 0")])).await;
    running.send(event(2, "e2", vec![named("something else")])).await;
    let store = running.stop().await;
    let ann = &store.users("ANN").await.unwrap()[0];
    assert_eq!(ann.roles, [rolecall_sink_api::RoleName::new("member")]);
    assert_eq!(ann.user.as_ref().unwrap().groups[&GroupId::new("g1")], "something else");
}

#[tokio::test]
async fn a_deletion_that_comes_after_the_group_is_back_still_ends_what_was_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let group = GroupId::new("g1");
    let named = || Fact::GroupNamed { group: group.clone(), name: Some("name 0".into()), organization: None };
    let member = Fact::Member { group: group.clone(), user: UserId::new("u1"), member: true };
    running.send(event(1, "e1", vec![profile("u1", "ann"), member, named()])).await;
    running.send(event(3, "e3", vec![named()])).await;
    running.send(event(2, "e2", vec![Fact::GroupGone { group: group.clone() }])).await;
    let store = running.stop().await;
    let ann = &store.users("ann").await.unwrap()[0];
    assert_eq!(ann.roles, [rolecall_sink_api::RoleName::new("member")]);
    assert!(ann.user.as_ref().unwrap().groups.is_empty());
}

#[tokio::test]
async fn a_change_that_was_overtaken_is_noted_and_stays_due() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let a = sink("a");
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    let in_hand = running.store.due(&a, clock(), 10).await.unwrap().remove(0).change;
    running.send(event(2, "e2", vec![profile("u1", "anna")])).await;
    let applied = Settlement {
        entity: in_hand.entity.clone(),
        generation: in_hand.generation,
        attempts: 1,
        resolution: Resolution::Applied {
            document: in_hand.desired.clone(),
            remote: Some(rolecall_sink_api::RemoteId::new("r1")),
            action: Action::Created,
            again: None,
        },
    };
    running.store.settle(&a, vec![applied], clock()).await.unwrap();
    let next = running.store.due(&a, clock(), 10).await.unwrap().remove(0).change;
    assert_eq!(next.applied, in_hand.desired);
    assert_eq!(next.remote.unwrap().as_str(), "r1");
    assert_eq!(next.generation, in_hand.generation + 1);
    assert_ne!(next.idempotency_key, in_hand.idempotency_key);
    assert_eq!(next.desired.unwrap().as_user().unwrap().profile.user_name.as_deref(), Some("anna"));
}

#[tokio::test]
async fn a_dead_letter_waits_for_a_person_or_a_newer_event() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let a = sink("a");
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    let generation = async || running.store.queue(&QueueFilter::default(), 100).await.unwrap()[0].generation;
    let first = generation().await;
    let dead = |generation| Settlement {
        entity: user("u1"),
        generation,
        attempts: 3,
        resolution: Resolution::Dead { reason: "no such parent".into(), remote: None },
    };
    running.store.settle(&a, vec![dead(first)], clock()).await.unwrap();
    assert!(running.store.due(&a, later(9999), 10).await.unwrap().is_empty());
    let filter = QueueFilter { state: Some(QueueState::Dead), ..QueueFilter::default() };
    let letters = running.store.queue(&filter, 100).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].error.as_deref(), Some("no such parent"));
    assert_eq!(letters[0].event.as_deref(), Some("e1"));

    assert_eq!(running.store.retry(&filter).await.unwrap(), 1);
    assert_eq!(running.store.due(&a, clock(), 10).await.unwrap()[0].change.attempt, 1);

    running.store.settle(&a, vec![dead(first)], clock()).await.unwrap();
    running.send(event(2, "e2", vec![profile("u1", "anna")])).await;
    let second = running.store.due(&a, clock(), 10).await.unwrap()[0].change.generation;
    assert!(second > first);

    running.store.settle(&a, vec![dead(second)], clock()).await.unwrap();
    assert_eq!(running.store.drop_items(&filter, clock()).await.unwrap(), 1);
    assert!(
        running
            .store
            .queue(&QueueFilter { sink: Some("a".into()), ..QueueFilter::default() }, 100)
            .await
            .unwrap()
            .is_empty()
    );
}

/// Hands `change` to a sink that cannot look, and never hears what became of it.
async fn attempt(store: &dyn Store, sink: &SinkName, change: &Change) {
    store.attempting(sink, Attempted::by(change).into_iter().collect()).await.unwrap();
}

async fn first_due(store: &dyn Store, sink: &SinkName) -> Change {
    store.due(sink, clock(), 10).await.unwrap().remove(0).change
}

#[tokio::test]
async fn an_attempt_is_remembered_over_newer_events_dropped_letters_and_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let running = Running::start(&path).await;
    let (a, b) = (sink("a"), sink("b"));
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    let first = first_due(&*running.store, &a).await;
    assert_eq!(first.attempted, None);
    attempt(&*running.store, &a, &first).await;
    let attempted = Attempted::by(&first);
    assert_eq!(first_due(&*running.store, &a).await.attempted, attempted);
    assert_eq!(first_due(&*running.store, &b).await.attempted, None, "it was not handed to that one");

    running.send(event(2, "e2", vec![profile("u1", "anna")])).await;
    assert_eq!(first_due(&*running.store, &a).await.attempted, attempted);
    running.store.drop_items(&QueueFilter::default(), clock()).await.unwrap();
    drop(running.stop().await);
    let running = Running::start(&path).await;
    running.send(event(3, "e3", vec![profile("u1", "anne")])).await;
    assert_eq!(first_due(&*running.store, &a).await.attempted, attempted);
}

#[tokio::test]
async fn an_attempt_is_forgotten_once_the_sink_confirms_also_when_it_was_overtaken() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let a = sink("a");
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    let in_hand = first_due(&*running.store, &a).await;
    attempt(&*running.store, &a, &in_hand).await;
    running.send(event(2, "e2", vec![profile("u1", "anna")])).await;
    let retry = Resolution::Retry { reason: "busy".into(), due: clock(), remote: None };
    let applied = Resolution::Applied {
        document: in_hand.desired.clone(),
        remote: None,
        action: Action::Created,
        again: None,
    };
    for (resolution, forgotten) in [(retry, false), (applied, true)] {
        let settlement = Settlement {
            entity: in_hand.entity.clone(),
            generation: in_hand.generation,
            attempts: 1,
            resolution,
        };
        running.store.settle(&a, vec![settlement], clock()).await.unwrap();
        assert_eq!(first_due(&*running.store, &a).await.attempted.is_none(), forgotten);
    }
}

#[tokio::test]
async fn the_id_of_what_an_attempt_made_comes_back_until_one_is_confirmed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let running = Running::start(&path).await;
    let a = sink("a");
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    let in_hand = first_due(&*running.store, &a).await;
    attempt(&*running.store, &a, &in_hand).await;
    let settle = |resolution| {
        vec![Settlement {
            entity: in_hand.entity.clone(),
            generation: in_hand.generation,
            attempts: 1,
            resolution,
        }]
    };
    let remote = Some(RemoteId::new("7\"}"));
    let dead = Resolution::Dead { reason: "no such group".into(), remote: remote.clone() };
    running.store.settle(&a, settle(dead), clock()).await.unwrap();
    drop(running.stop().await);

    let running = Running::start(&path).await;
    running.send(event(2, "e2", vec![profile("u1", "anna")])).await;
    let again = first_due(&*running.store, &a).await;
    assert_eq!((&again.remote, &again.attempted.as_ref().unwrap().remote), (&remote, &remote));
    attempt(&*running.store, &a, &again).await;
    assert_eq!(first_due(&*running.store, &a).await.remote, remote);
    let retry = Resolution::Retry { reason: "busy".into(), due: clock(), remote: Some(RemoteId::new("8")) };
    running.store.settle(&a, settle(retry), clock()).await.unwrap();
    assert_eq!(first_due(&*running.store, &a).await.remote, Some(RemoteId::new("8")), "the newest is right");

    let applied = Resolution::Applied {
        document: in_hand.desired.clone(),
        remote: None,
        action: Action::Created,
        again: None,
    };
    running.store.settle(&a, settle(applied), clock()).await.unwrap();
    assert_eq!(first_due(&*running.store, &a).await.remote, None, "it was confirmed without one");
}

#[tokio::test]
async fn whom_an_attempt_may_have_made_is_not_forgotten_and_a_sink_that_returns_removes_them() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let (store, a) = (&running.store, sink("a"));
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    let first = first_due(&**store, &a).await;
    attempt(&**store, &a, &first).await;
    running.send(event(2, "e2", vec![Fact::UserGone { user: UserId::new("u1") }])).await;
    store.drop_items(&QueueFilter::default(), clock()).await.unwrap();
    let all = Cutoffs { journal: later(1), activity: later(1), tombstones: later(1) };
    while store.prune(all).await.unwrap() > 0 {}
    assert_eq!(store.users("u1").await.unwrap().len(), 1);

    store.configure(&[], clock()).await.unwrap();
    store.configure(std::slice::from_ref(&a), clock()).await.unwrap();
    let back = first_due(&**store, &a).await;
    assert_eq!((back.desired, back.attempted), (None, Attempted::by(&first)));
}

#[tokio::test]
async fn a_retry_waits_for_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let a = sink("a");
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    let retry = Settlement {
        entity: user("u1"),
        generation: running.store.due(&a, clock(), 10).await.unwrap()[0].change.generation,
        attempts: 1,
        resolution: Resolution::Retry { reason: "busy".into(), due: later(30), remote: None },
    };
    running.store.settle(&a, vec![retry], clock()).await.unwrap();
    assert!(running.store.due(&a, later(29), 10).await.unwrap().is_empty());
    assert_eq!(running.store.next_due(&a).await.unwrap(), Some(later(30)));
    assert_eq!(running.store.due(&a, later(30), 10).await.unwrap()[0].change.attempt, 2);
}

#[tokio::test]
async fn a_store_that_is_opened_again_holds_what_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let running = Running::start(&path).await;
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    drop(running.stop().await);
    let running = Running::start(&path).await;
    assert_eq!(running.send(event(1, "e1", vec![profile("u1", "ann")])).await, Receipt::Duplicate);
    assert_eq!(running.store.due(&sink("b"), clock(), 10).await.unwrap().len(), 1);
    assert_eq!(running.store.overview().await.unwrap().active_users, 1);
}

#[tokio::test]
async fn a_store_that_was_closed_is_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let running = Running::start(&path).await;
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    running.store.users("u1").await.unwrap();
    drop(running.stop().await);
    assert!(!directory.path().join("store.db-wal").exists());
    SqliteStore::open(&path).expect("the lock is free");
}

#[tokio::test]
async fn a_second_process_is_refused_and_told_by_whom() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let first = SqliteStore::open(&path).unwrap();
    let error = SqliteStore::open(&path).unwrap_err().to_string();
    assert!(
        error.contains("in use by another process") && error.contains(&std::process::id().to_string()),
        "{error}"
    );
    drop(first);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    drop(SqliteStore::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 999).unwrap();
    let error = SqliteStore::open(&path).unwrap_err().to_string();
    assert!(error.contains("999") && error.contains("newer rolecall"), "{error}");
}

#[tokio::test]
async fn a_new_sink_gets_everybody_and_a_returning_one_what_it_missed() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    running.send(event(1, "e2", vec![profile("u2", "bob")])).await;
    let (store, a, b, c) = (&running.store, sink("a"), sink("b"), sink("c"));
    for change in store.due(&a, clock(), 10).await.unwrap() {
        let settlement = Settlement {
            entity: change.change.entity,
            generation: change.change.generation,
            attempts: 1,
            resolution: Resolution::Applied {
                document: change.change.desired,
                remote: None,
                action: Action::Created,
                again: None,
            },
        };
        store.settle(&a, vec![settlement], clock()).await.unwrap();
    }
    store.configure(&[b.clone(), c.clone()], clock()).await.unwrap();
    assert_eq!(store.due(&c, clock(), 10).await.unwrap().len(), 2);
    running.send(event(2, "e3", vec![Fact::UserGone { user: UserId::new("u1") }])).await;
    store.configure(&[a.clone(), b, c], clock()).await.unwrap();
    let missed = store.due(&a, clock(), 10).await.unwrap();
    assert_eq!(missed.len(), 1);
    assert_eq!(missed[0].change.entity, user("u1"));
    assert_eq!(missed[0].priority, Priority::Leaver);
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_what_is_needed_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    running.send(event(1, "e2", vec![profile("u2", "bob")])).await;
    running.send(event(2, "e3", vec![Fact::UserGone { user: UserId::new("u1") }])).await;
    let cutoffs = |at| Cutoffs { journal: at, activity: at, tombstones: at };
    assert_eq!(running.store.prune(cutoffs(clock())).await.unwrap(), 0);
    // The tombstone stays while a sink has still to remove the user.
    let mut gone = 0;
    loop {
        match running.store.prune(cutoffs(later(1))).await.unwrap() {
            0 => break,
            n => gone += n,
        }
    }
    assert_eq!(gone, 6, "three events and three lines of activity");
    assert_eq!(running.store.users("u1").await.unwrap().len(), 1);
    for name in ["a", "b"] {
        let removed = Settlement {
            entity: user("u1"),
            generation: running.store.users("u1").await.unwrap()[0].generation,
            attempts: 1,
            resolution: Resolution::Applied {
                document: None,
                remote: None,
                action: Action::Unchanged,
                again: None,
            },
        };
        running.store.settle(&sink(name), vec![removed], clock()).await.unwrap();
    }
    assert_eq!(running.store.prune(cutoffs(later(1))).await.unwrap(), 1);
    assert!(running.store.users("u1").await.unwrap().is_empty());
    assert_eq!(running.store.users("u2").await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_unreadable_message_is_kept_and_can_be_read_later() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let unreadable = Message {
        reading: Reading::Unreadable { id: EventId::new("e1"), kind: None, reason: "not an object".into() },
        ..message(event(1, "e1", vec![]))
    };
    let receipt = running.intake.submit(unreadable).await.unwrap();
    assert_eq!(receipt, Receipt::Unreadable("not an object".into()));
    assert_eq!(running.store.overview().await.unwrap().unreadable, 1);
    assert_eq!(running.send(event(1, "e1", vec![profile("u1", "ann")])).await, Receipt::Committed);
    assert_eq!(running.store.overview().await.unwrap().unreadable, 0);
}

#[tokio::test]
async fn what_is_to_be_looked_at_again_is_due_then_and_at_once_when_something_newer_comes() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let (store, a) = (&running.store, sink("a"));
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    let in_hand = store.due(&a, clock(), 10).await.unwrap().remove(0).change;
    let again = clock() + jiff::SignedDuration::from_hours(24);
    let applied = Settlement {
        entity: in_hand.entity.clone(),
        generation: in_hand.generation,
        attempts: 1,
        resolution: Resolution::Applied {
            document: in_hand.desired.clone(),
            remote: None,
            action: Action::Created,
            again: Some(again),
        },
    };
    store.settle(&a, vec![applied], clock()).await.unwrap();
    assert_eq!(store.due(&a, clock(), 10).await.unwrap(), []);
    assert_eq!(store.next_due(&a).await.unwrap(), Some(again));
    let then = store.due(&a, again, 10).await.unwrap().remove(0).change;
    assert_eq!((then.attempt, &then.applied, &then.desired), (1, &in_hand.desired, &in_hand.desired));

    running.send(event(2, "e2", vec![profile("u1", "anna")])).await;
    assert_eq!(store.due(&a, clock(), 10).await.unwrap().len(), 1);
}
