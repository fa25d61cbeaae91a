//! Who is let in over the network, and to what.

use std::net::SocketAddr;

use http::{Method, StatusCode};
use rolecall_sink_api::SecretSource;
use serde_json::Value;

use super::{Daemon, NOW};
use crate::admin::access::{Gate, Tokens};
use crate::admin::route::Route;
use crate::admin::routes;
use crate::config::{Access, TokenConfig};

pub(crate) const READER: &str = "read-me-read-me-read";
pub(crate) const OWNER: &str = "do-all-do-all-do-all";

/// A daemon that is listened to at an address too, by whoever has one of the two tokens.
pub(crate) async fn at_an_address() -> (Daemon, SocketAddr) {
    let directory = tempfile::TempDir::new().unwrap();
    let token = |name: &str, access, secret: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, secret).unwrap();
        TokenConfig { name: name.into(), access, secret: SecretSource::File(path) }
    };
    let tokens = [token("grafana", Access::Read, READER), token("ops", Access::Full, OWNER)];
    let daemon = Daemon::start_with(Gate::new(Tokens::read(&tokens).unwrap(), Vec::new())).await;
    let address = daemon.address;
    (daemon, address)
}

/// The status and the body of an answer to this token, or to none.
async fn ask(address: SocketAddr, method: Method, path: &str, token: Option<&str>) -> (StatusCode, Value) {
    let tls = (*rolecall_sink_api::tls::Tls::default().client_config().unwrap()).clone();
    let client = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap();
    let mut request = client.request(method.clone(), format!("http://{address}{path}"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if method == Method::POST {
        request = request.json(&serde_json::json!({}));
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    if status == StatusCode::UNAUTHORIZED {
        assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"rolecall\"");
    }
    (status, answer.json().await.unwrap_or_default())
}

/// A path of this route.
fn path(route: &Route) -> String {
    route.path_params().fold(route.path.to_owned(), |path, name| path.replace(&format!("{{{name}}}"), "x"))
}

#[tokio::test]
async fn every_route_that_needs_a_token_is_refused_without_one() {
    let (_daemon, address) = at_an_address().await;
    for route in routes::all() {
        let (status, _) = ask(address, route.method.clone(), &path(&route), None).await;
        let expected = if route.needs.is_none() { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        assert_eq!(status, expected, "{} {}", route.method, route.path);
    }
}

#[tokio::test]
async fn only_what_says_nothing_of_anybody_needs_no_token() {
    let open: Vec<&str> =
        routes::all().iter().filter(|route| route.needs.is_none()).map(|route| route.path).collect();
    assert_eq!(open, ["/v1/health", "/v1/ready"]);
}

#[tokio::test]
async fn whoever_may_read_cannot_change_anything() {
    let (_daemon, address) = at_an_address().await;
    for route in routes::all().iter().filter(|route| route.needs == Some(Access::Full)) {
        let (status, problem) = ask(address, route.method.clone(), &path(route), Some(READER)).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{} {}", route.method, route.path);
        assert!(problem["detail"].as_str().unwrap().contains("token grafana"), "{problem}");
    }
    for route in routes::all().iter().filter(|route| route.method == Method::POST) {
        assert!(route.needs == Some(Access::Full) || route.path == "/v1/rules/plan", "{}", route.path);
    }
}

#[tokio::test]
async fn a_token_lets_in_as_far_as_its_access_goes_and_a_wrong_one_does_not() {
    let (_daemon, address) = at_an_address().await;
    let (status, answer) = ask(address, Method::GET, "/v1/status", Some(READER)).await;
    assert_eq!((status, &answer["now"]), (StatusCode::OK, &Value::from(NOW)));
    let (status, _) = ask(address, Method::POST, "/v1/rules/reload", Some(OWNER)).await;
    assert_eq!(status, StatusCode::OK);
    let (status, problem) = ask(address, Method::GET, "/v1/status", Some("read-me-read-me-reat")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(problem["detail"].as_str().unwrap().contains("admin.listen.tokens"), "{problem}");
}

#[tokio::test]
async fn the_socket_needs_no_token_and_an_address_that_is_let_in_by_none_lets_nobody_in() {
    let daemon = Daemon::start_with(Gate::default()).await;
    assert!(daemon.client.status().await.is_ok());
    for token in [None, Some(""), Some(OWNER)] {
        let (status, _) = ask(daemon.address, Method::GET, "/v1/status", token).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{token:?}");
    }
}
