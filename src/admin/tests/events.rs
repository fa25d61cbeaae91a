//! The journal: listed, shown, read again.

use std::time::Duration;

use bytes::Bytes;
use rolecall_sink_api::EntityKind;

use super::{Daemon, time, user};
use crate::admin::ClientError;
use crate::admin::api::{EventBody, EventQuery, EventsQuery, ReplayPage, ReplayRequest, UnreadableEvents};
use crate::directory::EventId;
use crate::receive::{Replayed, ReplayedEvent};
use crate::source::Reading;
use crate::store::{EventStatus, Intake, Message, Receipt};

/// A message as it comes, which an older version could not read.
const ADA: &str = r#"{"id":"evt_7","type":"organization.directory.user_created","occurred_at":"2026-11-24T08:00:00Z","data":{"id":"diruser_ada","email":"ada@example.com"}}"#;
/// One that no version can.
const NONSENSE: &[u8] = b"\xff\x00 nonsense";

impl Daemon {
    /// Takes in a message that nobody could read when it came, journalled under `id`.
    pub(crate) async fn unreadable(&self, id: &str, source: &str, body: &'static [u8]) {
        let message = Message {
            source: source.into(),
            message_id: format!("msg_{id}"),
            signed_at: time("2026-11-24T08:00:05Z"),
            received_at: time("2026-11-24T08:00:06Z"),
            reading: Reading::Unreadable { id: EventId::new(id), kind: None, reason: "no idea".into() },
            body: Bytes::from_static(body),
        };
        assert_eq!(self.intake.submit(message).await, Ok(Receipt::Unreadable("no idea".into())));
    }

    async fn listed(&self, query: EventsQuery) -> Vec<(String, EventStatus)> {
        let page = self.client.events(&query).await.unwrap();
        page.items.into_iter().map(|event| (event.id, event.status)).collect()
    }

    async fn replay_all(&self) -> ReplayPage {
        self.client.replay(&ReplayRequest::Unreadable(UnreadableEvents::default())).await.unwrap()
    }
}

fn unreadable() -> EventsQuery {
    EventsQuery { status: Some(EventStatus::Unreadable), ..EventsQuery::default() }
}

fn named(event: &str) -> ReplayRequest {
    ReplayRequest::Event(id(event))
}

fn id(event: &str) -> EventQuery {
    EventQuery { id: event.into(), source: None }
}

fn became(event: &str, replayed: Replayed) -> ReplayedEvent {
    ReplayedEvent { id: event.into(), source: "scalekit".into(), replayed }
}

#[tokio::test]
async fn the_journal_is_listed_newest_first_and_narrowed_to_the_unreadable_of_a_source() {
    let daemon = Daemon::start().await;
    daemon.event("evt_1", "2026-11-24T08:00:00Z", "user_created", vec![user("ada", "org_1")]).await;
    daemon.unreadable("evt_2", "scalekit", b"{}").await;
    daemon.unreadable("evt_3", "other", b"{}").await;

    let all = daemon.listed(EventsQuery::default()).await;
    let ids: Vec<&str> = all.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["evt_3", "evt_2", "evt_1"]);
    assert_eq!(all[2].1, EventStatus::Merged);
    let of_other = EventsQuery { source: Some("other".into()), ..unreadable() };
    assert_eq!(daemon.listed(of_other).await, [("evt_3".into(), EventStatus::Unreadable)]);

    let mut query = EventsQuery { limit: Some(1), ..unreadable() };
    let first = daemon.client.events(&query).await.unwrap();
    assert_eq!((first.items.len(), first.items[0].id.as_str()), (1, "evt_3"));
    assert_eq!(first.items[0].reason.as_deref(), Some("no idea"));
    query.after = first.next;
    assert!(query.after.is_some());
    let second = daemon.client.events(&query).await.unwrap();
    assert_eq!((second.items[0].id.as_str(), second.next), ("evt_2", None));
}

#[tokio::test]
async fn an_event_is_shown_with_its_body_and_what_became_of_it() {
    let daemon = Daemon::start().await;
    daemon.unreadable("evt_7", "scalekit", ADA.as_bytes()).await;
    daemon.unreadable("msg_1", "scalekit", NONSENSE).await;

    let ada = daemon.client.event(&id("evt_7")).await.unwrap();
    assert_eq!((ada.status, ada.reason.as_deref()), (EventStatus::Unreadable, Some("no idea")));
    assert_eq!((ada.body, ada.consequences), (EventBody::Text(ADA.into()), vec![]));
    let nonsense = daemon.client.event(&id("msg_1")).await.unwrap();
    assert_eq!(nonsense.body, EventBody::Base64("/wAgbm9uc2Vuc2U=".into()));

    daemon.client.replay(&named("evt_7")).await.unwrap();
    let ada = daemon.client.event(&id("evt_7")).await.unwrap();
    assert_eq!((ada.status, ada.at), (EventStatus::Merged, Some(time("2026-11-24T08:00:00Z"))));
    let [consequence] = ada.consequences.as_slice() else { panic!("{:?}", ada.consequences) };
    assert_eq!(consequence.entity.kind(), EntityKind::User);
    assert_eq!((consequence.entity.id(), consequence.what.as_str()), ("diruser_ada", "created"));
}

