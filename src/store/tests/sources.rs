//! Events of several sources.

use super::*;

#[tokio::test]
async fn the_same_id_from_two_sources_is_two_events() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&directory.path().join("store.db")).await;
    let from = |source: &str, user: &str| Message {
        source: source.into(),
        ..message(event(1, "e1", vec![profile(user, "ann")]))
    };
    let (first, second) =
        tokio::join!(running.intake.submit(from("one", "u1")), running.intake.submit(from("two", "u2")));
    assert_eq!((first.unwrap(), second.unwrap()), (Receipt::Committed, Receipt::Committed));
    assert_eq!(running.intake.submit(from("two", "u2")).await.unwrap(), Receipt::Duplicate);
    assert_eq!(running.intake.submit(from("three", "u3")).await.unwrap(), Receipt::Committed);
    assert_eq!(running.store.overview().await.unwrap().active_users, 3);
    let ann = &running.store.users("u2").await.unwrap()[0];
    assert!(ann.events.contains_key("e1"));
}
