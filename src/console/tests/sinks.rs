//! Sinks: how they are, paused, resumed and asked.

use super::*;

#[tokio::test]
async fn a_sink_is_paused_after_a_question_with_a_reason_and_resumed() {
    let daemon = Daemon::with_ada_and_grace().await;
    let mut browser = Browser::on_the_socket(&daemon);
    let question = browser.get("/console/sink/pause?name=crm").await;
    assert!(question.body.contains("Leavers keep their access there"), "{}", question.body);
    assert!(!browser.get("/console/sink?name=crm").await.body.contains("Paused since"));

    let csrf = question.field("csrf");
    let fields = [("csrf", csrf.as_str()), ("sink", "crm"), ("reason", "new server")];
    let paused = browser.post("/console/sink/pause", &fields).await;
    assert_eq!(paused.location(), "/console/sink?name=crm&done=paused-1");
    let page = browser.get("/console/sink?name=crm").await.body;
    for told in ["Paused since", "new server", "By socket, user 1000", "Resume"] {
        assert!(page.contains(told), "{told} in {page}");
    }
    let overview = browser.get("/console").await.body;
    for told in
        ["crm is paused by socket, user 1000, and 3 changes wait for it.", "rolecall sinks resume crm"]
    {
        assert!(overview.contains(told), "{told} in {overview}");
    }
    let fields = [("csrf", csrf.as_str()), ("sink", "crm"), ("back", "/console")];
    let resumed = browser.post("/console/sink/resume", &fields).await;
    assert_eq!(resumed.location(), "/console?done=resumed-1");
    assert!(!browser.get("/console/sink?name=crm").await.body.contains("Paused since"));

    let long = "x".repeat(501);
    let fields = [("csrf", csrf.as_str()), ("sink", "crm"), ("reason", &long)];
    let refused = browser.post("/console/sink/pause", &fields).await;
    assert!(refused.body.contains("at most 500 characters"), "{}", refused.body);
    assert_eq!(browser.get("/console/sink/pause?name=none").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_sink_that_is_asked_says_what_it_says() {
    let daemon = Daemon::with_ada_and_grace().await;
    let mut browser = Browser::on_the_socket(&daemon);
    let csrf = browser.token().await;
    let probed = browser.post("/console/sink/probe", &[("csrf", &csrf), ("sink", "ldap")]).await;
    assert_eq!(probed.status, StatusCode::OK);
    for told in
        ["It cannot be worked with", "connection refused", "href=\"&#x2f;console&#x2f;sink?name=ldap\""]
    {
        assert!(probed.body.contains(told), "{told} in {}", probed.body);
    }
}

#[tokio::test]
async fn the_overview_tells_at_once_which_sink_keeps_leavers_waiting() {
    let daemon = Daemon::with_ada_and_grace().await;
    let gone = vec![Fact::UserActive { user: UserId::new("diruser_ada"), active: false }];
    daemon.event("evt_5", "2026-11-24T09:30:00Z", "user_updated", gone).await;
    let mut browser = Browser::on_the_socket(&daemon);
    let overview = browser.get("/console").await.body;
    assert!(overview.contains("1 leaver"), "{overview}");
    assert!(overview.contains("events a second"), "{overview}");
    assert!(overview.contains("In the last minute"), "{overview}");
}
