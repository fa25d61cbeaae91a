//! What the safeguard holds, decided by a person or by something newer, and what counts for it.

use std::time::Duration;

use rolecall_sink_api::OrganizationId;

use super::*;

/// A sink that confirmed these users, all of whom are to be removed from it now.
struct Leaving {
    running: Running,
    of: SinkName,
}

impl Leaving {
    async fn everybody(path: &Path, users: u32) -> Self {
        let leaving = Self { running: Running::start(path).await, of: sink("a") };
        let names: Vec<String> = (0..users).map(|n| format!("u{n}")).collect();
        leaving.running.send(event(1, "join", names.iter().map(|n| profile(n, n)).collect())).await;
        leaving.deliver().await;
        let gone = names.iter().map(|n| Fact::UserGone { user: UserId::new(n.as_str()) });
        leaving.running.send(event(2, "leave", gone.collect())).await;
        leaving
    }

    fn store(&self) -> &dyn Store {
        &*self.running.store
    }

    async fn due(&self) -> Vec<Due> {
        self.store().due(&self.of, clock(), 5000).await.unwrap()
    }

    /// Everything that is due arrives.
    async fn deliver(&self) {
        deliver(self.store(), &self.of).await;
    }

    /// Holds everything that is due, beyond a limit of that many.
    async fn hold(&self, allowed: u64) -> Vec<Hold> {
        let held = self.due().await.into_iter().map(|due| Held {
            entity: due.change.entity,
            generation: due.change.generation,
            withdrawal: Withdrawal::Removal,
            because: due
                .held
                .map_or_else(|| HeldBecause::Over(reached(allowed)), |held| HeldBecause::Already(held.hold)),
        });
        let guarded = Guarded { held: held.collect(), since: later(-3600), ..Guarded::default() };
        self.store().guard(&self.of, guarded, clock()).await.unwrap()
    }

    async fn holds(&self) -> Vec<Hold> {
        self.store().holds(&HoldFilter::default(), 10).await.unwrap()
    }

    async fn held(&self) -> u64 {
        self.store().overview().await.unwrap().sinks[&self.of].held
    }
}

async fn deliver(store: &dyn Store, of: &SinkName) {
    let due = store.due(of, clock(), 5000).await.unwrap();
    let settlements = due.into_iter().map(|due| Settlement {
        entity: due.change.entity,
        generation: due.change.generation,
        attempts: 1,
        resolution: Resolution::Applied {
            document: due.change.desired,
            remote: None,
            action: Action::Updated,
            again: None,
        },
    });
    store.settle(of, settlements.collect(), clock()).await.unwrap();
}

fn reached(allowed: u64) -> Reached {
    Reached { organization: None, allowed, of_users: 300, within: Duration::from_secs(3600) }
}

fn removal(id: &str, organization: Option<&str>) -> Withdrawn {
    Withdrawn {
        entity: user(id),
        withdrawal: Withdrawal::Removal,
        organization: organization.map(OrganizationId::new),
    }
}

async fn activity(store: &dyn Store, id: &str) -> Vec<(String, Option<String>)> {
    let user = store.users(id).await.unwrap().remove(0);
    let of_a = user.activity.into_iter().filter(|line| line.sink.as_deref() == Some("a"));
    of_a.map(|line| (line.what, line.detail)).collect()
}

fn line(what: &str, detail: &str) -> (String, Option<String>) {
    (what.into(), Some(detail.into()))
}

#[tokio::test]
async fn what_is_held_leaves_the_order_and_others_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let leaving = Leaving::everybody(&directory.path().join("store.db"), 3).await;
    let opened = leaving.hold(50).await;
    assert_eq!(opened.len(), 1);
    let hold = &opened[0];
    assert_eq!((hold.sink.as_str(), hold.withdrawal, hold.changes), ("a", Withdrawal::Removal, 3));
    assert_eq!((hold.since, &hold.reached, hold.event.as_deref()), (clock(), &reached(50), Some("leave")));
    assert!(hold.is_open());
    assert_eq!(leaving.due().await, []);
    assert_eq!(leaving.store().next_due(&leaving.of).await.unwrap(), None);

    leaving.running.send(event(3, "late", vec![profile("late", "late")])).await;
    assert_eq!(leaving.due().await.len(), 1, "a joiner waits for nobody");
    let state = leaving.store().overview().await.unwrap().sinks.remove(&leaving.of).unwrap();
    assert_eq!((state.held, state.held_since, state.waiting), (3, Some(clock()), 1));
    let filter = QueueFilter { state: Some(QueueState::Held), ..QueueFilter::default() };
    let items = leaving.store().queue(&filter, 10).await.unwrap();
    assert_eq!(items.len(), 3);
    assert!(items.iter().all(|item| item.hold == Some(hold.id)), "{items:?}");
    assert_eq!(activity(leaving.store(), "u0").await[0], line("held", "in hold 1"));
}

