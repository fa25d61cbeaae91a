//! Pages as a browser gets them, over a real store, and forms as it and others send them.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use rolecall_sink_api::{Profile, UserId};

use super::{Console, Sessions};
use crate::admin::tests::access::{OWNER, READER, at_an_address};
use crate::admin::tests::{Daemon, dead};
use crate::admin::{Gate, Peer, Tokens};
use crate::config::{Access, AdminListenConfig, ClientConfig};
use crate::directory::Fact;

const HOST: &str = "localhost:8081";

/// A browser, with its cookie.
struct Browser {
    console: Arc<Console>,
    peer: Peer,
    cookie: Option<String>,
}

/// What it got.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn location(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        self.headers["location"].to_str().unwrap()
    }

    /// What the forms of the page carry.
    fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let at = self.body.find(&start).unwrap_or_else(|| panic!("no {name} in {}", self.body)) + start.len();
        self.body[at..].split('"').next().unwrap().to_owned()
    }
}

impl Browser {
    /// Behind `ssh -L 8081:/run/rolecall/admin.sock`.
    fn on_the_socket(daemon: &Daemon) -> Self {
        let console = Arc::new(Console::new(daemon.within(), None).unwrap());
        Self { console, peer: Peer::Process { uid: Some(1000) }, cookie: None }
    }

    fn on_the_network(daemon: &Daemon, address: SocketAddr) -> Self {
        let listen = AdminListenConfig {
            address,
            names: Vec::new(),
            tls: None,
            clients: Vec::new(),
            tokens: Vec::new(),
            allow_plaintext: false,
        };
        let console = Arc::new(Console::new(daemon.within(), Some(&listen)).unwrap());
        Self {
            console,
            peer: Peer::Network { address: ([127, 0, 0, 1], 40_000).into(), certificate: None },
            cookie: None,
        }
    }

    /// Another one that looks at the same console.
    fn another(&self) -> Self {
        Self { console: Arc::clone(&self.console), peer: self.peer.clone(), cookie: None }
    }

    async fn send(&mut self, method: Method, target: &str, headers: &[(&str, &str)], body: &str) -> Got {
        let mut request = Request::builder().method(method).uri(target);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", HOST);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let (head, body) = self.console.respond(request, &self.peer).await.into_parts();
        if let Some(cookie) = head.headers.get("set-cookie") {
            self.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
        let body = body.collect().await.unwrap().to_bytes();
        Got { status: head.status, headers: head.headers, body: String::from_utf8(body.into()).unwrap() }
    }

    async fn get(&mut self, target: &str) -> Got {
        self.send(Method::GET, target, &[], "").await
    }

    /// Sends a form as a page of the console does.
    async fn post(&mut self, target: &str, fields: &[(&str, &str)]) -> Got {
        let body = serde_urlencoded::to_string(fields).unwrap();
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", &format!("http://{HOST}")),
            ("sec-fetch-site", "same-origin"),
        ];
        self.send(Method::POST, target, &headers, &body).await
    }

    async fn token(&mut self) -> String {
        self.get("/console/rules/plan").await.field("csrf")
    }

    async fn sign_in(&mut self, token: &str) -> Got {
        let csrf = self.get("/console/login").await.field("csrf");
        self.post("/console/login", &[("csrf", &csrf), ("token", token)]).await
    }
}

/// Grace's change was refused for good by `crm`.
async fn with_a_dead_letter() -> Daemon {
    let daemon = Daemon::with_ada_and_grace().await;
    daemon.settle("crm", "diruser_grace", dead("422: no such plan")).await;
    daemon
}

