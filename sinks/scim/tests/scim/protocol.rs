//! What scim2-server does not do, on an application that answers as it is told, request by request.

use std::time::Duration;

use rolecall_sink_api::conformance::people::UserExt as _;
use rolecall_sink_api::{Action, Change, Document, Outcome, RemoteId, Sink as _};
use rolecall_testkit::{Fault, HttpApplication, Recorded};
use serde_json::{Value, json};

use crate::people::{Followed, comes, group, joins, user};
use crate::server::sink;

/// What an application says that offers `features` and describes nothing else.
fn describes(application: &HttpApplication, features: Value) {
    answers(application, &[(200, features), (404, json!({})), (404, json!({}))]);
}

/// The next answers, one for each request.
fn answers(application: &HttpApplication, answers: &[(u16, Value)]) {
    for (status, body) in answers {
        application.fail_next(1, Fault::status(*status).body(body.clone()));
    }
}

fn list(resources: &[Value]) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": resources.len(), "Resources": resources,
    })
}

fn account(version: &str, title: &str) -> Value {
    json!({
        "id": "7", "externalId": "ada", "userName": "ada", "active": true, "title": title,
        "emails": [{ "value": "ada@example.com", "type": "work", "primary": true }],
        "meta": { "version": version },
    })
}

/// The requests that change something.
fn writes(application: &HttpApplication) -> Vec<Recorded> {
    application.requests().into_iter().filter(|request| request.method != "GET").collect()
}

fn lines(requests: &[Recorded]) -> Vec<String> {
    requests.iter().map(Recorded::line).collect()
}

fn known_ada() -> Followed {
    Followed::user("ada").known_as("7", Document::User(Box::new(user("ada"))))
}

#[tokio::test]
async fn an_application_that_describes_nothing_is_taken_at_scims_word() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({}));
    describes(&application, json!("not even JSON that is an object"));
    let error = sink.apply(&[joins(user("ada"))]).await.unwrap_err();
    assert!(error.reason.contains("not SCIM") && error.reason.contains("base_url"), "{error}");

    application.recover();
    application.forget_requests();
    answers(&application, &[(404, json!({})), (403, json!({})), (501, json!({})), (200, list(&[]))]);
    answers(&application, &[(200, list(&[])), (201, account("", ""))]);
    assert_eq!(Followed::user("ada").becomes(&sink, user("ada")).await, Action::Created);
    let expected = [
        "GET /ServiceProviderConfig",
        "GET /ResourceTypes",
        "GET /Schemas",
        "GET /Users?filter=externalId%20eq%20%22ada%22&count=20",
        "GET /Users?filter=userName%20eq%20%22ada%22&count=20",
        "POST /Users",
    ];
    let requests = application.requests();
    assert_eq!(lines(&requests), expected);
    assert_eq!(requests[5].header("content-type"), Some("application/scim+json"));
    let made = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "externalId": "ada", "userName": "ada", "active": true,
        "emails": [{ "value": "ada@example.com", "type": "work", "primary": true }],
    });
    assert_eq!(requests[5].body, made);
}

#[tokio::test]
async fn what_others_changed_meanwhile_is_read_again() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({}));
    describes(&application, json!({ "etag": { "supported": true } }));
    answers(&application, &[(200, account("W/\"1\"", "Old")), (412, json!({}))]);
    answers(&application, &[(200, account("W/\"2\"", "Theirs")), (204, json!({}))]);
    assert_eq!(known_ada().becomes(&sink, user("ada").titled("New")).await, Action::Updated);
    let versions: Vec<_> =
        writes(&application).iter().map(|request| request.header("if-match").map(str::to_owned)).collect();
    assert_eq!(versions, [Some("W/\"1\"".to_owned()), Some("W/\"2\"".to_owned())]);
}

