//! What is in the server afterwards, and what is not touched there.

use rolecall_sink_api::conformance::people::UserExt as _;
use rolecall_sink_api::conformance::{self, Capabilities, Held, Inactive, Target, TargetError};
use rolecall_sink_api::{Action, Group, Sink, User};
use rolecall_testkit::ScimServer;
use serde_json::{Value, json};

use crate::conformance::offers;
use crate::people::{Followed, comes, group, joins, user};
use crate::server::{Server, items};

/// A user of the server's that somebody else made.
async fn made_by_others(server: &Server, name: &str, external_id: Option<&str>) -> String {
    let account = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": name, "externalId": external_id, "active": true, "nickName": "theirs",
        "emails": [{ "value": "old@example.com", "type": "work" }, { "value": "own@example.com", "type": "home" }],
        "roles": [{ "value": "theirs" }],
    });
    server.running.lock().await.insert("/Users", &account).await
}

async fn account(server: &Server, id: &str) -> Option<Value> {
    server.running.lock().await.users().await.remove(id)
}

fn values(attribute: &Value) -> Vec<&str> {
    items(attribute).iter().filter_map(|item| item["value"].as_str()).collect()
}

#[tokio::test]
async fn an_account_without_an_owner_is_taken_over_where_that_is_asked_for() {
    let server = Server::with(ScimServer::options(), json!({ "users": { "on_existing": "adopt" } })).await;
    let sink = server.scim_sink().await;
    let id = made_by_others(&server, "Ada", None).await;
    let mut ada = Followed::user("diruser_1");
    let desired = User { profile: user("ada").profile, ..user("diruser_1").with_roles(&["admin"]) };
    assert_eq!(ada.becomes(&sink, desired).await, Action::Updated);
    assert_eq!(ada.remote(), id);
    let adopted = account(&server, &id).await.unwrap();
    assert_eq!([&adopted["externalId"], &adopted["userName"]], ["diruser_1", "ada"]);
    assert_eq!(adopted["nickName"], "theirs", "what the source does not say stays");
    assert_eq!(values(&adopted["emails"]), ["ada@example.com", "own@example.com"]);
    assert_eq!(values(&adopted["roles"]), ["theirs", "admin"]);

    assert_eq!(ada.goes(&sink).await, Action::Deleted);
    assert_eq!(account(&server, &id).await, None);
}

#[tokio::test]
async fn an_account_that_the_identity_provider_made_is_taken_over_and_one_that_another_made_is_not() {
    let server = Server::with(ScimServer::options(), json!({ "users": { "on_existing": "adopt" } })).await;
    let sink = server.scim_sink().await;
    let ours = made_by_others(&server, "ada", Some("idp-ada")).await;
    let theirs = made_by_others(&server, "bob", Some("somebody's")).await;
    let mut ada = Followed::user("ada");
    assert_eq!(ada.becomes(&sink, user("ada")).await, Action::Updated);
    assert_eq!(ada.remote(), ours);

    let before = account(&server, &theirs).await;
    let reason = Followed::user("bob").is_refused(&sink, user("bob")).await;
    assert!(reason.contains(&theirs) && reason.contains("externalId"), "{reason}");
    assert_eq!(account(&server, &theirs).await, before);
}

#[tokio::test]
async fn an_account_of_others_is_left_alone_unless_it_is_asked_for() {
    let server = Server::start().await;
    let sink = server.scim_sink().await;
    let theirs = made_by_others(&server, "ada", None).await;
    let before = account(&server, &theirs).await;
    let reason = Followed::user("ada").is_refused(&sink, user("ada")).await;
    assert!(reason.contains(&theirs) && reason.contains("users.on_existing"), "{reason}");
    assert_eq!(account(&server, &theirs).await, before);
}

