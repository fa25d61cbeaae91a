//! New rules, seen before they come into force.

use super::*;

#[tokio::test]
async fn rules_come_into_force_only_by_the_plan_that_was_seen() {
    let daemon = Daemon::with_ada_and_grace().await;
    let mut browser = Browser::on_the_socket(&daemon);
    let csrf = browser.token().await;
    let new = "rules:\r\n  - name: engineers\r\n    when: { group: Engineering }\r\n    grant: deployer\r\n";
    let planned = browser.post("/console/rules/plan", &[("csrf", &csrf), ("text", new)]).await;
    assert_eq!(planned.status, StatusCode::OK, "{}", planned.body);
    for told in
        ["2 users would have other roles", "+&nbsp;deployer", "−&nbsp;engineer", "−&nbsp;member", ">ada<"]
    {
        assert!(planned.body.contains(told), "{told} in {}", planned.body);
    }
    let seal = planned.field("seal");
    let apply = |text: &'static str, seal: &str| {
        vec![
            ("csrf", csrf.clone()),
            ("seal", seal.to_owned()),
            ("name", "the text".into()),
            ("text", text.into()),
        ]
    };
    let post = async |browser: &mut Browser, fields: Vec<(&str, String)>| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        browser.post("/console/rules/apply", &fields).await
    };
    let other = post(&mut browser, apply("rules: []\n", &seal)).await;
    assert_eq!(other.status, StatusCode::CONFLICT, "{}", other.body);
    assert_eq!(post(&mut browser, apply(new, "")).await.status, StatusCode::CONFLICT);
    assert_eq!(post(&mut browser, apply(new, &seal)).await.location(), "/console/rules?done=rules-2");
    // Version 2 is in force now: the plan was of what version 1 gave.
    assert_eq!(post(&mut browser, apply(new, &seal)).await.status, StatusCode::CONFLICT);
    assert!(browser.get("/console/rules").await.body.contains("grant: deployer"));

    let back = browser.post("/console/rules/plan", &[("csrf", &csrf), ("version", "1")]).await;
    assert!(back.body.contains("Go back to version 1"), "{}", back.body);
    let seal = back.field("seal");
    let done =
        post(&mut browser, vec![("csrf", csrf.clone()), ("seal", seal), ("version", "1".into())]).await;
    assert_eq!(done.location(), "/console/rules?done=rules-3");
    assert!(browser.get("/console/rules").await.body.contains("by going back to version 1"));
}

#[tokio::test]
async fn what_is_wrong_with_rules_is_shown_with_its_line_and_the_text_stays() {
    let daemon = Daemon::with_ada_and_grace().await;
    let mut browser = Browser::on_the_socket(&daemon);
    let csrf = browser.token().await;
    let text = "rules:\n  - name: engineers\n    wehn: { group: Engineering }\n    grant: deployer\n";
    let got = browser.post("/console/rules/plan", &[("csrf", &csrf), ("text", text)]).await;
    assert_eq!(got.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(got.body.contains("the text:3:5") && got.body.contains("^^^^"), "{}", got.body);
    assert!(got.body.contains("wehn: { group: Engineering }\n    grant: deployer"), "{}", got.body);
    let status = daemon.client.status().await.unwrap();
    assert_eq!(status.rules.rejected, None, "a plan turns nothing down");
}
