//! Users, groups, activity, sinks: looked for, listed and shown.

use rolecall_sink_api::{GroupId, RoleName, SinkName, UserId};

use super::{Daemon, dead, time};
use crate::admin::api::{ActivityQuery, EventsQuery, GroupsQuery, MembersQuery, UsersQuery};
use crate::directory::Fact;
use crate::store::{ActivityItem, EventStatus, Status};

async fn users(daemon: &Daemon, query: UsersQuery) -> Vec<String> {
    let page = daemon.client.list_users(&query).await.unwrap();
    page.items.into_iter().map(|user| user.id.as_str().to_owned()).collect()
}

async fn activity(daemon: &Daemon, query: ActivityQuery) -> Vec<ActivityItem> {
    daemon.client.activity(&query).await.unwrap().items
}

#[tokio::test]
async fn users_are_found_by_a_part_of_what_they_go_by_by_status_and_by_role() {
    let daemon = Daemon::with_ada_and_grace().await;
    let grace = UserId::new("diruser_grace");
    let inactive = vec![Fact::UserActive { user: grace, active: false }];
    daemon.event("evt_5", "2026-11-24T09:00:00Z", "user_updated", inactive).await;

    let both = ["diruser_ada", "diruser_grace"];
    assert_eq!(users(&daemon, UsersQuery::default()).await, both);
    let search = |text: &str| UsersQuery { search: Some(text.into()), ..UsersQuery::default() };
    assert_eq!(users(&daemon, search("TEAM@")).await, both);
    assert_eq!(users(&daemon, search("Grac")).await, ["diruser_grace"]);
    assert_eq!(users(&daemon, search("%")).await, [""; 0]);
    let status = |status| UsersQuery { status: Some(status), ..UsersQuery::default() };
    assert_eq!(users(&daemon, status(Status::Inactive)).await, ["diruser_grace"]);
    assert_eq!(users(&daemon, status(Status::Absent)).await, [""; 0]);
    let role = UsersQuery { role: Some(RoleName::new("engineer")), ..UsersQuery::default() };
    assert_eq!(users(&daemon, role).await, ["diruser_ada"]);

    let first =
        daemon.client.list_users(&UsersQuery { limit: Some(1), ..UsersQuery::default() }).await.unwrap();
    assert_eq!(first.items[0].roles, [RoleName::new("engineer"), RoleName::new("member")]);
    let rest = UsersQuery { after: first.next, ..UsersQuery::default() };
    assert!(rest.after.is_some());
    let rest = daemon.client.list_users(&rest).await.unwrap();
    assert_eq!((rest.items[0].id.as_str(), rest.next), ("diruser_grace", None));
}

#[tokio::test]
async fn a_user_is_shown_by_their_id_alone() {
    let daemon = Daemon::with_ada_and_grace().await;
    let ada = daemon.client.user(&UserId::new("diruser_ada")).await.unwrap();
    assert_eq!((ada.user.id.as_str(), ada.user.roles.len()), ("diruser_ada", 2));
    assert!(daemon.client.user(&UserId::new("ada")).await.is_err());
}

#[tokio::test]
async fn a_group_is_shown_with_what_is_known_of_it_and_who_is_in_it() {
    let daemon = Daemon::with_ada_and_grace().await;
    let id = GroupId::new("dirgroup_eng");
    let grace = UserId::new("diruser_grace");
    let member = |member| vec![Fact::Member { group: id.clone(), user: grace.clone(), member }];
    daemon.event("evt_5", "2026-11-24T09:00:00Z", "group_user_added", member(true)).await;

    let groups = daemon.client.list_groups(&GroupsQuery::default()).await.unwrap().items;
    assert_eq!((groups.len(), groups[0].name.as_str()), (1, "Engineering"));
    let none = GroupsQuery { search: Some("sales".into()), ..GroupsQuery::default() };
    assert!(daemon.client.list_groups(&none).await.unwrap().items.is_empty());
    let group = daemon.client.group(&id).await.unwrap();
    assert_eq!((group.name.as_str(), group.status), ("Engineering", Status::Active));
    assert_eq!(group.because.unwrap().event, "evt_1");
    assert!(group.sinks[&SinkName::new("ldap")].view.queued.is_some());
    // `member` is everybody's, and not the group's.
    let gives: Vec<_> =
        group.gives.iter().map(|given| (given.role.as_str(), given.reasons[0].line)).collect();
    assert_eq!(gives, [("engineer", 2)]);

    let members = |after| MembersQuery { id: id.clone(), limit: Some(1), after };
    let first = daemon.client.members(&members(None)).await.unwrap();
    assert_eq!(first.items[0].id.as_str(), "diruser_ada");
    let second = daemon.client.members(&members(first.next)).await.unwrap();
    assert_eq!((second.items[0].id.as_str(), second.next), ("diruser_grace", None));

    daemon.event("evt_6", "2026-11-24T09:30:00Z", "group_user_removed", member(false)).await;
    let left = daemon.client.members(&MembersQuery { id, limit: None, after: None }).await.unwrap();
    assert_eq!((left.items.len(), left.next), (1, None));
}