#[tokio::test]
async fn where_everything_is_always_stale_it_is_tried_again_later() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({}));
    describes(&application, json!({ "etag": { "supported": true } }));
    for _ in 0..10 {
        answers(&application, &[(200, account("1", "Old")), (412, json!({ "detail": "too late" }))]);
    }
    let outcome = known_ada().deliver(&sink, joins(user("ada").titled("New")).desired).await.unwrap();
    assert!(matches!(&outcome, Outcome::Retry { reason, .. } if reason.contains("too late")), "{outcome:?}");
    assert_eq!(writes(&application).len(), 4);
}

#[tokio::test]
async fn an_application_without_versions_is_asked_for_none() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({}));
    describes(&application, json!({}));
    answers(&application, &[(200, account("W/\"1\"", "Old")), (200, account("W/\"2\"", "New"))]);
    assert_eq!(known_ada().becomes(&sink, user("ada").titled("New")).await, Action::Updated);
    assert_eq!(writes(&application)[0].header("if-match"), None);
}

#[tokio::test]
async fn a_filter_that_is_ignored_harms_nobody() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({}));
    describes(&application, json!({}));
    let everybody = list(&[
        json!({ "id": "1", "userName": "bob", "externalId": "bob" }),
        json!({ "id": "2", "userName": "root", "externalId": "ADA" }),
    ]);
    answers(&application, &[(200, everybody.clone()), (200, everybody), (201, account("", ""))]);
    assert_eq!(Followed::user("ada").becomes(&sink, user("ada")).await, Action::Created);
    assert_eq!(lines(&writes(&application)), ["POST /Users"]);
}

#[tokio::test]
async fn without_filters_and_without_pages_one_is_found_once() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({}));
    describes(&application, json!({ "filter": { "supported": false } }));
    let everybody = list(&[account("", "Old"), json!({ "id": "8", "externalId": "bob", "userName": "bob" })]);
    answers(&application, &[(200, everybody.clone()), (200, everybody), (200, account("", "New"))]);
    assert_eq!(Followed::user("ada").becomes(&sink, user("ada").titled("New")).await, Action::Updated);
    assert_eq!(lines(&writes(&application)), ["PATCH /Users/7"]);
}

#[tokio::test]
async fn two_with_one_external_id_are_left_to_a_person() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({}));
    describes(&application, json!({}));
    let both = list(&[account("", ""), json!({ "id": "8", "externalId": "ada" })]);
    answers(&application, &[(200, both)]);
    let reason = Followed::user("ada").is_refused(&sink, user("ada")).await;
    assert!(reason.contains("7 and 8"), "{reason}");
    assert_eq!(lines(&writes(&application)), [""; 0]);
}

#[tokio::test]
async fn an_id_of_the_applications_stays_one_segment() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({}));
    describes(&application, json!({}));
    let mut there = account("", "Old");
    there["id"] = json!("../Groups?a=b&c d%");
    answers(&application, &[(200, list(&[there])), (204, json!({}))]);
    assert_eq!(Followed::user("ada").becomes(&sink, user("ada").titled("New")).await, Action::Updated);
    assert_eq!(lines(&writes(&application)), ["PATCH /Users/..%2FGroups%3Fa%3Db%26c%20d%25"]);
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_one() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({}));
    describes(&application, json!({}));
    answers(&application, &[(200, list(&[])), (200, list(&[]))]);
    application.fail_next(1, Fault::Close);
    let mut ada = Followed::user("ada");
    let first = ada.deliver(&sink, joins(user("ada")).desired).await.unwrap();
    assert!(matches!(first, Outcome::Retry { .. }), "{first:?}");
    assert_eq!(lines(&writes(&application)), ["POST /Users"], "it may have been made");

    answers(&application, &[(200, list(&[account("", "")]))]);
    assert_eq!(ada.becomes(&sink, user("ada")).await, Action::Unchanged);
    assert_eq!(ada.remote(), "7");
    assert_eq!(lines(&writes(&application)), ["POST /Users"], "it was");
}

