//! How SQLite goes about every statement of the store: none may read a large table from end to end.

use std::collections::BTreeSet;

use super::*;

/// What may be read from end to end, in which statements, and why it is bounded all the same.
const MAY_BE_SCANNED: [(&str, &str, &str); 18] = [
    ("SCAN rules_version", "ORDER BY number DESC LIMIT", "no more than the limit"),
    ("SCAN entity USING INDEX entity_evaluate_at", "ORDER BY evaluate_at LIMIT 1", "the first row"),
    ("SCAN s", "FROM sink s CROSS JOIN", "a handful of sinks"),
    ("SCAN s", "LEFT JOIN sink s", "a handful of sinks"),
    ("SCAN sink", "FROM sink", "a handful of sinks"),
    ("SCAN n", "membership_new n", "two thousand at most"),
    ("SCAN membership_new", "FROM membership_new", "two thousand at most"),
    ("SCAN stale", "FROM stale CROSS JOIN entity ON entity.key = stale.user LIMIT", "no more than the limit"),
    ("SCAN stale", "SELECT count(*) FROM stale", "keys only, for people"),
    ("SCAN event", "FROM event ORDER BY seq DESC LIMIT 1", "the last row"),
    ("SCAN event USING COVERING INDEX event_unreadable", "status = 2", "unreadable messages only"),
    ("SCAN activity", "FROM activity ORDER BY seq LIMIT", "no more than the limit"),
    ("SCAN (subquery-", "FROM activity ORDER BY seq LIMIT", "no more than the limit"),
    ("SCAN hold USING INDEX hold_unfinished", "FROM hold INDEXED BY hold_unfinished", "a few for each sink"),
    (
        "SCAN hold USING INDEX hold_unfinished",
        "UPDATE hold INDEXED BY hold_unfinished",
        "a few for each sink",
    ),
    (
        "SCAN hold",
        "SELECT id FROM hold WHERE closed_at < ?1 LIMIT",
        "one for each wave, while activity is kept",
    ),
    ("SCAN h", "FROM hold h", "no more than the limit, or one for each wave"),
    ("SCAN connection", "SELECT id, state FROM connection", "one a customer, for people"),
];

/// What is done once, when a sink is new.
const ONCE: &str = "FROM entity e LEFT JOIN applied a ON a.sink = ?1 AND a.entity = e.key";

/// Does everything a store can do, at least once.
async fn exercise(store: &Arc<SqliteStore>) {
    let running = Running::on(Arc::clone(store) as Arc<dyn Store>).await;
    let a = sink("a");
    let group = || Fact::GroupNamed { group: GroupId::new("g1"), name: None, organization: None };
    let member = |member| Fact::Member { group: GroupId::new("g1"), user: UserId::new("u1"), member };
    running.send(event(1, "e1", vec![profile("u1", "ann"), group(), member(true)])).await;
    running.send(event(1, "e2", vec![profile("u2", "bob"), profile("u3", "eve")])).await;
    running.send(event(2, "e3", vec![member(false)])).await;
    let unreadable = Message {
        reading: Reading::Unreadable { id: EventId::new("e9"), kind: None, reason: "not an object".into() },
        ..message(event(1, "e9", vec![]))
    };
    running.intake.submit(unreadable).await.unwrap();
    for (index, due) in store.due(&a, clock(), 10).await.unwrap().into_iter().enumerate() {
        let resolution = match index {
            0 => Resolution::Retry { reason: "busy".into(), due: later(30), remote: None },
            1 => Resolution::Dead { reason: "no".into(), remote: None },
            _ => Resolution::Applied {
                document: due.change.desired,
                remote: None,
                action: Action::Created,
                again: None,
            },
        };
        let (entity, generation) = (due.change.entity, due.change.generation);
        let settlement = Settlement { entity, generation, attempts: 1, resolution };
        store.settle(&a, vec![settlement], clock()).await.unwrap();
    }
    store.due(&a, later(60), 10).await.unwrap();
    store.next_due(&a).await.unwrap();
    store.next_due(&sink("b")).await.unwrap();
    for state in [None, Some(QueueState::Dead), Some(QueueState::Waiting)] {
        for id in [None, Some("u2".to_owned())] {
            let filter = QueueFilter { state, id, ..QueueFilter::default() };
            store.queue(&filter, 100).await.unwrap();
            store.retry(&filter).await.unwrap();
        }
    }
    withhold(store).await;
    store.people(None, 10).await.unwrap();
    store.groups(None, 10).await.unwrap();
    store.rules_versions(10).await.unwrap();
    store.rules_version(Some(1)).await.unwrap();
    store.use_rules(new_rules("default: other")).await.unwrap();
    store.stale(clock(), 10).await.unwrap();
    store.next_evaluation().await.unwrap();
    store.last_signed().await.unwrap();
    store.note_time(later(3600)).await.unwrap();
    store.note_time(clock()).await.unwrap();
    store.users("u1").await.unwrap();
    store.users("ann").await.unwrap();
    store.overview().await.unwrap();
    let of_u1 = || Some("u1".to_owned());
    for filter in [
        EventFilter::default(),
        EventFilter::unreadable(Some("test".into())),
        EventFilter { id: Some("e1".into()), ..EventFilter::default() },
        EventFilter { entity: of_u1(), kind: Some("test".into()), ..EventFilter::default() },
    ] {
        store.events(&filter, None, 10).await.unwrap();
    }
    for entity in [None, of_u1(), Some("g1".into())] {
        let filter = ActivityFilter { entity, sink: Some("a".into()), ..ActivityFilter::default() };
        assert!(
            !store.activity(&filter, None, 10).await.unwrap().items.is_empty() || filter.entity.is_some()
        );
    }
    let named = EntityFilter { text: Some("AN".into()), ..EntityFilter::default() };
    assert_eq!(store.find_users(&named, None, 10).await.unwrap().items.len(), 1);
    store.find_groups(&EntityFilter::default(), None, 10).await.unwrap();
    store.members(&GroupId::new("g1"), None, 10).await.unwrap();
    store.group(&GroupId::new("g1")).await.unwrap();
    store.user(&UserId::new("u1")).await.unwrap();
    store.can_write().await.unwrap();
    store.event(&EventId::new("e1"), None).await.unwrap();
    assert!(!store.consequences(&EventId::new("e2"), vec![user("u2")], 10).await.unwrap().is_empty());
    store.forget_unreadable(&EventId::new("e9"), "test").await.unwrap();
    store.drop_items(&QueueFilter::default(), clock()).await.unwrap();
    running.send(event(3, "e4", vec![Fact::UserGone { user: UserId::new("u1") }])).await;
    running.send(event(3, "e5", vec![Fact::GroupGone { group: GroupId::new("g1") }])).await;
    running.stop().await;
    store.drop_items(&QueueFilter::default(), clock()).await.unwrap();
    let cutoffs = Cutoffs { journal: later(1), activity: later(1), tombstones: later(1) };
    while store.prune(cutoffs).await.unwrap() > 0 {}
}