#[tokio::test]
async fn a_group_of_others_is_taken_over_where_that_is_asked_for() {
    let server = Server::with(ScimServer::options(), json!({ "groups": { "on_existing": "adopt" } })).await;
    let sink = server.scim_sink().await;
    let schemas = ["urn:ietf:params:scim:schemas:core:2.0:Group"];
    let group = json!({ "schemas": schemas, "displayName": "Staff" });
    let id = server.running.lock().await.insert("/Groups", &group).await;
    let named = |name: &str, id: &str| Group { name: name.into(), ..crate::people::group(id) };
    let mut staff = Followed::group("g1");
    assert_eq!(staff.becomes_group(&sink, named("Staff", "g1")).await, Action::Updated);
    assert_eq!(staff.remote(), id);
    let mut another = Followed::group("g2");
    assert_eq!(another.becomes_group(&sink, named("Staff", "g2")).await, Action::Created);
    assert_eq!(server.running.lock().await.groups().await.len(), 2);
}

#[tokio::test]
async fn what_others_write_beside_ours_stays_and_what_they_change_of_ours_is_put_right() {
    let server = Server::start().await;
    let sink = server.scim_sink().await;
    let staff = group("staff");
    Followed::group("staff").becomes_group(&sink, staff.clone()).await;
    let desired = user("ada").titled("Countess").within(&[&staff]).with_roles(&["admin"]);
    let mut ada = Followed::user("ada");
    ada.becomes(&sink, desired.clone()).await;
    let path = format!("/Users/{}", ada.remote());
    let patch = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [
        { "op": "add", "path": "nickName", "value": "theirs" },
        { "op": "add", "path": "roles", "value": [{ "value": "theirs" }] },
        { "op": "replace", "path": "title", "value": "changed" },
        { "op": "replace", "path": "active", "value": false },
        { "op": "remove", "path": "roles[value eq \"admin\"]" },
    ] });
    server.running.lock().await.patch(&path, &patch).await;
    let (id, group) = server.running.lock().await.groups().await.pop_first().unwrap();
    assert_eq!(values(&group["members"]), [ada.remote()]);
    let emptied =
        json!({ "schemas": patch["schemas"], "Operations": [{ "op": "remove", "path": "members" }] });
    server.running.lock().await.patch(&format!("/Groups/{id}"), &emptied).await;

    assert_eq!(ada.becomes(&sink, desired.clone()).await, Action::Reactivated);
    let there = account(&server, ada.remote()).await.unwrap();
    assert_eq!([&there["title"], &there["nickName"]], ["Countess", "theirs"]);
    assert_eq!(there["active"], true);
    assert_eq!(values(&there["roles"]), ["theirs", "admin"]);
    let group = server.running.lock().await.groups().await.remove(&id).unwrap();
    assert_eq!(values(&group["members"]), [ada.remote()]);

    // What the source does not say any more was ours, and goes.
    let plain = user("ada");
    assert_eq!(ada.becomes(&sink, plain).await, Action::Updated);
    let there = account(&server, ada.remote()).await.unwrap();
    assert_eq!([&there["title"], &there["nickName"]], [&Value::Null, &json!("theirs")]);
    assert_eq!(values(&there["roles"]), ["theirs"]);
}

#[tokio::test]
async fn who_is_gone_may_stay_without_access_and_come_back_to_the_same_account() {
    let server =
        Server::with(ScimServer::options(), json!({ "leavers": { "on_delete": "deactivate" } })).await;
    let sink = server.scim_sink().await;
    let staff = group("staff");
    Followed::group("staff").becomes_group(&sink, staff.clone()).await;
    let mut ada = Followed::user("ada");
    ada.becomes(&sink, user("ada").within(&[&staff]).with_roles(&["admin"])).await;
    let id = ada.remote().to_owned();
    assert_eq!(ada.goes(&sink).await, Action::Deleted);
    let gone = account(&server, &id).await.unwrap();
    assert_eq!((&gone["active"], values(&gone["roles"])), (&json!(false), Vec::new()));
    let (_, group) = server.running.lock().await.groups().await.pop_first().unwrap();
    assert_eq!(values(&group["members"]), [""; 0]);

    assert_eq!(ada.becomes(&sink, user("ada")).await, Action::Reactivated);
    assert_eq!(ada.remote(), id);
}