#[tokio::test]
async fn a_rate_limit_is_obeyed_and_what_got_through_counts() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({ "concurrency": 1 }));
    describes(&application, json!({}));
    answers(&application, &[(200, list(&[])), (201, json!({ "id": "g1" }))]);
    application.fail(Fault::status(429).header("Retry-After", "7"));
    let outcomes = sink.apply(&[comes(group("a")), comes(group("b")), comes(group("c"))]).await.unwrap();
    assert_eq!(outcomes[0], Outcome::applied_as("g1", Action::Created));
    for outcome in &outcomes[1..] {
        let seven = Some(Duration::from_secs(7));
        assert!(matches!(outcome, Outcome::Retry { after, .. } if *after == seven), "{outcome:?}");
    }
    assert_eq!(application.requests().len(), 6, "after it is said once, nothing more is asked");
    let down = sink.apply(&[comes(group("b"))]).await.unwrap_err();
    assert_eq!(down.after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn credentials_that_are_refused_bring_the_sink_down() {
    let application = HttpApplication::options().bearer("t0ken").start().await;
    let sink = sink(&application.url(), &json!({}));
    for down in [sink.apply(&[joins(user("ada"))]).await.unwrap_err(), sink.probe().await.unwrap_err()] {
        assert!(down.reason.contains("401"), "{down}");
    }
}

#[tokio::test]
async fn members_come_and_go_one_by_one() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({}));
    describes(&application, json!({}));
    let (old, new) = (group("old"), group("new"));
    let before = Document::User(Box::new(user("ada").within(&[&old])));
    let mut ada = Followed::user("ada").known_as("7\"", before);
    let mut there = account("", "");
    there["id"] = json!("7\"");
    there.as_object_mut().unwrap().remove("title");
    let found = |id: &str| (200, list(&[json!({ "id": format!("g-{id}"), "externalId": id })]));
    answers(&application, &[(200, there), found("old"), (204, json!({})), found("new"), (204, json!({}))]);
    assert_eq!(ada.becomes(&sink, user("ada").within(&[&new])).await, Action::Updated);
    let writes = writes(&application);
    assert_eq!(lines(&writes), ["PATCH /Groups/g-old", "PATCH /Groups/g-new"]);
    let leave = json!([{ "op": "remove", "path": "members[value eq \"7\\\"\"]" }]);
    let join = json!([{ "op": "add", "path": "members", "value": [{ "value": "7\"" }] }]);
    assert_eq!([&writes[0].body["Operations"], &writes[1].body["Operations"]], [&leave, &join]);
}

/// Two users who are there already and join a group, on an application that is asked one thing at a time.
async fn two_join(application: &HttpApplication, then: &[(u16, Value)]) -> Vec<Outcome> {
    let sink = sink(&application.url(), &json!({ "concurrency": 1 }));
    describes(application, json!({}));
    let there = |id: &str, name: &str| {
        let mut there = account("", "");
        let there_is = there.as_object_mut().unwrap();
        there_is.remove("title");
        there_is.insert("id".into(), id.into());
        for key in ["externalId", "userName"] {
            there_is.insert(key.into(), name.into());
        }
        there_is["emails"][0]["value"] = format!("{name}@example.com").into();
        (200, there)
    };
    let group_found = (200, list(&[json!({ "id": "g", "externalId": "new" })]));
    answers(application, &[there("7", "ada"), there("8", "ben"), group_found.clone(), group_found]);
    answers(application, then);
    let change = |name: &str, id: &str| Change {
        applied: Some(Document::User(Box::new(user(name)))),
        remote: Some(RemoteId::new(id)),
        ..joins(user(name).within(&[&group("new")]))
    };
    sink.apply(&[change("ada", "7"), change("ben", "8")]).await.unwrap()
}

