//! Queue items in bulk, and by id.

use super::*;

#[tokio::test]
async fn more_items_than_a_portion_are_all_handled() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&directory.path().join("store.db")).unwrap());
    let running = Running::on(Arc::clone(&store) as Arc<dyn Store>).await;
    let everybody: Vec<Fact> = (0..1200).map(|n| profile(&format!("u{n}"), "ann")).collect();
    running.send(event(1, "e1", everybody)).await;
    let of_a = QueueFilter { sink: Some("a".into()), ..QueueFilter::default() };
    let generation = store.queue(&of_a, 100).await.unwrap()[0].generation;
    let dead = (0..1200).map(|n| Settlement {
        entity: user(&format!("u{n}")),
        generation,
        attempts: 3,
        resolution: Resolution::Dead { reason: "no".into(), remote: None },
    });
    store.settle(&sink("a"), dead.collect(), clock()).await.unwrap();
    let letters = QueueFilter { state: Some(QueueState::Dead), ..QueueFilter::default() };
    assert_eq!(store.retry(&letters).await.unwrap(), 1200);
    assert!(store.queue(&letters, 100).await.unwrap().is_empty());
    assert_eq!(store.drop_items(&QueueFilter::default(), clock()).await.unwrap(), 2400);
    assert!(store.queue(&QueueFilter::default(), 100).await.unwrap().is_empty());
    let sinks = store.overview().await.unwrap().sinks;
    assert!(sinks.values().all(|sink| (sink.waiting, sink.dead) == (0, 0)));
}

#[tokio::test]
async fn a_message_need_not_wait_for_a_whole_queue_to_be_handled() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&directory.path().join("store.db")).unwrap());
    let running = Running::on(Arc::clone(&store) as Arc<dyn Store>).await;
    let everybody: Vec<Fact> = (0..2500).map(|n| profile(&format!("u{n}"), "ann")).collect();
    running.send(event(1, "e1", everybody)).await;
    let statements = store.statements().await;
    assert_eq!(store.retry(&QueueFilter::default()).await.unwrap(), 5000);
    let transactions = statements.lock().unwrap().iter().filter(|sql| sql.starts_with("BEGIN IMM")).count();
    assert_eq!(transactions, 5, "a thousand items each");
}

#[tokio::test]
async fn items_are_listed_page_by_page_over_all_sinks() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let everybody: Vec<Fact> = (0..5).map(|n| profile(&format!("u{n}"), "ann")).collect();
    running.send(event(1, "e1", everybody)).await;
    let mut filter = QueueFilter::default();
    let mut pages = Vec::new();
    loop {
        let page = running.store.queue(&filter, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.after = Some(last.cursor);
        pages.push(page);
    }
    let sizes: Vec<usize> = pages.iter().map(Vec::len).collect();
    assert_eq!(sizes, [3, 3, 3, 1]);
    let items: std::collections::BTreeSet<(SinkName, Entity)> =
        pages.into_iter().flatten().map(|item| (item.sink, item.entity)).collect();
    assert_eq!(items.len(), 10);
}

#[tokio::test]
async fn an_id_means_its_user_or_group_and_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let group = Fact::GroupNamed { group: GroupId::new("x"), name: None, organization: None };
    running.send(event(1, "e1", vec![profile("x", "ann"), profile("y", "bob"), group])).await;
    let of_x = QueueFilter { id: Some("x".into()), ..QueueFilter::default() };
    assert_eq!(running.store.queue(&of_x, 100).await.unwrap().len(), 4);
    assert_eq!(running.store.drop_items(&of_x, clock()).await.unwrap(), 4);
    let left = running.store.queue(&QueueFilter::default(), 100).await.unwrap();
    assert!(left.iter().all(|item| item.entity == user("y")));
    assert_eq!(left.len(), 2);
}

#[tokio::test]
async fn a_disk_that_failed_ends_the_committer_whoever_found_out() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&directory.path().join("store.db")).unwrap());
    let running = Running::on(Arc::clone(&store) as Arc<dyn Store>).await;
    running.send(event(1, "e1", vec![profile("ann", "ann")])).await;
    store.fail_disk();
    let refused = running.intake.submit(message(event(2, "e2", vec![profile("ann", "anna")]))).await;
    let reason = refused.unwrap_err().to_string();
    assert!(reason.contains("the disk did not take"), "{reason}");
    tokio::time::timeout(std::time::Duration::from_secs(20), running.committer)
        .await
        .expect("the committer ends, so that the daemon starts anew")
        .unwrap();
}