#[tokio::test]
async fn bulk_requests_stay_within_what_the_application_allows() {
    let bulk = json!({ "bulk": { "supported": true, "maxOperations": 3, "maxPayloadSize": 1200 } });
    let options = ScimServer::options().service_provider_config(offers(&bulk));
    let server = Server::with(options, json!({})).await;
    let sink = server.scim_sink().await;
    let changes: Vec<_> = (0..20).map(|n| joins(user(&format!("user{n}")))).collect();
    sink.apply(&changes).await.unwrap();
    let server = server.running.lock().await;
    assert_eq!(server.users().await.len(), 20);
    let requests = server.requests();
    let bulks: Vec<&Value> = requests.iter().filter(|request| request["path"] == "/v2/Bulk").collect();
    assert!(bulks.len() >= 7, "{}", bulks.len());
    for request in bulks {
        let body = request["body"].as_str().unwrap();
        let operations: Value = serde_json::from_str(body).unwrap();
        assert!(items(&operations["Operations"]).len() <= 3 && body.len() <= 1200, "{body}");
    }
}

#[tokio::test]
async fn a_batch_is_one_bulk_request_for_each_kind_of_write() {
    let server = Server::start().await;
    let sink = server.scim_sink().await;
    let staff = group("staff");
    let mut changes = vec![comes(staff.clone()), comes(group("admins"))];
    changes.extend((0..20).map(|n| joins(user(&format!("user{n}")).within(&[&staff]))));
    sink.apply(&changes).await.unwrap();
    let server = server.running.lock().await;
    let (_, group) =
        server.groups().await.into_iter().find(|(_, group)| group["externalId"] == "staff").unwrap();
    assert_eq!(items(&group["members"]).len(), 20);
    let requests = server.requests();
    let writes: Vec<&Value> = requests.iter().filter(|request| request["method"] != "GET").collect();
    assert_eq!(writes.len(), 3, "groups, users, members: {writes:#?}");
}

/// The server, where inactive users are deleted.
struct Deleting(Server);

#[async_trait::async_trait]
impl Target for Deleting {
    fn capabilities(&self) -> Capabilities {
        Capabilities { inactive: Inactive::Removed, ..self.0.capabilities() }
    }

    async fn empty(&self) -> Result<(), TargetError> {
        self.0.empty().await
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, TargetError> {
        self.0.sink().await
    }

    async fn held(&self) -> Result<Held, TargetError> {
        self.0.held().await
    }
}

#[tokio::test]
async fn inactive_users_may_be_deleted() {
    let more = json!({ "leavers": { "on_deactivate": "delete" } });
    let target = Deleting(Server::with(ScimServer::options(), more).await);
    for part in ["active", "random"] {
        let report = conformance::run_matching(&target, part).await;
        assert!(report.passed(), "{report}");
    }
}

#[tokio::test]
async fn without_filters_all_pages_are_read() {
    let less = json!({ "filter": { "supported": false, "maxResults": 2 } });
    let options = ScimServer::options().service_provider_config(offers(&less));
    let target = Server::with(options, json!({})).await;
    for part in ["crash", "observe", "outcomes"] {
        let report = conformance::run_matching(&target, part).await;
        assert!(report.passed(), "{report}");
    }
}

#[tokio::test]
async fn what_the_application_is_is_told_before_the_first_change() {
    let server = Server::start().await;
    let told = server.scim_sink().await.check().await.unwrap().found.join("\n");
    for part in ["answers", "not encrypted", "100 changes in a bulk request", "keeps versions"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let less = json!({ "patch": { "supported": false }, "filter": { "supported": false, "maxResults": 9 } });
    let options = ScimServer::options().service_provider_config(offers(&less));
    let told =
        Server::with(options, json!({})).await.scim_sink().await.check().await.unwrap().found.join("\n");
    for part in ["has no PATCH", "has no filters", "keeps no versions"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
