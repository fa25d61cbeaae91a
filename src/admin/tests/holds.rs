//! What is held, decided through the API; and sinks that are paused, resumed and probed.

use std::time::Duration;

use rolecall_sink_api::{Action, SinkName, UserId};

use super::{Daemon, now, time};
use crate::admin::ClientError;
use crate::admin::api::{HoldQuery, HoldsQuery, QueueQuery, Selection};
use crate::deliver::Probed;
use crate::directory::Fact;
use crate::store::{
    Decision, Guarded, Held, HeldBecause, Hold, HoldId, QueueState, Reached, Resolution, Withdrawal,
};

async fn held() -> (Daemon, Hold) {
    let daemon = Daemon::with_ada_and_grace().await;
    let hold = held_in(&daemon).await;
    (daemon, hold)
}

/// Ada and Grace are in the CRM, are gone, and are held there.
pub(crate) async fn held_in(daemon: &Daemon) -> Hold {
    let crm = SinkName::new("crm");
    for user in ["diruser_ada", "diruser_grace"] {
        let due = daemon.store.due(&crm, now(), 100).await.unwrap();
        let document = due.into_iter().find(|due| due.change.entity.id() == user).unwrap().change.desired;
        let applied = Resolution::Applied { document, remote: None, action: Action::Created, again: None };
        daemon.settle("crm", user, applied).await;
    }
    let gone = ["diruser_ada", "diruser_grace"].map(|user| Fact::UserGone { user: UserId::new(user) });
    daemon.event("evt_8", "2026-11-24T09:00:00Z", "user_deleted", gone.into()).await;
    let due = daemon.store.due(&crm, now(), 100).await.unwrap().into_iter();
    let held = due.filter(|due| due.change.desired.is_none()).map(|due| Held {
        entity: due.change.entity,
        generation: due.change.generation,
        withdrawal: Withdrawal::Removal,
        because: HeldBecause::Over(Reached {
            organization: None,
            allowed: 0,
            of_users: 2,
            within: Duration::from_secs(3600),
        }),
    });
    let guarded = Guarded { held: held.collect(), since: now(), ..Guarded::default() };
    daemon.store.guard(&crm, guarded, now()).await.unwrap().remove(0)
}

fn all() -> HoldsQuery {
    HoldsQuery { all: true, ..HoldsQuery::default() }
}

#[tokio::test]
async fn a_hold_is_listed_and_shown_page_by_page() {
    let (daemon, hold) = held().await;
    assert_eq!(daemon.client.holds(&HoldsQuery::default()).await.unwrap().items, std::slice::from_ref(&hold));
    let of_ldap = HoldsQuery { sink: Some("ldap".into()), ..HoldsQuery::default() };
    assert_eq!(daemon.client.holds(&of_ldap).await.unwrap().items, []);

    let mut query = HoldQuery { id: hold.id, limit: Some(1), after: None };
    let mut shown = Vec::new();
    loop {
        let detail = daemon.client.hold(&query).await.unwrap();
        assert_eq!(detail.hold, hold);
        shown.extend(detail.items.into_iter().map(|held| {
            let who = (held.item.entity.id().to_owned(), held.name, held.email);
            (who, held.item.hold, held.loses.map(|loss| loss.to_string()))
        }));
        match detail.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    let expected =
        [("ada", "account; roles engineer, member; group Engineering"), ("grace", "account; role member")];
    let expected = expected.map(|(name, loss)| {
        let who = (format!("diruser_{name}"), Some(name.to_owned()), Some("team@example.com".to_owned()));
        (who, Some(hold.id), Some(loss.to_owned()))
    });
    assert_eq!(shown, expected);

    let status = daemon.client.status().await.unwrap();
    let crm = &status.sinks[&SinkName::new("crm")];
    assert_eq!((crm.held, crm.held_since), (2, Some(hold.since)));
    let listed = QueueQuery { state: Some(QueueState::Held), ..QueueQuery::default() };
    assert_eq!(daemon.client.queue(&listed).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn who_approves_is_noted_and_nothing_is_left_to_decide() {
    let (daemon, hold) = held().await;
    let decided = daemon.client.approve_hold(hold.id).await.unwrap();
    assert_eq!(decided.changes, 2);
    let noted = decided.hold.decided.unwrap();
    assert_eq!((noted.decision, noted.at), (Decision::Approved, now()));
    let by = noted.by.unwrap();
    assert!(by.starts_with("socket, user "), "{by}");
    assert_eq!(daemon.client.holds(&HoldsQuery::default()).await.unwrap().items, []);
    assert_eq!(daemon.client.holds(&all()).await.unwrap().items.len(), 1);
    let ada = daemon.client.users("diruser_ada").await.unwrap().users.remove(0);
    let line = &ada.activity[0];
    assert_eq!((line.what.as_str(), line.detail.clone()), ("approved", Some(format!("hold 1, by {by}"))));

    let again = daemon.client.reject_hold(hold.id).await.unwrap_err().to_string();
    assert!(again.starts_with("hold 1 was approved at 2026-11-24T10:00:00Z by socket"), "{again}");
}

#[tokio::test]
async fn what_is_rejected_stays_as_it_is() {
    let (daemon, hold) = held().await;
    assert_eq!(daemon.client.reject_hold(hold.id).await.unwrap().changes, 2);
    let of_crm = QueueQuery { sink: Some("crm".into()), ..QueueQuery::default() };
    let left = daemon.client.queue(&of_crm).await.unwrap().items;
    assert_eq!(left.iter().map(|item| item.entity.id()).collect::<Vec<_>>(), ["dirgroup_eng"]);
}

#[tokio::test]
async fn what_is_held_is_not_retried_past_a_decision() {
    let (daemon, _) = held().await;
    let held = Selection { state: Some(QueueState::Held), ..Selection::default() };
    let refused = daemon.client.retry(&held).await.unwrap_err().to_string();
    assert!(refused.contains("rolecall holds approve"), "{refused}");
}

#[tokio::test]
async fn a_hold_that_is_not_there_is_missing() {
    let daemon = Daemon::start().await;
    let missing = daemon.client.approve_hold(HoldId(9)).await.unwrap_err();
    assert!(
        matches!(&missing, ClientError::Refused(why) if why.starts_with("there is no hold 9")),
        "{missing}"
    );
}

#[tokio::test]
async fn a_sink_is_paused_with_a_reason_and_resumed() {
    let daemon = Daemon::start().await;
    let paused = daemon.client.pause_sink("crm", Some("migration".into())).await.unwrap().paused.unwrap();
    assert_eq!((paused.since, paused.reason.as_deref()), (time("2026-11-24T10:00:00Z"), Some("migration")));
    let of_crm = async || {
        let status = daemon.client.status().await.unwrap();
        status.sinks[&SinkName::new("crm")].delivery.clone().unwrap().paused
    };
    assert_eq!(of_crm().await, Some(paused));
    assert_eq!(daemon.client.resume_sink("crm").await.unwrap().paused, None);
    assert_eq!(of_crm().await, None);

    let long = daemon.client.pause_sink("crm", Some("x".repeat(501))).await.unwrap_err().to_string();
    assert_eq!(long, "reason: at most 500 characters are kept");
    let nobody = daemon.client.pause_sink("crn", None).await.unwrap_err().to_string();
    assert_eq!(nobody, "no sink is named \"crn\"; there are: crm, ldap");
}

#[tokio::test]
async fn a_probe_says_what_the_sink_says() {
    let daemon = Daemon::start().await;
    assert!(matches!(daemon.client.probe_sink("ldap").await.unwrap(), Probed::Down { .. }));
}