#[tokio::test]
async fn what_is_approved_is_due_at_once_as_leavers_and_is_not_asked_about_again() {
    let directory = tempfile::tempdir().unwrap();
    let leaving = Leaving::everybody(&directory.path().join("store.db"), 1200).await;
    let counted = Guarded { passing: vec![removal("u0", None)], since: later(-60), ..Guarded::default() };
    leaving.store().guard(&leaving.of, counted, clock()).await.unwrap();
    let hold = leaving.hold(50).await.remove(0).id;

    let by = Some("root".to_owned());
    let approved = leaving.store().decide(hold, Decision::Approved, by.clone(), clock()).await.unwrap();
    assert_eq!(approved, Some(1200));

    let due = leaving.due().await;
    assert_eq!(due.len(), 1200);
    assert!(due.iter().all(|due| due.approved && due.held.is_none() && due.priority == Priority::Leaver));
    let [kept] = leaving.holds().await.try_into().unwrap();
    assert_eq!(kept.decided, Some(Decided { decision: Decision::Approved, at: clock(), by }));
    assert_eq!((kept.closed_at, kept.changes), (Some(clock()), 0));
    let of_it = HoldFilter { open: true, ..HoldFilter::default() };
    assert_eq!(leaving.store().holds(&of_it, 10).await.unwrap(), []);
    let lately = leaving.store().withdrawn_lately(&leaving.of, vec![removal("u0", None)], later(-60));
    let tally = Tally { withdrawn: 0, users: 1200 };
    assert_eq!(lately.await.unwrap().tallies[&(Withdrawal::Removal, None)], tally, "a new count");
    assert_eq!(activity(leaving.store(), "u7").await[0], line("approved", "hold 1, by root"));
    assert_eq!(leaving.store().decide(hold, Decision::Rejected, None, clock()).await.unwrap(), None);

    // A newer generation was not approved.
    leaving.running.send(event(3, "back", vec![profile("u3", "u3")])).await;
    let due = leaving.due().await;
    let back = due.iter().find(|due| due.change.entity == user("u3")).unwrap();
    assert!(!back.approved && back.change.desired.is_some(), "{back:?}");
}

#[tokio::test]
async fn what_is_rejected_stays_in_the_sink_until_it_changes_again() {
    let directory = tempfile::tempdir().unwrap();
    let leaving = Leaving::everybody(&directory.path().join("store.db"), 2).await;
    let hold = leaving.hold(50).await.remove(0).id;
    assert_eq!(leaving.store().decide(hold, Decision::Rejected, None, clock()).await.unwrap(), Some(2));
    assert_eq!((leaving.due().await.len(), leaving.held().await), (0, 0));
    let view = leaving.store().users("u0").await.unwrap().remove(0);
    let in_a = &view.sinks[&leaving.of];
    assert!(in_a.applied.as_ref().is_some_and(|applied| applied.present) && in_a.queued.is_none());
    assert_eq!(activity(leaving.store(), "u0").await[0], line("rejected", "hold 1"));

    leaving.running.send(event(3, "back", vec![profile("u0", "u0")])).await;
    assert_eq!(leaving.due().await.len(), 1);
}

