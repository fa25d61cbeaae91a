//! Dead letters, and messages that could not be read.

use super::*;

#[tokio::test]
async fn a_dead_letter_is_retried_and_another_dropped_after_a_question() {
    let daemon = with_a_dead_letter().await;
    let mut browser = Browser::on_the_socket(&daemon);
    let page = browser.get("/console/queue?state=dead").await;
    assert!(page.body.contains("422: no such plan") && page.body.contains("diruser_grace"), "{}", page.body);
    let csrf = page.field("csrf");
    let fields = [
        ("csrf", csrf.as_str()),
        ("sink", "crm"),
        ("id", "diruser_grace"),
        ("back", "/console/queue?state=dead"),
    ];
    let after = browser.post("/console/queue/retry", &fields).await.location().to_owned();
    let page = browser.get(&after).await;
    assert!(
        page.body.contains("1 item is due now.") && page.body.contains("No dead letters here."),
        "{}",
        page.body
    );

    daemon.settle("crm", "diruser_ada", dead("no")).await;
    let question = browser.get("/console/queue/drop?sink=crm&id=diruser_ada&state=dead").await;
    assert!(question.body.contains("Drop 1 item?"), "{}", question.body);
    let (csrf, id) = (question.field("csrf"), question.field("id"));
    let fields = [("csrf", csrf.as_str()), ("sink", "crm"), ("id", &id), ("state", "dead")];
    assert_eq!(
        browser.post("/console/queue/drop", &fields).await.location(),
        "/console/queue?state=dead&sink=crm&done=dropped-1"
    );
    let user = browser.get("/console/user?id=diruser_ada").await;
    assert!(user.body.contains("never confirmed, and nothing waits"), "{}", user.body);
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_read_again_on_request() {
    let daemon = Daemon::with_ada_and_grace().await;
    daemon.unreadable("msg_odd", "scalekit", b"odd").await;
    let mut browser = Browser::on_the_socket(&daemon);
    let page = browser.get("/console/events?status=unreadable").await;
    let csrf = page.field("csrf");
    let done = browser.post("/console/events/replay", &[("csrf", &csrf)]).await;
    assert_eq!(done.location(), "/console/events?status=unreadable&done=read-1");
    assert!(
        browser
            .get("/console/events?status=unreadable&done=read-1")
            .await
            .body
            .contains("1 message was read again")
    );
}