#[tokio::test]
async fn those_who_join_one_group_at_once_are_one_request() {
    let application = HttpApplication::start().await;
    let outcomes = two_join(&application, &[(204, json!({}))]).await;
    let updated = |id| Outcome::applied_as(id, Action::Updated);
    assert_eq!(outcomes, [updated("7"), updated("8")]);
    let writes = writes(&application);
    assert_eq!(lines(&writes), ["PATCH /Groups/g"]);
    let join = json!([{ "op": "add", "path": "members", "value": [{ "value": "7" }, { "value": "8" }] }]);
    assert_eq!(writes[0].body["Operations"], join);
}

#[tokio::test]
async fn whoever_a_group_refuses_holds_up_nobody_else_who_joins_it() {
    let application = HttpApplication::start().await;
    let refused = (400, json!({ "detail": "no such user" }));
    let outcomes = two_join(&application, &[refused.clone(), refused, (204, json!({}))]).await;
    assert!(
        matches!(&outcomes[0], Outcome::Reject { reason } if reason.contains("no such user")),
        "{outcomes:?}"
    );
    assert_eq!(outcomes[1], Outcome::applied_as("8", Action::Updated));
}

#[tokio::test]
async fn who_was_made_before_their_group_is_known_by_id_from_then_on() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({}));
    describes(&application, json!({}));
    let nothing = (200, list(&[]));
    answers(&application, &[nothing.clone(), nothing.clone(), (201, account("", "")), nothing]);
    let outcome = sink.apply(&[joins(user("ada").within(&[&group("late")]))]).await.unwrap().remove(0);
    let Outcome::Retry { reason, remote, .. } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("group late"), "{reason}");
    assert_eq!(remote, Some(RemoteId::new("7")));
}

#[tokio::test]
async fn who_should_leave_and_is_not_there_has_left() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({}));
    describes(&application, json!({}));
    let before = Document::User(Box::new(user("ada").within(&[&group("old")])));
    let mut there = account("", "");
    there.as_object_mut().unwrap().remove("title");
    let group = list(&[json!({ "id": "g", "externalId": "old" })]);
    let no_target = json!({ "status": "400", "scimType": "noTarget", "detail": "no such member" });
    answers(&application, &[(200, there), (200, group), (400, no_target)]);
    let mut ada = Followed::user("ada").known_as("7", before);
    assert_eq!(ada.becomes(&sink, user("ada")).await, Action::Unchanged);
}

#[tokio::test]
async fn a_bulk_request_that_is_refused_is_sent_one_by_one() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({ "concurrency": 1 }));
    let bulk = json!({ "supported": true, "maxOperations": 10, "maxPayloadSize": 10_000 });
    describes(&application, json!({ "bulk": bulk }));
    let made = |id: &str| (201, json!({ "id": id }));
    answers(&application, &[(200, list(&[])), (200, list(&[])), (501, json!({})), made("1"), made("2")]);
    let outcomes = sink.apply(&[comes(group("a")), comes(group("b"))]).await.unwrap();
    let created = ["1", "2"].map(|id| Outcome::applied_as(id, Action::Created));
    assert_eq!(outcomes, created);
    assert_eq!(lines(&writes(&application)), ["POST /Bulk", "POST /Groups", "POST /Groups"]);

    application.forget_requests();
    answers(&application, &[(200, list(&[])), (200, list(&[])), made("3"), made("4")]);
    sink.apply(&[comes(group("c")), comes(group("d"))]).await.unwrap();
    assert_eq!(lines(&writes(&application)), ["POST /Groups", "POST /Groups"], "it is not asked again");
}