#[tokio::test]
async fn something_newer_is_looked_at_again_and_goes_back_to_its_hold_or_leaves_it() {
    let directory = tempfile::tempdir().unwrap();
    let leaving = Leaving::everybody(&directory.path().join("store.db"), 2).await;
    let hold = leaving.hold(50).await.remove(0).id;
    leaving.running.send(event(3, "back", vec![profile("u0", "u0")])).await;
    let due = leaving.due().await;
    assert_eq!(due[0].held, Some(HeldIn { hold, withdrawal: Withdrawal::Removal }));
    assert_eq!(leaving.hold(50).await, [], "it went back to the hold that there is");
    assert_eq!((leaving.held().await, leaving.holds().await.len()), (2, 1));

    leaving.running.send(event(4, "new", vec![profile("u0", "new"), profile("u1", "new")])).await;
    let released = leaving.due().await.into_iter();
    let released = released.map(|due| (due.change.entity, due.change.generation)).collect();
    let guarded = Guarded { released, ..Guarded::default() };
    leaving.store().guard(&leaving.of, guarded, clock()).await.unwrap();
    let [closed] = leaving.holds().await.try_into().unwrap();
    assert_eq!((closed.closed_at, closed.decided), (Some(clock()), None), "nothing is left in it");
    assert_eq!(leaving.due().await.len(), 2);
    assert_eq!(activity(leaving.store(), "u1").await[0].0, "released");
}

#[tokio::test]
async fn what_changed_while_it_was_judged_is_not_held() {
    let directory = tempfile::tempdir().unwrap();
    let leaving = Leaving::everybody(&directory.path().join("store.db"), 1).await;
    let taken = leaving.due().await.remove(0).change;
    leaving.running.send(event(3, "back", vec![profile("u0", "u0")])).await;
    let late = Held {
        entity: taken.entity,
        generation: taken.generation,
        withdrawal: Withdrawal::Removal,
        because: HeldBecause::Over(reached(0)),
    };
    let guarded = Guarded { held: vec![late], ..Guarded::default() };
    assert_eq!(leaving.store().guard(&leaving.of, guarded, clock()).await.unwrap(), []);
    assert_eq!((leaving.due().await.len(), leaving.held().await), (1, 0));
}

#[tokio::test]
async fn a_person_retries_past_no_hold_and_may_drop_what_is_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let leaving = Leaving::everybody(&directory.path().join("store.db"), 2).await;
    leaving.hold(50).await;
    let of_a = QueueFilter { sink: Some("a".into()), ..QueueFilter::default() };
    assert_eq!(leaving.store().retry(&of_a).await.unwrap(), 0);
    assert_eq!(leaving.held().await, 2);
    assert_eq!(leaving.store().drop_items(&of_a, clock()).await.unwrap(), 2);
    assert!(leaving.holds().await[0].closed_at.is_some());
}

#[tokio::test]
async fn a_group_that_must_go_waits_for_its_members_who_are_held() {
    let directory = tempfile::tempdir().unwrap();
    let leaving = Leaving::everybody(&directory.path().join("store.db"), 1).await;
    let group = GroupId::new("g1");
    let named = Fact::GroupNamed { group: group.clone(), name: None, organization: None };
    leaving.running.send(event(3, "g", vec![named])).await;
    let hold = leaving.hold(0).await.remove(0).id;
    leaving.deliver().await;
    leaving.running.send(event(4, "g gone", vec![Fact::GroupGone { group }])).await;
    assert_eq!(leaving.due().await, []);
    assert_eq!(leaving.store().next_due(&leaving.of).await.unwrap(), None, "nobody asks in vain");
    leaving.store().decide(hold, Decision::Approved, None, clock()).await.unwrap();
    let kinds: Vec<Priority> = leaving.due().await.iter().map(|due| due.priority).collect();
    assert_eq!(kinds, [Priority::Leaver, Priority::GroupRemoval]);
}