#[tokio::test]
async fn every_page_is_shown_and_tells_the_browser_to_take_nothing_from_elsewhere() {
    let daemon = with_a_dead_letter().await;
    daemon.unreadable("msg_odd", "scalekit", b"odd").await;
    let mut browser = Browser::on_the_socket(&daemon);
    for page in [
        "/console",
        "/console?refresh=10",
        "/console/sink?name=crm",
        "/console/queue",
        "/console/queue?state=dead&sink=crm",
        "/console/queue/drop?state=dead",
        "/console/users",
        "/console/users?name=team@example.com",
        "/console/users?name=nobody",
        "/console/user?id=diruser_ada",
        "/console/events",
        "/console/events?status=unreadable",
        "/console/event?id=evt_2",
        "/console/rules",
        "/console/rules/version?number=1",
        "/console/rules/plan",
    ] {
        let got = browser.get(page).await;
        assert_eq!(got.status, StatusCode::OK, "{page}: {}", got.body);
        assert!(got.body.contains("<h1") && got.body.trim_end().ends_with("</html>"), "{page}");
        for tag in ["<script", " style=", "<style", "javascript:", "src=\"http", "href=\"http"] {
            assert!(!got.body.contains(tag), "{page} has {tag}: {}", got.body);
        }
        let policy = got.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self';"), "{policy}");
        assert_eq!(got.headers["cache-control"], "no-store");
        assert_eq!(got.headers["x-content-type-options"], "nosniff");
    }
    assert_eq!(browser.get("/").await.location(), "/console");
    assert_eq!(browser.get("/console/style.css").await.headers["content-type"], "text/css; charset=utf-8");
    for missing in ["/console/nothing", "/console/user?id=nobody", "/console/sink?name=none"] {
        assert_eq!(browser.get(missing).await.status, StatusCode::NOT_FOUND, "{missing}");
    }
}

