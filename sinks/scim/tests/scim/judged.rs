//! Every request is as RFC 7643 and RFC 7644 have it, by the judgement of scim2-models.

use rolecall_sink_api::conformance::people::UserExt as _;
use rolecall_sink_api::{Address, Profile, User, conformance};
use rolecall_testkit::ScimServer;
use serde_json::{Value, json};

use crate::conformance::offers;
use crate::people::{Followed, group, user};
use crate::server::Server;

/// A user of whom everything is known, all of it ending in `mark`.
fn complete(mark: &str) -> User {
    let some = |what: &str| Some(format!("{what} {mark}"));
    let profile = Profile {
        display_name: some("Ada"),
        given_name: some("Ada"),
        family_name: some("Lovelace"),
        nick_name: some("Countess"),
        photo: Some(format!("https://example.com/{mark}.png")),
        profile_url: Some(format!("https://example.com/{mark}")),
        phone_number: some("+44"),
        address: Some(Address { locality: some("London"), formatted: some("London"), ..Address::default() }),
        title: some("Analyst"),
        department: some("Engines"),
        division: some("Research"),
        cost_center: some("7"),
        employee_number: some("1"),
        user_type: some("Employee"),
        organization_name: some("Example"),
        preferred_language: Some("en-GB".into()),
        locale: Some("en-GB".into()),
        timezone: Some("Europe/London".into()),
        ..user("ada").profile
    };
    User { profile, ..user("ada") }
}

/// One user's life with everything that is ever written, and random histories of several.
async fn plays(server: &Server) {
    let sink = server.scim_sink().await;
    let (staff, admins) = (group("staff"), group("admins"));
    Followed::group("staff").becomes_group(&sink, staff.clone()).await;
    let mut admin = Followed::group("admins");
    admin.becomes_group(&sink, admins.clone()).await;
    let mut ada = Followed::user("ada");
    ada.becomes(&sink, complete("one").within(&[&staff]).with_roles(&["reader"])).await;
    ada.becomes(&sink, complete("two").within(&[&admins]).with_roles(&["reader", "a \"quoted\\ role]"]))
        .await;
    ada.becomes(&sink, user("ada").with_roles(&["writer"])).await;
    ada.becomes(&sink, user("ada").deactivated()).await;
    ada.becomes(&sink, complete("three")).await;
    ada.goes(&sink).await;
    admin.goes(&sink).await;
    for part in ["random", "leavers", "observe"] {
        let report = conformance::run_matching(server, part).await;
        assert!(report.passed(), "{report}");
    }
}

#[track_caller]
fn has_all(judged: &Value, kinds: &[&str]) {
    for kind in kinds {
        assert!(judged[kind].as_u64().is_some_and(|count| count > 0), "no {kind} among {judged}");
    }
}

#[tokio::test]
async fn every_request_with_bulk_and_versions_validates() {
    let server = Server::start().await;
    plays(&server).await;
    let server = server.running.into_inner();
    has_all(&server.judged().await, &["Bulk", "POST", "PATCH", "DELETE", "GET one", "GET many", "Schemas"]);
    let with_version = server.requests().iter().filter(|request| request["if_match"] != "").count();
    assert!(with_version > 5, "{with_version}");
}

#[tokio::test]
async fn every_request_without_patch_validates() {
    let less = json!({ "patch": { "supported": false } });
    let server = Server::with(ScimServer::options().service_provider_config(offers(&less)), json!({})).await;
    plays(&server).await;
    has_all(&server.running.into_inner().judged().await, &["POST", "PUT", "DELETE", "GET one", "GET many"]);
}
