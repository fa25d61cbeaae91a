//! Who has signed in, and who has not.

use super::*;
use crate::admin::{Gate, Tokens};
use crate::config::{Access, ClientConfig};

#[tokio::test]
async fn on_the_network_nobody_sees_anything_before_they_have_signed_in() {
    let (daemon, address) = at_an_address().await;
    daemon.hears_of_ada_and_grace().await;
    let mut browser = Browser::on_the_network(&daemon, address);
    for page in ["/console", "/console/user?id=diruser_ada", "/console/nothing"] {
        let to = super::super::visit::link("/console/login", &[("next", Some(page))]);
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
async fn a_restart_ends_every_session_so_that_no_token_outlives_the_configuration() {
    let (daemon, address) = at_an_address().await;
    let mut browser = Browser::on_the_network(&daemon, address);
    browser.sign_in(OWNER).await;
    assert_eq!(browser.get("/console").await.status, StatusCode::OK);
    let mut after = Browser::on_the_network(&daemon, address);
    after.cookie = browser.cookie.clone();
    assert_eq!(after.get("/console").await.status, StatusCode::SEE_OTHER);
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