#[tokio::test]
async fn a_bulk_request_that_gets_no_answer_is_followed_by_smaller_ones() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({}));
    let bulk = json!({ "supported": true, "maxOperations": 10, "maxPayloadSize": 10_000 });
    describes(&application, json!({ "bulk": bulk }));
    let changes = ["a", "b", "c", "d"].map(|id| comes(group(id)));
    let nobody = [(); 4].map(|()| (200, list(&[])));
    answers(&application, &nobody);
    application.fail_next(1, Fault::Close);
    let outcomes = sink.apply(&changes).await.unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Retry { .. })), "{outcomes:?}");

    answers(&application, &nobody);
    let made = |id: usize| json!({ "method": "POST", "bulkId": id.to_string(), "status": "201", "location": "/Groups/1" });
    let two = (200, json!({ "Operations": [made(0), made(1)] }));
    answers(&application, &[two.clone(), two]);
    sink.apply(&changes).await.unwrap();
    let sizes = writes(&application)
        .iter()
        .map(|it| it.body["Operations"].as_array().unwrap().len())
        .collect::<Vec<_>>();
    assert_eq!(sizes, [4, 2, 2]);
}

#[tokio::test]
async fn after_a_bulk_request_was_too_much_there_is_no_other() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({}));
    let bulk = json!({ "supported": true, "maxOperations": 2, "maxPayloadSize": 10_000 });
    describes(&application, json!({ "bulk": bulk }));
    answers(&application, &[(); 4].map(|()| (200, list(&[]))));
    application.fail(Fault::status(429).header("Retry-After", "7"));
    let down = sink.apply(&["a", "b", "c", "d"].map(|id| comes(group(id)))).await.unwrap_err();
    assert_eq!(down.after, Some(Duration::from_secs(7)));
    assert_eq!(lines(&writes(&application)), ["POST /Bulk"]);
}

#[tokio::test]
async fn who_leaves_does_not_wait_for_those_who_come() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({}));
    describes(&application, json!({}));
    let leaver = known_ada().change(user("ada").deactivated());
    answers(&application, &[(200, account("", "")), (204, json!({})), (200, list(&[])), (200, list(&[]))]);
    answers(&application, &[(201, json!({ "id": "8" }))]);
    sink.apply(&[leaver, joins(user("bob"))]).await.unwrap();
    let lines = lines(&application.requests());
    assert_eq!(lines[4], "PATCH /Users/7", "{lines:?}");
    assert_eq!(lines[7], "POST /Users", "{lines:?}");
}

#[tokio::test]
async fn each_operation_of_a_bulk_request_has_its_own_outcome() {
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({}));
    let bulk = json!({ "supported": true, "maxOperations": 10, "maxPayloadSize": 10_000 });
    describes(&application, json!({ "bulk": bulk }));
    let no_such = (200, list(&[]));
    answers(&application, &[no_such.clone(), no_such.clone(), no_such]);
    let results = json!({ "Operations": [
        { "method": "POST", "bulkId": "0", "status": "201", "location": "https://x.example/v2/Groups/g%2F1" },
        { "method": "POST", "bulkId": "1", "status": "400", "response": { "detail": "bad name" } },
    ] });
    answers(&application, &[(200, results)]);
    let changes = [comes(group("a")), comes(group("b")), comes(group("c"))];
    let outcomes = sink.apply(&changes).await.unwrap();
    assert_eq!(outcomes[0], Outcome::applied_as("g/1", Action::Created));
    assert!(
        matches!(&outcomes[1], Outcome::Reject { reason } if reason.contains("bad name")),
        "{outcomes:?}"
    );
    assert!(matches!(&outcomes[2], Outcome::Retry { .. }), "what is not told is not known: {outcomes:?}");
}

#[tokio::test]
async fn an_answer_that_repeats_a_page_ends_the_reading() {
    use futures_util::TryStreamExt as _;
    let application = HttpApplication::start().await;
    let sink = sink(&application.url(), &json!({ "groups": null }));
    describes(&application, json!({}));
    let page = json!({ "totalResults": 100_000, "Resources": [account("", "")] });
    application.fail(Fault::status(200).body(page));
    let observed: Result<Vec<_>, _> = sink.observe().unwrap().try_collect().await;
    let down = observed.unwrap_err();
    assert!(down.reason.contains("startIndex"), "{down}");
}
