//! `GET /v1/status` and `GET /v1/health`.

use rolecall_sink_api::{OrganizationId, SinkName};

use super::{Daemon, dead, now, time};
use crate::directory::{DirectoryId, Fact};

#[tokio::test]
async fn the_status_has_the_numbers_of_everything() {
    let daemon = Daemon::with_ada_and_grace().await;
    daemon.settle("crm", "diruser_ada", dead("422 no")).await;
    let connection = Fact::Directory {
        directory: DirectoryId("dir_1".into()),
        organization: Some(OrganizationId::new("org_1")),
        provider: Some("OKTA".into()),
        enabled: true,
    };
    daemon.event("evt_5", "2026-11-24T08:30:00Z", "directory_enabled", vec![connection]).await;

    let status = daemon.client.status().await.unwrap();

    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    assert_eq!((status.started_at, status.now), (time("2026-11-24T07:30:00Z"), now()));
    let answers: Vec<&str> = status.received.keys().map(String::as_str).collect();
    assert!(answers.contains(&"committed") && answers.contains(&"refused"), "{answers:?}");
    assert_eq!(status.last_event, Some(time("2026-11-24T08:30:00Z")));
    assert_eq!((status.store.active_users, status.store.inactive_users, status.store.groups), (2, 0, 1));
    assert!(status.store.bytes > 0, "{:?}", status.store);
    let [connection] = status.connections.as_slice() else { panic!("{:?}", status.connections) };
    assert_eq!((connection.id.as_str(), connection.enabled), ("dir_1", true));
    assert_eq!(connection.since, time("2026-11-24T08:30:00Z"));
    let crm = &status.sinks[&SinkName::new("crm")];
    assert_eq!((crm.waiting, crm.dead_letters, crm.oldest), (2, 1, Some(now())));
    let ldap = &status.sinks[&SinkName::new("ldap")];
    assert_eq!((ldap.waiting, ldap.dead_letters), (3, 0));
    assert!(ldap.delivery.is_some(), "{ldap:?}");
}

#[tokio::test]
async fn a_healthy_daemon_says_so() {
    let daemon = Daemon::start().await;
    assert!(daemon.client.health().await.unwrap().alive);
}