/// All that a safeguard does, and a person with it.
async fn withhold(store: &SqliteStore) {
    let a = sink("a");
    let pause = Pause { since: clock(), reason: None, by: None };
    store.pause(&a, Some(pause)).await.unwrap();
    store.pauses().await.unwrap();
    let withdrawn = Withdrawn {
        entity: user("u2"),
        withdrawal: Withdrawal::Removal,
        organization: Some(rolecall_sink_api::OrganizationId::new("o1")),
    };
    store.withdrawn_lately(&a, vec![withdrawn.clone()], later(-60)).await.unwrap();
    for decision in [Decision::Approved, Decision::Rejected] {
        let held = store.due(&a, later(60), 10).await.unwrap().into_iter().map(|due| Held {
            entity: due.change.entity,
            generation: due.change.generation,
            withdrawal: Withdrawal::Removal,
            because: HeldBecause::Over(Reached {
                organization: None,
                allowed: 0,
                of_users: 2,
                within: std::time::Duration::from_secs(60),
            }),
        });
        let guarded = Guarded {
            passing: vec![withdrawn.clone()],
            released: vec![(user("u3"), 1)],
            held: held.collect(),
            since: later(-60),
        };
        let opened = store.guard(&a, guarded, clock()).await.unwrap();
        for state in [None, Some(QueueState::Held)] {
            for hold in [None, Some(opened[0].id)] {
                store.queue(&QueueFilter { state, hold, ..QueueFilter::default() }, 10).await.unwrap();
            }
        }
        for id in [None, Some(opened[0].id)] {
            let filter = HoldFilter { sink: Some(a.clone()), id, open: true, before: None };
            store.holds(&filter, 10).await.unwrap();
        }
        store.holds(&HoldFilter::default(), 10).await.unwrap();
        store.overview().await.unwrap();
        store.decide(opened[0].id, decision, None, clock()).await.unwrap();
    }
    store.configure(&[a, sink("b")], clock()).await.unwrap();
}

#[tokio::test]
async fn no_statement_reads_a_large_table_from_end_to_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = Arc::new(SqliteStore::open(&path).unwrap());
    let statements = store.statements().await;
    exercise(&store).await;
    let statements: BTreeSet<String> = statements.lock().unwrap().drain(..).collect();
    let seen = |part: &str| assert!(statements.iter().any(|sql| sql.contains(part)), "{part} was not run");
    [
        "DELETE FROM entity",
        "queue_backoff",
        "queue_fresh",
        "queue_dead",
        "queue_held",
        "queue_hold",
        "withdrawn_from",
    ]
    .into_iter()
    .chain(["DELETE FROM membership "])
    .for_each(seen);

    let connection = rusqlite::Connection::open(&path).unwrap();
    let mut long = Vec::new();
    for sql in statements.iter().filter(|sql| !sql.contains(ONCE)) {
        let words = ["SELECT", "INSERT", "UPDATE", "DELETE"];
        if !words.iter().any(|word| sql.trim_start().starts_with(word)) {
            continue;
        }
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let mut steps = plan.raw_query();
        while let Some(step) = steps.next().unwrap() {
            let step: String = step.get("detail").unwrap();
            let may = MAY_BE_SCANNED.iter().any(|(scan, of, _)| step.starts_with(scan) && sql.contains(of));
            let sorts = step.contains("TEMP B-TREE") && sql.contains("INDEXED BY");
            if (step.starts_with("SCAN") && !may) || sorts || step.contains("AUTOMATIC") {
                long.push(format!("{step}: {sql}"));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n\n"));
}