#[tokio::test]
async fn activity_says_what_was_done_to_whom_newest_first_and_is_narrowed_down() {
    let daemon = Daemon::with_ada_and_grace().await;
    daemon.settle("crm", "diruser_ada", dead("422 no such plan")).await;

    let all = activity(&daemon, ActivityQuery::default()).await;
    let newest = &all[0];
    assert_eq!((newest.entity.id(), newest.sink.as_deref()), ("diruser_ada", Some("crm")));
    assert_eq!((newest.what.as_str(), newest.at), ("dead_letter", time("2026-11-24T09:00:00Z")));
    assert_eq!(newest.detail.as_deref(), Some("422 no such plan"));

    let crm = ActivityQuery { sink: Some("crm".into()), ..ActivityQuery::default() };
    assert_eq!(activity(&daemon, crm).await, all[..1]);
    let letters = ActivityQuery { what: Some("dead_letter".into()), ..ActivityQuery::default() };
    assert_eq!(activity(&daemon, letters).await, all[..1]);
    let grace = ActivityQuery { entity: Some("diruser_grace".into()), ..ActivityQuery::default() };
    let grace = activity(&daemon, grace).await;
    assert_eq!((grace.len(), grace[0].event.as_deref()), (1, Some("evt_3")));
    let until = Some(time("2026-11-24T09:00:00Z"));
    let before = ActivityQuery { until, sink: Some("crm".into()), ..ActivityQuery::default() };
    assert_eq!(activity(&daemon, before).await, []);

    let first =
        daemon.client.activity(&ActivityQuery { limit: Some(1), ..ActivityQuery::default() }).await.unwrap();
    let rest = ActivityQuery { after: first.next, ..ActivityQuery::default() };
    assert_eq!(activity(&daemon, rest).await, all[1..]);
}

#[tokio::test]
async fn events_are_found_by_id_kind_and_time_and_by_whom_they_changed() {
    let daemon = Daemon::with_ada_and_grace().await;
    let found = async |query: EventsQuery| {
        let page = daemon.client.events(&query).await.unwrap();
        page.items.into_iter().map(|event| event.id).collect::<Vec<_>>()
    };
    let none = EventsQuery::default;
    assert_eq!(found(EventsQuery { id: Some("evt_2".into()), ..none() }).await, ["evt_2"]);
    assert_eq!(found(EventsQuery { kind: Some("user_created".into()), ..none() }).await, ["evt_3", "evt_2"]);
    assert_eq!(found(EventsQuery { source: Some("other".into()), ..none() }).await, [""; 0]);
    let ada = EventsQuery { entity: Some("diruser_ada".into()), ..none() };
    assert_eq!(found(ada.clone()).await, ["evt_4", "evt_2"]);
    let since = Some(time("2026-11-24T08:02:00Z"));
    assert_eq!(found(EventsQuery { since, ..ada }).await, ["evt_4"]);
    let (since, until) = (Some(time("2026-11-24T08:01:00Z")), Some(time("2026-11-24T08:03:00Z")));
    assert_eq!(found(EventsQuery { since, until, ..none() }).await, ["evt_3", "evt_2"]);
    let status = Some(EventStatus::Ignored);
    assert_eq!(found(EventsQuery { status, ..none() }).await, [""; 0]);
}

#[tokio::test]
async fn a_sink_is_shown_by_its_name() {
    let daemon = Daemon::with_ada_and_grace().await;
    let sinks = daemon.client.sinks().await.unwrap().sinks;
    let crm = daemon.client.sink("crm").await.unwrap();
    assert_eq!((sinks.len(), crm.name.as_str(), crm.sink.waiting), (2, "crm", 3));
    assert_eq!(sinks[&crm.name].waiting, 3);
}

#[tokio::test]
async fn a_daemon_that_stops_is_not_ready_and_does_not_tell_everybody_why() {
    let daemon = Daemon::with_ada_and_grace().await;
    assert!(daemon.client.ready().await.unwrap().ready);
    assert_eq!(daemon.client.status().await.unwrap().not_ready, [""; 0]);
    daemon.stop_receiving.cancel();
    let refused = daemon.client.ready().await.unwrap_err().to_string();
    assert!(refused.contains("not ready") && !refused.contains("stopping"), "{refused}");
    assert_eq!(daemon.client.status().await.unwrap().not_ready, ["the daemon is stopping"]);
}