#[tokio::test]
async fn whatever_an_identity_provider_sends_is_shown_as_text() {
    let daemon = Daemon::with_ada_and_grace().await;
    let hostile = format!("<script>alert(1)</script>\"'\u{202e}{}", "x".repeat(10_000));
    let user = UserId::new("<img src=x onerror=alert(1)>&id=\"2\"");
    let profile = Profile {
        display_name: Some(hostile.clone()),
        user_name: Some(hostile.clone()),
        ..Profile::default()
    };
    let fact = Fact::UserProfile {
        user: user.clone(),
        organization: None,
        origin: crate::directory::Origin::default(),
        profile: Box::new(profile),
    };
    daemon.event("evt_\"><b>", "2026-11-24T09:00:00Z", "<i>kind</i>", vec![fact]).await;
    daemon.settle("crm", user.as_str(), dead(&hostile)).await;

    let mut browser = Browser::on_the_socket(&daemon);
    let of_the_user = super::visit::link("/console/user", &[("id", Some(user.as_str()))]);
    let of_the_event = super::visit::link("/console/event", &[("id", Some("evt_\"><b>"))]);
    for page in
        [of_the_user.as_str(), &of_the_event, "/console/queue", "/console/events", "/console/sink?name=crm"]
    {
        let got = browser.get(page).await;
        assert_eq!(got.status, StatusCode::OK, "{page}: {}", got.body);
        for raw in ["<script", "<img src=x", "<b>", "<i>kind", "\u{202e}"] {
            assert!(!got.body.contains(raw), "{page} holds {raw}");
        }
        assert!(!got.body.contains(&"x".repeat(2001)), "{page} is as long as a name");
    }
    // And what goes back with a form is whole.
    let page = browser.get(&of_the_user).await;
    let csrf = page.field("csrf");
    let done = browser
        .post(
            "/console/queue/retry",
            &[("csrf", &csrf), ("sink", "crm"), ("id", user.as_str()), ("back", &of_the_user)],
        )
        .await;
    assert_eq!(done.location(), format!("{of_the_user}&done=retried-1"));
}

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
        (form(&Sessions::new().form_token(&super::SessionId::random())), vec![same]),
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

    let large = format!("{}&filler={}", form(&csrf), "x".repeat(super::MOST_FORM));
    let got = browser.send(Method::POST, "/console/queue/retry", &[same], &large).await;
    assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        browser.send(Method::POST, "/console/queue/retry", &[same], &form(&csrf)).await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn on_the_network_nobody_sees_anything_before_they_have_signed_in() {
    let (daemon, address) = at_an_address().await;
    daemon.hears_of_ada_and_grace().await;
    let mut browser = Browser::on_the_network(&daemon, address);
    for page in ["/console", "/console/user?id=diruser_ada", "/console/nothing"] {
        let to = super::visit::link("/console/login", &[("next", Some(page))]);
        assert_eq!(browser.get(page).await.location(), to);
    }
    let csrf = browser.get("/console/login").await.field("csrf");
    let refused = browser.post("/console/queue/retry", &[("csrf", &csrf), ("sink", "crm")]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);

    let wrong = browser.sign_in("do-all-do-all-do-al").await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(wrong.body.contains("none of those that are let in"), "{}", wrong.body);
    assert_eq!(browser.get("/console").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn whoever_shows_a_certificate_is_signed_in_by_that_as_far_as_their_access_goes() {
    let client = |name: &str, access| ClientConfig { name: name.into(), access };
    let clients = vec![client("olga", Access::Full), client("alice", Access::Read)];
    let daemon = Daemon::start_with(Gate::new(Tokens::default(), clients)).await;
    let mut browser = Browser::on_the_network(&daemon, ([127, 0, 0, 1], 8081).into());
    for (name, status, words) in [
        ("olga", StatusCode::OK, "certificate olga"),
        ("alice", StatusCode::OK, "certificate alice"),
        ("mallory", StatusCode::SEE_OTHER, ""),
    ] {
        let certificate = Some([name.to_owned()].into());
        browser.peer = Peer::Network { address: ([127, 0, 0, 1], 40_000).into(), certificate };
        let got = browser.get("/console").await;
        assert_eq!(got.status, status, "{name}");
        assert!(got.body.contains(words) && !got.body.contains("Sign out"), "{name}: {}", got.body);
    }
}

#[tokio::test]
async fn a_session_begins_with_a_new_id_and_ends_when_it_is_signed_out() {
    let (daemon, address) = at_an_address().await;
    let mut browser = Browser::on_the_network(&daemon, address);
    browser.get("/console/login").await;
    let before = browser.cookie.clone();
    let signed_in = browser.sign_in(OWNER).await;
    assert_eq!(signed_in.location(), "/console");
    let cookie = signed_in.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.ends_with("; Path=/console; HttpOnly; SameSite=Strict"), "{cookie}");
    let session = browser.cookie.clone();
    assert_ne!(session, before);
    let page = browser.get("/console").await;
    assert!(page.body.contains("token ops"), "{}", page.body);

    // Whoever knew the id that the browser had before has nothing.
    let mut other = browser.another();
    other.cookie = before;
    assert_eq!(other.get("/console").await.status, StatusCode::SEE_OTHER);

    let csrf = page.field("csrf");
    assert_eq!(browser.post("/console/logout", &[("csrf", &csrf)]).await.location(), "/console/login");
    browser.cookie = session;
    assert_eq!(browser.get("/console").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_page_asked_for_before_signing_in_is_shown_afterwards_and_no_other_site() {
    let (daemon, address) = at_an_address().await;
    daemon.hears_of_ada_and_grace().await;
    let mut browser = Browser::on_the_network(&daemon, address);
    let login = browser.get("/console/user?id=diruser_ada").await.location().to_owned();
    let form = browser.get(&login).await;
    assert!(
        form.body.contains("name=\"next\" value=\"&#x2f;console&#x2f;user?id=diruser_ada\""),
        "{}",
        form.body
    );
    let csrf = form.field("csrf");
    let fields = [("csrf", csrf.as_str()), ("token", OWNER), ("next", "/console/user?id=diruser_ada")];
    assert_eq!(browser.post("/console/login", &fields).await.location(), "/console/user?id=diruser_ada");

    let mut another = browser.another();
    let csrf = another.get("/console/login").await.field("csrf");
    let fields = [("csrf", csrf.as_str()), ("token", OWNER), ("next", "//evil.example")];
    assert_eq!(another.post("/console/login", &fields).await.location(), "/console");
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

#[tokio::test]
async fn rules_come_into_force_only_by_the_plan_that_was_seen() {
    let daemon = Daemon::with_ada_and_grace().await;
    let mut browser = Browser::on_the_socket(&daemon);
    let csrf = browser.token().await;
    let new = "rules:\r\n  - name: engineers\r\n    when: { group: Engineering }\r\n    grant: deployer\r\n";
    let planned = browser.post("/console/rules/plan", &[("csrf", &csrf), ("text", new)]).await;
    assert_eq!(planned.status, StatusCode::OK, "{}", planned.body);
    for told in ["2 users would have other roles", "+ deployer", "− engineer", "− member", ">ada<"] {
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
