//! Pages as a browser gets them, over a real store, and forms as it and others send them.

mod forms;
mod holds;
mod people;
mod queue;
mod rules;
mod sessions;
mod sinks;
mod users;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use rolecall_sink_api::{Profile, UserId};

use super::{Console, Sessions};
use crate::admin::Peer;
use crate::admin::tests::access::{OWNER, READER, at_an_address};
use crate::admin::tests::{Daemon, dead};
use crate::config::AdminListenConfig;
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
        let peer = Peer::Network { address: ([127, 0, 0, 1], 40_000).into(), certificate: None };
        Self { console, peer, cookie: None }
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
    let daemon = Daemon::with_ada_and_grace().await;
    holds::held_in(&daemon).await;
    daemon.settle("ldap", "diruser_grace", dead("422: no such plan")).await;
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
        "/console/users?role=engineer",
        "/console/groups",
        "/console/groups?name=none",
        "/console/group?id=dirgroup_eng",
        "/console/holds",
        "/console/holds?all=yes",
        "/console/hold?id=1",
        "/console/hold/approve?id=1",
        "/console/hold/reject?id=1",
        "/console/sink/pause?name=crm",
        "/console/queue?state=held",
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
