//! What is held, looked at and decided.

use super::*;
pub(super) use crate::admin::tests::holds::held_in;

/// The page that a button of this page leads to, and what its form carries.
async fn asked(browser: &mut Browser, decision: &str) -> Vec<(String, String)> {
    let question = browser.get(&format!("/console/hold/{decision}?id=1")).await;
    assert_eq!(question.status, StatusCode::OK, "{}", question.body);
    let field = |name: &str| (name.to_owned(), question.field(name));
    ["csrf", "id", "changes"].map(field).into()
}

async fn answer(browser: &mut Browser, decision: &str, fields: &[(String, String)]) -> Got {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.post(&format!("/console/hold/{decision}"), &fields).await
}

#[tokio::test]
async fn a_hold_says_who_is_in_it_what_they_would_lose_and_why_it_is_held() {
    let daemon = Daemon::with_ada_and_grace().await;
    let mut browser = Browser::on_the_socket(&daemon);
    assert!(browser.get("/console/holds").await.body.contains("Nothing waits for a decision."));
    held_in(&daemon).await;

    let overview = browser.get("/console").await.body;
    assert!(overview.contains("1 hold waits for you"), "{overview}");
    assert!(overview.contains("href=\"&#x2f;console&#x2f;hold?id=1\""), "{overview}");
    let sink = browser.get("/console/sink?name=crm").await.body;
    assert!(sink.contains("2 changes are held") && sink.contains("/console/holds?sink=crm"), "{sink}");
    let listed = browser.get("/console/holds?sink=crm").await.body;
    for told in
        ["Hold 1", "2 users would be removed from crm", "0 users within 1 h, of 2 that the sink holds"]
    {
        assert!(listed.contains(told), "{told} in {listed}");
    }
    assert!(browser.get("/console/holds?sink=ldap").await.body.contains("Nothing waits for a decision."));

    let page = browser.get("/console/hold?id=1").await.body;
    for told in ["ada", "team@example.com", "their account", "Engineering", "evt_8", "Approve…", "Reject…"]
    {
        assert!(page.contains(told), "{told} in {page}");
    }
    assert_eq!(browser.get("/console/hold?id=9").await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/console/hold").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_hold_is_approved_after_a_question_and_only_once() {
    let daemon = Daemon::with_ada_and_grace().await;
    held_in(&daemon).await;
    let mut browser = Browser::on_the_socket(&daemon);
    let question = browser.get("/console/hold/approve?id=1").await.body;
    assert!(question.contains("Remove 2 users from crm?"), "{question}");
    assert!(browser.get("/console/holds").await.body.contains("Hold 1"), "the question changes nothing");

    let fields = asked(&mut browser, "approve").await;
    let done = answer(&mut browser, "approve", &fields).await;
    assert_eq!(done.location(), "/console/hold?id=1&done=approved-2");
    let page = browser.get("/console/hold?id=1&done=approved-2").await.body;
    assert!(page.contains("2 changes are handed to the sink now."), "{page}");
    assert!(page.contains("by socket, user 1000") && !page.contains("Approve…"), "{page}");
    let again = answer(&mut browser, "reject", &fields).await;
    assert!(again.body.contains("hold 1 was approved"), "{}", again.body);
    assert!(browser.get("/console/hold/approve?id=1").await.body.contains("Nothing is left to decide"));
    assert!(browser.get("/console/holds?all=yes").await.body.contains("approved"));
}

#[tokio::test]
async fn what_is_rejected_is_dropped() {
    let daemon = Daemon::with_ada_and_grace().await;
    held_in(&daemon).await;
    let mut browser = Browser::on_the_socket(&daemon);
    let question = browser.get("/console/hold/reject?id=1").await.body;
    assert!(question.contains("Keep 2 users in crm as they are?"), "{question}");
    let fields = asked(&mut browser, "reject").await;
    assert_eq!(
        answer(&mut browser, "reject", &fields).await.location(),
        "/console/hold?id=1&done=rejected-2"
    );
    let user = browser.get("/console/user?id=diruser_ada").await.body;
    assert!(user.contains("behind: dropped from the queue"), "{user}");
}

#[tokio::test]
async fn more_than_was_asked_about_is_not_decided() {
    let daemon = Daemon::with_ada_and_grace().await;
    held_in(&daemon).await;
    let mut browser = Browser::on_the_socket(&daemon);
    let mut fields = asked(&mut browser, "approve").await;
    // One more came into the hold since then.
    fields[2].1 = "1".into();
    let refused = answer(&mut browser, "approve", &fields).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("1 change came into hold 1"), "{}", refused.body);
    assert!(browser.get("/console/holds").await.body.contains("Hold 1"));
}

#[tokio::test]
async fn who_may_only_read_sees_holds_and_decides_nothing() {
    let (daemon, address) = at_an_address().await;
    daemon.hears_of_ada_and_grace().await;
    held_in(&daemon).await;
    let mut browser = Browser::on_the_network(&daemon, address);
    browser.sign_in(READER).await;
    let page = browser.get("/console/hold?id=1").await.body;
    assert!(page.contains("their account") && !page.contains("Approve…"), "{page}");
    let csrf = browser.token().await;
    for decision in ["approve", "reject"] {
        assert!(
            !browser
                .get(&format!("/console/hold/{decision}?id=1"))
                .await
                .body
                .contains("<button class=\"danger\"")
        );
        let fields = [("csrf", csrf.as_str()), ("id", "1"), ("changes", "2")];
        let refused = browser.post(&format!("/console/hold/{decision}"), &fields).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{decision}");
        let forged = [("csrf", "x"), ("id", "1"), ("changes", "2")];
        let refused = browser.post(&format!("/console/hold/{decision}"), &forged).await;
        assert!(refused.body.contains("nothing was done"), "{}", refused.body);
    }
    assert!(browser.get("/console/holds").await.body.contains("Hold 1"));
}
