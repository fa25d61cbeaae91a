//! `GET /v1/users`: who somebody is, and why.

use rolecall_sink_api::{Action, RemoteId, RoleName, SinkName, UserId};

use super::{Daemon, dead, time};
use crate::admin::api::Explanation;
use crate::directory::Fact;
use crate::store::{Resolution, Status};

async fn explained(daemon: &Daemon, name: &str) -> Explanation {
    let mut users = daemon.client.users(name).await.unwrap().users;
    assert_eq!(users.len(), 1, "{users:?}");
    users.remove(0)
}

#[tokio::test]
async fn a_role_is_traced_to_its_rule_its_group_and_the_event_behind_it() {
    let daemon = Daemon::with_ada_and_grace().await;
    let ada = explained(&daemon, "diruser_ada").await;

    let [engineer, member] = ada.roles.as_slice() else { panic!("{:?}", ada.roles) };
    assert_eq!(engineer.role, RoleName::new("engineer"));
    let [reason] = engineer.reasons.as_slice() else { panic!("{engineer:?}") };
    assert_eq!((reason.rule.as_str(), reason.line), ("engineers", 2));
    let group = reason.group.as_ref().unwrap();
    assert_eq!((group.id.as_str(), group.name.as_str()), ("dirgroup_eng", "Engineering"));
    assert_eq!((group.because.event.as_str(), group.because.at), ("evt_4", time("2026-11-24T08:03:00Z")));
    assert_eq!(group.because.kind.as_deref(), Some("group_user_added"));

    assert_eq!(member.role, RoleName::new("member"));
    assert_eq!((member.reasons[0].rule.as_str(), &member.reasons[0].group), ("default", &None));
    assert_eq!(ada.evaluated_roles, [RoleName::new("engineer"), RoleName::new("member")]);
}

#[tokio::test]
async fn each_sink_says_what_it_confirmed_and_what_waits() {
    let daemon = Daemon::with_ada_and_grace().await;
    let applied = Resolution::Applied {
        document: None,
        remote: Some(RemoteId::new("uid=ada")),
        action: Action::Created,
        again: None,
    };
    daemon.settle("ldap", "diruser_ada", applied).await;
    daemon.settle("crm", "diruser_ada", dead("422 no such plan")).await;
    let ada = explained(&daemon, "ada").await;

    let ldap = &ada.sinks[&SinkName::new("ldap")];
    let confirmed = ldap.view.applied.as_ref().unwrap();
    assert_eq!((confirmed.generation, confirmed.at), (ada.generation, time("2026-11-24T09:00:00Z")));
    assert_eq!(confirmed.remote, Some(RemoteId::new("uid=ada")));
    assert!(ldap.view.queued.is_none(), "{ldap:?}");
    let crm = &ada.sinks[&SinkName::new("crm")];
    assert_eq!(crm.view.queued.as_ref().unwrap().error.as_deref(), Some("422 no such plan"));
    assert!(crm.view.applied.is_none(), "{crm:?}");
    assert!(crm.breaker.is_some(), "{crm:?}");
}

#[tokio::test]
async fn a_user_without_access_has_no_role_and_the_event_that_took_it_is_named() {
    let daemon = Daemon::with_ada_and_grace().await;
    let ada = UserId::new("diruser_ada");
    let inactive = vec![Fact::UserActive { user: ada.clone(), active: false }];
    daemon.event("evt_5", "2026-11-24T09:00:00Z", "user_updated", inactive).await;
    let suspended = explained(&daemon, "diruser_ada").await;
    assert_eq!((suspended.status, suspended.roles.len()), (Status::Inactive, 0));
    assert_eq!(suspended.status_because.unwrap().event, "evt_5");

    daemon.event("evt_6", "2026-11-24T09:30:00Z", "user_deleted", vec![Fact::UserGone { user: ada }]).await;
    let gone = explained(&daemon, "diruser_ada").await;
    assert_eq!((gone.status, gone.groups.len()), (Status::Absent, 0));
    let because = gone.status_because.unwrap();
    assert_eq!((because.event.as_str(), because.kind.as_deref()), ("evt_6", Some("user_deleted")));
}

#[tokio::test]
async fn a_name_that_fits_two_users_finds_both_and_one_that_fits_nobody_none() {
    let daemon = Daemon::with_ada_and_grace().await;
    let found = daemon.client.users("Team@Example.com").await.unwrap();
    let ids: Vec<_> = found.users.iter().map(|user| user.id.as_str()).collect();
    assert_eq!(ids, ["diruser_ada", "diruser_grace"]);
    assert!(found.rules_file.ends_with("/rules.yaml"), "{}", found.rules_file);

    assert!(daemon.client.users("nobody & nothing=1").await.unwrap().users.is_empty());
}
