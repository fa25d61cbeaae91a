//! Somebody, from the webhook to each store.

use super::*;

#[tokio::test]
async fn a_user_is_followed_from_the_webhook_to_each_store() {
    let daemon = with_a_dead_letter().await;
    let page = Browser::on_the_socket(&daemon).get("/console/user?id=diruser_grace").await.body;
    let timeline = &page[page.find("id=\"timeline\"").unwrap()..page.find("id=\"groups\"").unwrap()];
    // In the test, the committer's clock stands at a later time than the worker's.
    let order = [
        "user_created",
        "webhook",
        "crm",
        "dead letter",
        "422: no such plan",
        "directory",
        "created",
        "ldap",
        "waits for its turn",
    ];
    let mut at = 0;
    for told in order {
        at += timeline[at..].find(told).unwrap_or_else(|| panic!("{told} comes later in {timeline}"));
    }
    assert!(timeline.contains(">+58 min</time>"), "how long it took: {timeline}");
}
