//! Forms as the console gives them out, and as others send them.

use super::*;

#[tokio::test]
async fn a_form_goes_nowhere_but_back_to_the_console() {
    let daemon = with_a_dead_letter().await;
    let mut browser = Browser::on_the_socket(&daemon);
    let csrf = browser.token().await;
    for back in ["https://evil.example/", "//evil.example", "/consoles", "javascript:alert(1)"] {
        let fields = [("csrf", csrf.as_str()), ("sink", "crm"), ("back", back)];
        let done = browser.post("/console/queue/retry", &fields).await;
        assert!(
            done.location().starts_with("/console/queue?state=dead&done=retried-"),
            "{}",
            done.location()
        );
    }
}

#[tokio::test]
async fn a_form_that_this_browser_was_not_given_changes_nothing() {
    let daemon = with_a_dead_letter().await;
    let mut browser = Browser::on_the_socket(&daemon);
    let csrf = browser.token().await;
    let form = |csrf: &str| format!("csrf={csrf}&sink=crm&id=diruser_grace");
    let same = ("sec-fetch-site", "same-origin");
    for (body, headers) in [
        ("sink=crm&id=diruser_grace".to_owned(), vec![same]),
        (form(""), vec![same]),
        (form(&Sessions::new().form_token(&super::super::SessionId::random())), vec![same]),
        (form(&browser.another().token().await), vec![same]),
        (form(&csrf), vec![("sec-fetch-site", "cross-site")]),
        (form(&csrf), vec![("sec-fetch-site", "same-site")]),
        (form(&csrf), vec![("origin", "https://evil.example")]),
        (form(&csrf), vec![("origin", "null")]),
    ] {
        let got = browser.send(Method::POST, "/console/queue/retry", &headers, &body).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{body} {headers:?}");
    }
    let to_another = [("host", "evil.example"), same];
    let got = browser.send(Method::POST, "/console/queue/retry", &to_another, &form(&csrf)).await;
    assert_eq!(got.status, StatusCode::MISDIRECTED_REQUEST);
    let as_get = browser.get(&format!("/console/queue/retry?{}", form(&csrf))).await;
    assert_eq!(as_get.status, StatusCode::NOT_FOUND);
    let page = browser.get("/console/queue?state=dead").await;
    assert!(page.body.contains("diruser_grace"), "it is still there: {}", page.body);

    let large = format!("{}&filler={}", form(&csrf), "x".repeat(super::super::MOST_FORM));
    let got = browser.send(Method::POST, "/console/queue/retry", &[same], &large).await;
    assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        browser.send(Method::POST, "/console/queue/retry", &[same], &form(&csrf)).await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn who_may_only_read_is_shown_no_button_and_refused_every_change() {
    let (daemon, address) = at_an_address().await;
    daemon.hears_of_ada_and_grace().await;
    daemon.settle("crm", "diruser_grace", dead("no")).await;
    let mut browser = Browser::on_the_network(&daemon, address);
    browser.sign_in(READER).await;
    for page in [
        "/console/queue?state=dead",
        "/console/user?id=diruser_grace",
        "/console/rules",
        "/console/sink?name=crm",
    ] {
        let body = browser.get(page).await.body;
        assert!(body.contains("may only read"), "{body}");
        let actions: Vec<&str> =
            body.split("action=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let harmless = ["/console/logout", "/console/users", "/console/queue", "/console/events"];
        assert!(actions.iter().all(|action| harmless.contains(action)), "{page}: {actions:?}");
    }
    let csrf = browser.token().await;
    for (path, fields) in [
        ("/console/queue/retry", vec![("sink", "crm")]),
        ("/console/queue/drop", vec![("sink", "crm")]),
        ("/console/sink/pause", vec![("sink", "crm")]),
        ("/console/sink/resume", vec![("sink", "crm")]),
        ("/console/sink/probe", vec![("sink", "crm")]),
        ("/console/events/replay", vec![]),
        ("/console/rules/reload", vec![]),
    ] {
        let fields: Vec<_> = fields.into_iter().chain([("csrf", csrf.as_str())]).collect();
        let got = browser.post(path, &fields).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{path}");
        assert!(got.body.contains("needs full access"), "{path}: {}", got.body);
    }
    assert!(browser.get("/console/queue?state=dead").await.body.contains("diruser_grace"));
}
