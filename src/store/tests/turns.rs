//! Whose turn it is.

use super::*;

fn order(due: &[Due]) -> Vec<&str> {
    due.iter().map(|due| due.change.entity.id()).collect()
}

async fn retry_later(store: &dyn Store, id: &str, due: Timestamp) {
    let item = store
        .queue(&QueueFilter { sink: Some("a".into()), id: Some(id.into()), ..QueueFilter::default() }, 100)
        .await
        .unwrap()
        .remove(0);
    let settlement = Settlement {
        entity: item.entity,
        generation: item.generation,
        attempts: 1,
        resolution: Resolution::Retry { reason: "busy".into(), due, remote: None },
    };
    store.settle(&sink("a"), vec![settlement], clock()).await.unwrap();
}

#[tokio::test]
async fn who_waited_for_another_attempt_has_the_turn_their_priority_gives() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let (store, a) = (&*running.store, sink("a"));
    for (n, id) in ["leaver", "one", "two", "three"].into_iter().enumerate() {
        running.send(event(1, &format!("e{n}"), vec![profile(id, id)])).await;
    }
    running.send(event(2, "e9", vec![active("leaver", false)])).await;
    retry_later(store, "leaver", later(20)).await;
    retry_later(store, "one", later(10)).await;
    assert_eq!(order(&store.due(&a, later(9), 10).await.unwrap()), ["two", "three"]);
    assert_eq!(order(&store.due(&a, later(10), 10).await.unwrap()), ["one", "two", "three"]);
    assert_eq!(order(&store.due(&a, later(20), 10).await.unwrap()), ["leaver", "one", "two", "three"]);
    assert_eq!(order(&store.due(&a, later(20), 2).await.unwrap()), ["leaver", "one"]);
    let state = &store.overview().await.unwrap().sinks[&a];
    assert_eq!((state.waiting, state.leavers, state.dead, state.oldest), (4, 1, 0, Some(clock())));
}

#[tokio::test]
async fn who_loses_a_role_or_a_group_goes_after_leavers_and_before_whoever_joins() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let (store, a) = (&*running.store, sink("a"));
    let named = |id: &str| Fact::GroupNamed {
        group: GroupId::new(id),
        name: Some(id.to_uppercase()),
        organization: None,
    };
    let member =
        |group: &str, member| Fact::Member { group: GroupId::new(group), user: UserId::new("stays"), member };
    running.send(event(1, "e1", vec![profile("joins", "joins")])).await;
    running.send(event(1, "e2", vec![profile("leaves", "leaves")])).await;
    running.send(event(1, "e3", vec![named("g1")])).await;
    running.send(event(1, "e4", vec![named("g2")])).await;
    let in_both = vec![profile("stays", "stays"), member("g1", true), member("g2", true)];
    running.send(event(1, "e5", in_both)).await;
    let turns = async |most| {
        let due = store.due(&a, clock(), most).await.unwrap();
        due.iter().map(|due| due.change.entity.id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(turns(10).await, ["g1", "g2", "joins", "leaves", "stays"]);

    running.send(event(2, "e6", vec![member("g2", false)])).await;
    running.send(event(2, "e7", vec![active("leaves", false)])).await;
    assert_eq!(turns(2).await, ["leaves", "stays"]);
    assert_eq!(
        turns(10).await,
        ["leaves", "g1", "g2", "stays", "joins"],
        "a group is made before its members"
    );
    // The sink has not taken it away yet, whatever else is said of them since.
    running.send(event(3, "e8", vec![profile("stays", "renamed")])).await;
    assert_eq!(turns(2).await, ["leaves", "stays"]);
    let due = store.due(&a, clock(), 2).await.unwrap();
    assert_eq!((due[0].priority, due[1].priority), (Priority::Leaver, Priority::Revocation));
    let state = &store.overview().await.unwrap().sinks[&a];
    assert_eq!(state.leavers, 1, "who stays is no leaver");
}

#[tokio::test]
async fn the_next_turn_is_the_earliest_of_all_priorities() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let (store, a) = (&*running.store, sink("a"));
    let group = Fact::GroupNamed { group: GroupId::new("g1"), name: None, organization: None };
    running.send(event(1, "e1", vec![group, profile("u1", "ann")])).await;
    retry_later(store, "g1", later(50)).await;
    assert!(store.next_due(&a).await.unwrap().unwrap() <= clock());
    retry_later(store, "u1", later(40)).await;
    assert_eq!(store.next_due(&a).await.unwrap(), Some(later(40)));
    running.send(event(2, "e2", vec![profile("u1", "anna")])).await;
    assert_eq!(order(&store.due(&a, clock(), 10).await.unwrap()), ["u1"]);
}

#[tokio::test]
async fn to_a_new_sink_nobody_is_a_leaver() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let c = sink("c");
    running.send(event(1, "e1", vec![profile("inactive", "ann"), active("inactive", false)])).await;
    running.send(event(1, "e2", vec![profile("active", "bob")])).await;
    running.store.configure(std::slice::from_ref(&c), clock()).await.unwrap();
    let due = running.store.due(&c, clock(), 10).await.unwrap();
    assert_eq!(order(&due), ["active", "inactive"]);
    assert_eq!(due[1].priority, Priority::Inactive);
}

#[tokio::test]
async fn a_group_goes_after_members_who_are_still_to_be_evaluated() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let running = Running::start(&path).await;
    let group = GroupId::new("g1");
    let named = Fact::GroupNamed { group: group.clone(), name: None, organization: None };
    running.send(event(1, "e1", vec![named])).await;
    running.send(event(2, "e2", vec![Fact::GroupGone { group }])).await;
    let store = running.stop().await;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute("INSERT INTO stale (user) VALUES (7)", []).unwrap();
    assert!(store.due(&sink("a"), clock(), 10).await.unwrap().is_empty());
    other.execute("DELETE FROM stale", []).unwrap();
    assert_eq!(store.due(&sink("a"), clock(), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn whom_an_attempt_may_have_made_can_leave() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let (store, a) = (&*running.store, sink("a"));
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    let first = first_due(store, &a).await;
    attempt(store, &a, &first).await;
    running.send(event(2, "e2", vec![active("u1", false)])).await;
    store.configure(&[], clock()).await.unwrap();
    store.configure(std::slice::from_ref(&a), clock()).await.unwrap();
    assert_eq!(store.due(&a, clock(), 10).await.unwrap()[0].priority, Priority::Leaver);
}

#[tokio::test]
async fn whom_an_attempt_may_have_given_access_is_a_leaver_though_their_deactivation_was_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let (store, a) = (&*running.store, sink("a"));
    running.send(event(1, "e1", vec![profile("u1", "ann")])).await;
    let first = first_due(store, &a).await;
    attempt(store, &a, &first).await;
    running.send(event(2, "e2", vec![active("u1", false)])).await;
    store.drop_items(&QueueFilter::default(), clock()).await.unwrap();
    running.send(event(3, "e3", vec![Fact::UserGone { user: UserId::new("u1") }])).await;
    assert_eq!(store.due(&a, clock(), 10).await.unwrap()[0].priority, Priority::Leaver);
}
