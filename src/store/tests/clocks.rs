//! A clock that jumps: what it brings about too early, and what must not stay so.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::*;

const DAY: i64 = 24 * 60 * 60;
const YEAR: i64 = 365 * DAY;

/// Everybody is a temp until the second of January, and permanent from then on.
const FROM_TOMORROW: &str = "
rules:
  - {name: temps, when: {group: Staff}, grant: temp, until: 2026-01-02}
  - {name: permanents, when: {group: Staff}, grant: permanent, from: 2026-01-02}
";

async fn roles_of(store: &dyn Store, user: &str) -> Vec<String> {
    let view = store.users(user).await.unwrap().remove(0);
    view.roles.iter().map(|role| role.as_str().to_owned()).collect()
}

/// Waits for what the committer is to do by itself.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waited)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within a minute"));
}

#[tokio::test]
async fn who_was_evaluated_by_a_clock_ahead_is_evaluated_again_when_it_is_back() {
    static OFF: AtomicI64 = AtomicI64::new(0);
    let wrong: fn() -> Timestamp = || later(OFF.load(Ordering::SeqCst));
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&directory.path().join("store.db")).unwrap());
    store.configure(&[sink("a")], clock()).await.unwrap();
    let rules = new_rules(FROM_TOMORROW);
    let (intake, inbox) = Intake::new(64);
    let committer = Committer::new(Arc::clone(&store), Arc::clone(&rules.rules), wrong, || {});
    store.use_rules(rules).await.unwrap();
    let committer = tokio::spawn(committer.run(inbox));
    let group = GroupId::new("g1");
    let staff = Fact::GroupNamed { group: group.clone(), name: Some("Staff".into()), organization: None };
    let member = Fact::Member { group, user: UserId::new("u1"), member: true };
    let joined = vec![profile("u1", "ann"), active("u1", true), staff, member];
    intake.submit(message(event(1, "e1", joined))).await.unwrap();
    assert_eq!(roles_of(&*store, "u1").await, ["temp"]);

    for off in [2 * DAY, 0, 9 * YEAR, -YEAR, 2 * DAY, 0] {
        OFF.store(off, Ordering::SeqCst);
        let expected = if off > DAY { "permanent" } else { "temp" };
        until(&format!("off by {off} s, ann is {expected}"), async || {
            roles_of(&*store, "u1").await == [expected]
        })
        .await;
    }
    drop(intake);
    committer.await.unwrap();
}

#[tokio::test]
async fn a_clock_that_went_back_while_the_daemon_was_stopped_is_noticed_at_its_start() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("store.db")).unwrap();
    assert_eq!(store.note_time(later(DAY)).await.unwrap(), None);
    assert_eq!(store.note_time(later(DAY - 30)).await.unwrap(), None, "less than a minute is nothing");
    let back = store.note_time(later(0)).await.unwrap();
    assert_eq!(back, Some(jiff::SignedDuration::from_secs(DAY)));
    assert_eq!(store.note_time(later(0)).await.unwrap(), None, "once is enough");
}

#[tokio::test]
async fn what_was_to_wait_by_a_clock_ahead_does_not_wait_for_that_time() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let (store, a) = (&*running.store, sink("a"));
    let users = ["u1", "u2", "u3"];
    for (n, user) in users.iter().enumerate() {
        running.send(event(1, &format!("e{n}"), vec![profile(user, user)])).await;
    }
    store.note_time(later(YEAR)).await.unwrap();
    let due = store.due(&a, clock(), 10).await.unwrap();
    for (due, resolution) in due.into_iter().zip([
        Resolution::Retry { reason: "busy".into(), due: later(YEAR + 30), remote: None },
        Resolution::Applied {
            document: None,
            remote: None,
            action: Action::Deactivated,
            again: Some(later(YEAR + 60)),
        },
    ]) {
        let (entity, generation) = (due.change.entity, due.change.generation);
        let settlement = Settlement { entity, generation, attempts: 1, resolution };
        store.settle(&a, vec![settlement], later(YEAR)).await.unwrap();
    }

    store.note_time(clock()).await.unwrap();

    let due = store.due(&a, clock(), 10).await.unwrap();
    let who: Vec<&str> = due.iter().map(|due| due.change.entity.id()).collect();
    assert_eq!(who, ["u1", "u3"], "what a sink asked for at a time comes at that time");
    assert_eq!(due[0].change.attempt, 2, "attempts are not forgotten");
}

/// Runs retention by this clock for so long that it has come to its end.
async fn forget(store: &Arc<dyn Store>, clock: fn() -> Timestamp) {
    let month = Duration::from_secs(30 * DAY.unsigned_abs());
    let retention = Retention { journal: month, activity: month, tombstones: month };
    let stop = tokio_util::sync::CancellationToken::new();
    let run = tokio::spawn(retention.run(Arc::clone(store), clock, stop.clone()));
    // It rests when there is nothing left to do, and is stopped there.
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.cancel();
    run.await.unwrap();
}

#[tokio::test]
async fn a_clock_ahead_makes_nothing_forgotten_unless_a_message_says_that_it_is_right() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    let events = async || running.store.events(&EventFilter::default(), None, 10).await.unwrap().items.len();

    forget(&running.store, || later(YEAR)).await;
    assert_eq!(events().await, 1);

    let signed =
        Message { signed_at: later(YEAR), received_at: later(YEAR), ..message(event(2, "e2", vec![])) };
    running.intake.submit(signed).await.unwrap();
    forget(&running.store, || later(YEAR)).await;
    assert_eq!(events().await, 1, "the one of a year ago is gone");
}