#[tokio::test]
async fn a_replayed_message_is_merged_as_it_would_have_been_when_it_came() {
    let daemon = Daemon::start().await;
    daemon.unreadable("evt_7", "scalekit", ADA.as_bytes()).await;
    daemon.unreadable("msg_1", "scalekit", NONSENSE).await;
    daemon.unreadable("evt_9", "gone", ADA.as_bytes()).await;

    let page = daemon.replay_all().await;

    let unreadable_because = |reason: &str| Replayed::Unreadable { reason: reason.into() };
    assert_eq!(
        page.events,
        [
            ReplayedEvent {
                source: "gone".into(),
                ..became("evt_9", unreadable_because("no source is named gone any more (sources)"))
            },
            became("msg_1", unreadable_because("not JSON: the body is not UTF-8")),
            became("evt_7", Replayed::Merged),
        ]
    );
    assert_eq!(page.next, None);
    assert_eq!(daemon.client.users("diruser_ada").await.unwrap().users.len(), 1);
    assert_eq!(daemon.client.status().await.unwrap().store.unreadable_events, 2);
    assert_eq!(daemon.client.event(&id("evt_7")).await.unwrap().received_at, time("2026-11-24T08:00:06Z"));
    let again = daemon.client.replay(&named("evt_7")).await.unwrap();
    assert_eq!(again.events, [became("evt_7", Replayed::Known)]);
}

#[tokio::test]
async fn a_message_whose_id_can_be_read_at_last_does_not_stay_behind_under_its_old_one() {
    let daemon = Daemon::start().await;
    daemon.unreadable("msg_7", "scalekit", ADA.as_bytes()).await;

    let replayed = daemon.client.replay(&named("msg_7")).await.unwrap();

    assert_eq!(replayed.events, [became("msg_7", Replayed::Merged)]);
    assert_eq!(daemon.listed(EventsQuery::default()).await, [("evt_7".into(), EventStatus::Merged)]);
}

#[tokio::test]
async fn an_id_that_several_sources_sent_is_asked_for_by_source() {
    let daemon = Daemon::start().await;
    daemon.unreadable("evt_7", "scalekit", ADA.as_bytes()).await;
    daemon.unreadable("evt_7", "other", NONSENSE).await;

    let error = daemon.client.event(&id("evt_7")).await.unwrap_err().to_string();
    assert!(error.contains("several sources") && error.contains("other, scalekit"), "{error}");
    let query = EventQuery { source: Some("scalekit".into()), ..id("evt_7") };
    assert_eq!(daemon.client.event(&query).await.unwrap().body, EventBody::Text(ADA.into()));
    let page = daemon.client.replay(&ReplayRequest::Event(query)).await.unwrap();
    assert_eq!(page.events, [became("evt_7", Replayed::Merged)]);
    assert_eq!(daemon.listed(unreadable()).await, [("evt_7".into(), EventStatus::Unreadable)]);
    assert_eq!(
        daemon
            .client
            .event(&EventQuery { source: Some("other".into()), ..id("evt_7") })
            .await
            .unwrap()
            .source,
        "other"
    );
}

#[tokio::test]
async fn many_messages_are_read_again_a_few_at_a_time() {
    let daemon = Daemon::start().await;
    for n in 0..40 {
        daemon.unreadable(&format!("msg_{n}"), "scalekit", NONSENSE).await;
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut next = UnreadableEvents::default();
    loop {
        let page = daemon.client.replay(&ReplayRequest::Unreadable(next)).await.unwrap();
        assert!(page.events.len() <= 16, "{}", page.events.len());
        seen.extend(page.events.into_iter().map(|event| event.id));
        if page.next.is_none() {
            break;
        }
        next = UnreadableEvents { after: page.next, ..UnreadableEvents::default() };
    }
    assert_eq!(seen.len(), 40);
}

#[tokio::test]
async fn an_event_that_the_journal_does_not_hold_is_said_to_be_missing() {
    let daemon = Daemon::start().await;
    for error in [
        daemon.client.event(&id("evt_0")).await.unwrap_err(),
        daemon.client.replay(&named("evt_0")).await.unwrap_err(),
    ] {
        assert!(matches!(error, ClientError::Refused(_)), "{error:?}");
        assert!(error.to_string().contains("\"evt_0\""), "{error}");
    }
}

#[tokio::test]
async fn what_an_older_version_could_not_read_is_read_at_the_start() {
    let daemon = Daemon::start().await;
    daemon.unreadable("evt_7", "scalekit", ADA.as_bytes()).await;
    for n in 0..20 {
        daemon.unreadable(&format!("msg_{n}"), "scalekit", NONSENSE).await;
    }

    let run = tokio::spawn(daemon.replay.clone().run(daemon.stop.clone()));
    let left = async || daemon.client.status().await.unwrap().store.unreadable_events;
    in_time(async {
        while left().await > 20 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!run.is_finished(), "it ended before it was asked to");

    assert_eq!(daemon.client.status().await.unwrap().store.unreadable_events, 20);
    assert_eq!(daemon.client.users("diruser_ada").await.unwrap().users.len(), 1);
    daemon.stop.cancel();
    in_time(run).await.unwrap();
}

#[tokio::test]
async fn a_replay_does_not_keep_a_daemon_that_stops_from_stopping() {
    let mut daemon = Daemon::start().await;
    daemon.unreadable("evt_7", "scalekit", ADA.as_bytes()).await;
    // The committer ends with the last intake, whoever may want to read something again.
    let (other, _inbox) = Intake::new(1);
    drop(std::mem::replace(&mut daemon.intake, other));
    in_time(&mut daemon.committer).await.unwrap();

    let error = daemon.client.replay(&named("evt_7")).await.unwrap_err().to_string();
    assert!(error.contains("the daemon is stopping"), "{error}");
    let starting = tokio::spawn(daemon.replay.clone().run(daemon.stop.clone()));
    daemon.stop.cancel();
    in_time(starting).await.unwrap();
}

async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it did not happen in time")
}
