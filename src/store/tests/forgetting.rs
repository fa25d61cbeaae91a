//! What is forgotten, what never is, and that the one does not hold up the other.

use super::*;

fn all_before(at: Timestamp) -> Cutoffs {
    Cutoffs { journal: at, activity: at, tombstones: at }
}

/// Confirms everything that is due for a sink, as it is desired.
async fn confirm(store: &dyn Store, of: &SinkName) {
    for due in store.due(of, later(9999), 1000).await.unwrap() {
        let settlement = Settlement {
            entity: due.change.entity,
            generation: due.change.generation,
            attempts: 1,
            resolution: Resolution::Applied {
                document: due.change.desired,
                remote: None,
                action: Action::Unchanged,
                again: None,
            },
        };
        store.settle(of, vec![settlement], clock()).await.unwrap();
    }
}

async fn forget(store: &dyn Store) {
    while store.prune(all_before(later(1))).await.unwrap() > 0 {}
}

fn member(user: &str, member: bool) -> Fact {
    Fact::Member { group: GroupId::new("g1"), user: UserId::new(user), member }
}

fn gone(user: &str) -> Fact {
    Fact::UserGone { user: UserId::new(user) }
}

#[tokio::test]
async fn users_who_must_be_remembered_hold_up_nobody_behind_them() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    // Only heard of, as members of a group; more than are looked at in one step.
    let heard_of: Vec<Fact> = (0..450).map(|n| member(&format!("heard-of-{n}"), true)).collect();
    running.send(event(1, "e1", heard_of)).await;
    running.send(event(2, "e2", vec![gone("u1")])).await;
    forget(&*running.store).await;
    assert!(running.store.users("u1").await.unwrap().is_empty());
    assert_eq!(running.store.users("heard-of-0").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_user_of_whom_only_absence_from_groups_is_known_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let running = Running::start(&path).await;
    running.send(event(1, "e1", vec![gone("u1")])).await;
    running.send(event(2, "e2", vec![member("u1", false)])).await;
    forget(&*running.store).await;
    assert!(running.store.users("u1").await.unwrap().is_empty());
    running.send(event(3, "e3", vec![Fact::GroupGone { group: GroupId::new("g1") }])).await;
    let store = running.stop().await;
    forget(&*store).await;
    drop(store);
    let connection = rusqlite::Connection::open(&path).unwrap();
    for table in ["entity", "membership", "membership_new", "stale"] {
        let left = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
        assert_eq!(left, Ok(0), "{table}");
    }
}

#[tokio::test]
async fn a_tombstone_stays_while_a_sink_that_is_configured_no_more_holds_the_user() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let (store, a, b) = (&*running.store, sink("a"), sink("b"));
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    confirm(store, &a).await;
    confirm(store, &b).await;
    store.configure(std::slice::from_ref(&a), clock()).await.unwrap();
    running.send(event(2, "e2", vec![gone("u1")])).await;
    confirm(store, &a).await;
    forget(store).await;
    assert_eq!(store.users("u1").await.unwrap().len(), 1);

    store.configure(&[a, b.clone()], clock()).await.unwrap();
    let missed = store.due(&b, clock(), 10).await.unwrap();
    assert_eq!(missed[0].change.entity, user("u1"));
    assert!(missed[0].change.desired.is_none());
    confirm(store, &b).await;
    forget(store).await;
    assert!(store.users("u1").await.unwrap().is_empty());
}

#[tokio::test]
async fn unreadable_messages_are_kept_and_hold_up_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let running = Running::start(&path).await;
    let unreadable = |n: usize| Message {
        reading: Reading::Unreadable {
            id: EventId::new(format!("e{n}")),
            kind: None,
            reason: "not an object".into(),
        },
        ..message(event(1, "e", vec![]))
    };
    for n in 0..250 {
        running.intake.submit(unreadable(n)).await.unwrap();
    }
    running.send(event(1, "last", vec![profile("u1", "ann")])).await;
    forget(&*running.store).await;
    assert_eq!(running.store.overview().await.unwrap().unreadable, 250);
    // Read after all, it is like any other message, and goes like one.
    running.send(event(1, "e7", vec![profile("u1", "ann")])).await;
    forget(&*running.store).await;
    drop(running.stop().await);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let left: i64 = connection.query_row("SELECT count(*) FROM event", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 249);
}
