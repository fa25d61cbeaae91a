//! Queues: listed page by page, retried, dropped.

use std::sync::Arc;
use std::time::Duration;

use rolecall_sink_api::{Entity, SinkName, UserId};
use tokio::sync::mpsc;

use super::{Daemon, Down, Refusing, dead, now, time, user};
use crate::admin::ClientError;
use crate::admin::api::{QueueQuery, Selection};
use crate::store::{QueueItem, QueueState};

async fn listed(daemon: &Daemon, query: QueueQuery) -> Vec<QueueItem> {
    daemon.client.queue(&query).await.unwrap().items
}

fn dead_letters() -> QueueQuery {
    QueueQuery { state: Some(QueueState::Dead), ..QueueQuery::default() }
}

fn named(items: &[QueueItem]) -> Vec<(&str, &str)> {
    items.iter().map(|item| (item.sink.as_str(), item.entity.id())).collect()
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end_and_repeat_nothing() {
    let daemon = Daemon::with_ada_and_grace().await;
    let mut query = QueueQuery { limit: Some(2), ..QueueQuery::default() };
    let mut pages = Vec::new();
    loop {
        let page = daemon.client.queue(&query).await.unwrap();
        pages.push(page.items);
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }

    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2]);
    let mut all = pages.concat();
    all.sort_by(|a, b| (&a.sink, &a.entity).cmp(&(&b.sink, &b.entity)));
    let entities = ["diruser_ada", "diruser_grace", "dirgroup_eng"];
    let expected: Vec<_> = ["crm", "ldap"].iter().flat_map(|sink| entities.map(|id| (*sink, id))).collect();
    assert_eq!(named(&all), expected);
}

#[tokio::test]
async fn a_listing_is_narrowed_by_sink_id_and_state() {
    let daemon = Daemon::with_ada_and_grace().await;
    daemon.settle("ldap", "diruser_ada", dead("object class violation")).await;

    let of_sink = QueueQuery { sink: Some("crm".into()), ..QueueQuery::default() };
    assert_eq!(
        named(&listed(&daemon, of_sink).await),
        [("crm", "dirgroup_eng"), ("crm", "diruser_ada"), ("crm", "diruser_grace")]
    );
    let of_id = QueueQuery { id: Some("diruser_ada".into()), ..QueueQuery::default() };
    assert_eq!(named(&listed(&daemon, of_id).await), [("crm", "diruser_ada"), ("ldap", "diruser_ada")]);
    let dead = listed(&daemon, dead_letters()).await;
    assert_eq!(named(&dead), [("ldap", "diruser_ada")]);
    assert_eq!((dead[0].attempts, dead[0].error.as_deref()), (1, Some("object class violation")));
}

#[tokio::test]
async fn a_retried_dead_letter_is_due_at_once_with_its_attempts_forgotten() {
    let daemon = Daemon::with_ada_and_grace().await;
    daemon.settle("ldap", "diruser_ada", dead("no")).await;
    daemon.settle("crm", "diruser_ada", dead("no")).await;

    let selection =
        Selection { sink: Some("ldap".into()), state: Some(QueueState::Dead), ..Selection::default() };
    assert_eq!(daemon.client.retry(&selection).await.unwrap().items, 1);

    assert_eq!(named(&listed(&daemon, dead_letters()).await), [("crm", "diruser_ada")]);
    let due = daemon.store.due(&SinkName::new("ldap"), now(), 10).await.unwrap();
    let ada = due.iter().find(|due| due.change.entity.id() == "diruser_ada").unwrap();
    assert_eq!(ada.change.attempt, 1);
}

#[tokio::test]
async fn a_retried_dead_letter_is_handed_to_its_sink_without_waiting_for_anything() {
    let (told, mut attempts) = mpsc::unbounded_channel();
    let daemon = Daemon::with_sinks(Arc::new(Refusing(told)), Arc::new(Down)).await;
    let ada = Some((Entity::User(UserId::new("diruser_ada")), 1));
    daemon.event("evt_1", "2026-11-24T08:00:00Z", "user_created", vec![user("ada", "org_1")]).await;
    assert_eq!(attempts.recv().await, ada);
    while listed(&daemon, dead_letters()).await.is_empty() {
        tokio::task::yield_now().await;
    }

    let dead = Selection { state: Some(QueueState::Dead), ..Selection::default() };
    assert_eq!(daemon.client.retry(&dead).await.unwrap().items, 1);

    let again = tokio::time::timeout(Duration::from_secs(10), attempts.recv()).await;
    assert_eq!(again.expect("nothing was handed to the sink"), ada);
}

#[tokio::test]
async fn a_dropped_item_stays_away_until_its_user_changes() {
    let daemon = Daemon::with_ada_and_grace().await;
    let ada_in_ldap =
        Selection { sink: Some("ldap".into()), id: Some("diruser_ada".into()), ..Selection::default() };
    let in_ldap =
        QueueQuery { sink: Some("ldap".into()), id: Some("diruser_ada".into()), ..QueueQuery::default() };

    assert_eq!(daemon.client.drop_items(&ada_in_ldap).await.unwrap().items, 1);
    assert_eq!(named(&listed(&daemon, in_ldap.clone()).await), []);
    let explained = &daemon.client.users("diruser_ada").await.unwrap().users[0];
    assert_eq!(explained.activity[0].what, "dropped");

    daemon.event("evt_9", "2026-11-24T09:00:00Z", "user_updated", vec![user("ada", "org_9")]).await;
    let again = listed(&daemon, in_ldap).await;
    assert_eq!(named(&again), [("ldap", "diruser_ada")]);
    assert_eq!(again[0].event.as_deref(), Some("evt_9"));
    assert_eq!(again[0].since, time("2026-11-24T10:00:00Z"));
}

#[tokio::test]
async fn everything_is_changed_only_when_that_is_said() {
    let daemon = Daemon::with_ada_and_grace().await;

    let nothing_said = daemon.client.drop_items(&Selection::default()).await.unwrap_err();
    assert!(nothing_said.to_string().contains("say which items"), "{nothing_said}");
    let both = Selection { all: true, sink: Some("crm".into()), ..Selection::default() };
    let both = daemon.client.drop_items(&both).await.unwrap_err();
    assert!(both.to_string().contains("every sink"), "{both}");
    assert_eq!(listed(&daemon, QueueQuery::default()).await.len(), 6);

    let all = Selection { all: true, ..Selection::default() };
    assert_eq!(daemon.client.drop_items(&all).await.unwrap().items, 6);
    assert_eq!(named(&listed(&daemon, QueueQuery::default()).await), []);
}

#[tokio::test]
async fn a_sink_that_does_not_exist_is_no_empty_queue() {
    let daemon = Daemon::start().await;
    let query = QueueQuery { sink: Some("ladp".into()), ..QueueQuery::default() };
    let error = daemon.client.queue(&query).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused(_)), "{error:?}");
    assert_eq!(error.to_string(), "no sink is named \"ladp\"; there are: crm, ldap");
}