#[tokio::test]
async fn withdrawals_count_for_their_time_by_sink_and_by_organization() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let running = Running::start(&path).await;
    let of_org = |user: &str, organization: Option<&str>| Fact::UserProfile {
        user: UserId::new(user),
        organization: organization.map(OrganizationId::new),
        origin: crate::directory::Origin::default(),
        profile: Box::default(),
    };
    let all = vec![of_org("u1", Some("o1")), of_org("u2", Some("o1")), of_org("u3", None)];
    running.send(event(1, "e1", all)).await;
    deliver(&*running.store, &sink("a")).await;
    let store = running.stop().await;

    let passing = |id: &str, organization, at, since| {
        let guarded =
            Guarded { passing: vec![removal(id, organization)], since: later(since), ..Guarded::default() };
        let store = &store;
        async move { store.guard(&sink("a"), guarded, later(at)).await.unwrap() }
    };
    passing("u1", Some("o1"), 0, -60).await;
    passing("u3", None, 30, -30).await;
    passing("u3", None, 40, -20).await;
    // A new start changes nothing of it.
    drop(store);
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path).unwrap());
    let lately = async |since: i64| {
        let asked = vec![removal("u2", Some("o1")), removal("u3", None)];
        store.withdrawn_lately(&sink("a"), asked, later(since)).await.unwrap()
    };
    let tally = |lately: &Lately, organization: Option<&str>| {
        let tally = lately.tallies[&(Withdrawal::Removal, organization.map(OrganizationId::new))];
        (tally.withdrawn, tally.users)
    };
    let minute = lately(-10).await;
    assert_eq!((tally(&minute, None), tally(&minute, Some("o1"))), ((2, 3), (1, 2)));
    assert_eq!(minute.counted, [(Withdrawal::Removal, user("u3"))].into());
    let later_on = lately(0).await;
    assert_eq!((tally(&later_on, None), tally(&later_on, Some("o1"))), ((1, 3), (0, 2)));

    // What a clock that was put back noted does not count for ever.
    let guarded = Guarded { since: later(-100_060), ..Guarded::default() };
    store.guard(&sink("a"), guarded, later(-100_000)).await.unwrap();
    assert_eq!(tally(&lately(-200_000).await, None), (0, 3));
}

#[tokio::test]
async fn a_decision_that_a_crash_cut_off_is_carried_out_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let leaving = Leaving::everybody(&path, 3).await;
    leaving.hold(50).await;
    drop(leaving.running.stop().await);
    // As it is when the process ends between the decision and the first portion.
    let sql = "UPDATE hold SET decision = 0, decided_by = 'root', decided_at = 1";
    rusqlite::Connection::open(&path).unwrap().execute(sql, []).unwrap();

    let store = SqliteStore::open(&path).unwrap();
    let of_it = QueueFilter { hold: Some(HoldId(1)), ..QueueFilter::default() };
    assert_eq!(store.queue(&of_it, 10).await.unwrap().len(), 3);
    assert_eq!(store.decide(HoldId(1), Decision::Rejected, None, clock()).await.unwrap(), None);
    store.configure(&[sink("a"), sink("b")], clock()).await.unwrap();
    let due = store.due(&sink("a"), clock(), 10).await.unwrap();
    assert!(due.len() == 3 && due.iter().all(|due| due.approved), "{due:?}");
    assert!(store.holds(&HoldFilter::default(), 10).await.unwrap()[0].closed_at.is_some());
}

#[tokio::test]
async fn a_sink_that_is_no_longer_configured_leaves_no_hold_and_no_pause() {
    let directory = tempfile::tempdir().unwrap();
    let leaving = Leaving::everybody(&directory.path().join("store.db"), 1).await;
    leaving.hold(0).await;
    let pause = Pause { since: clock(), reason: Some("migration".into()), by: None };
    leaving.store().pause(&leaving.of, Some(pause.clone())).await.unwrap();
    assert_eq!(leaving.store().pauses().await.unwrap(), [(leaving.of.clone(), pause)].into());
    leaving.store().configure(&[sink("b")], clock()).await.unwrap();
    leaving.store().configure(&[sink("a"), sink("b")], clock()).await.unwrap();
    assert_eq!(leaving.holds().await, []);
    assert_eq!(leaving.store().pauses().await.unwrap(), BTreeMap::new());
    assert_eq!(leaving.due().await.len(), 1, "what it was to remove is due anew");
}

#[tokio::test]
async fn a_hold_that_is_closed_is_forgotten_with_the_activity() {
    let directory = tempfile::tempdir().unwrap();
    let leaving = Leaving::everybody(&directory.path().join("store.db"), 2).await;
    let hold = leaving.hold(0).await.remove(0).id;
    let cutoffs = Cutoffs { journal: later(-9), activity: later(9), tombstones: later(-9) };
    while leaving.store().prune(cutoffs).await.unwrap() > 0 {}
    assert_eq!(leaving.holds().await.len(), 1, "it is open");
    leaving.store().decide(hold, Decision::Rejected, None, clock()).await.unwrap();
    while leaving.store().prune(cutoffs).await.unwrap() > 0 {}
    assert_eq!(leaving.holds().await, []);
}
