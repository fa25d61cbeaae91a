//! Requests that no client of ours makes, and the ends of a conversation.

use http::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::Daemon;
use crate::admin::{AdminClient, ClientError};

/// The status and the body of the answer to a request as it stands.
async fn ask(daemon: &Daemon, request: &str) -> (StatusCode, Value) {
    let mut stream = UnixStream::connect(daemon.directory.path().join("admin.sock")).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/"), "{head}");
    let status = head.split(' ').nth(1).unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap())
}

async fn get(daemon: &Daemon, target: &str) -> (StatusCode, Value) {
    ask(daemon, &format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
}

async fn post(daemon: &Daemon, target: &str, body: &str) -> (StatusCode, Value) {
    let length = body.len();
    let head = format!(
        "POST {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    ask(daemon, &(head + body)).await
}

#[tokio::test]
async fn every_refusal_is_json_that_says_why() {
    let daemon = Daemon::start().await;
    let in_a_form = "POST /v1/queue/drop HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 12\r\n\r\n{\"all\": true}";
    let unannounced = format!(
        "POST /v1/queue/drop HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n4e20\r\n{}\r\n0\r\n\r\n",
        " ".repeat(20_000)
    );
    for ((status, body), expected, word) in [
        (get(&daemon, "/v1/nothing").await, StatusCode::NOT_FOUND, "nothing at this path"),
        (get(&daemon, "/v1/queue/drop").await, StatusCode::METHOD_NOT_ALLOWED, "method"),
        (post(&daemon, "/v1/status", "").await, StatusCode::METHOD_NOT_ALLOWED, "method"),
        (get(&daemon, "/v1/explain").await, StatusCode::BAD_REQUEST, "name"),
        (get(&daemon, "/v1/queue?snik=ldap").await, StatusCode::BAD_REQUEST, "snik"),
        (get(&daemon, "/v1/queue?state=lost").await, StatusCode::BAD_REQUEST, "lost"),
        (get(&daemon, "/v1/queue?limit=0").await, StatusCode::BAD_REQUEST, "1 to 1000"),
        (get(&daemon, "/v1/queue?limit=1001").await, StatusCode::BAD_REQUEST, "1 to 1000"),
        (get(&daemon, "/v1/queue?after=page2").await, StatusCode::UNPROCESSABLE_ENTITY, "after"),
        (get(&daemon, "/v1/store/check?after=1.2").await, StatusCode::UNPROCESSABLE_ENTITY, "after"),
        (get(&daemon, "/v1/export/users?after=page2").await, StatusCode::UNPROCESSABLE_ENTITY, "after"),
        (get(&daemon, "/v1/queue?sink=lpad").await, StatusCode::NOT_FOUND, "there are: crm, ldap"),
        (get(&daemon, &format!("/v1/queue?id={}", "x".repeat(9000))).await, StatusCode::URI_TOO_LONG, "8192"),
        (get(&daemon, "/v1/events/%ff").await, StatusCode::BAD_REQUEST, "UTF-8"),
        (get(&daemon, "/v1/events/evt_1?id=evt_2").await, StatusCode::BAD_REQUEST, "id"),
        (get(&daemon, "/v1/users/diruser_0").await, StatusCode::NOT_FOUND, "diruser_0"),
        (get(&daemon, "/v1/groups/dirgroup_0").await, StatusCode::NOT_FOUND, "dirgroup_0"),
        (get(&daemon, "/v1/sinks/lpad").await, StatusCode::NOT_FOUND, "there are: crm, ldap"),
        (get(&daemon, "/v1/activity?since=noon").await, StatusCode::BAD_REQUEST, "since"),
        (get(&daemon, "/v1/activity?event=evt_0").await, StatusCode::NOT_FOUND, "evt_0"),
        (post(&daemon, "/v1/events/replay", "{}").await, StatusCode::BAD_REQUEST, "the body"),
        (post(&daemon, "/v1/queue/drop", "{").await, StatusCode::BAD_REQUEST, "the body"),
        (post(&daemon, "/v1/queue/drop", "{\"any\":1}").await, StatusCode::BAD_REQUEST, "any"),
        (post(&daemon, "/v1/queue/drop", "{}").await, StatusCode::UNPROCESSABLE_ENTITY, "all"),
        (post(&daemon, "/v1/queue/drop", &" ".repeat(20_000)).await, StatusCode::PAYLOAD_TOO_LARGE, "large"),
        (ask(&daemon, &unannounced).await, StatusCode::PAYLOAD_TOO_LARGE, "large"),
        (ask(&daemon, in_a_form).await, StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json"),
    ] {
        let error = body["detail"].as_str().unwrap_or_default();
        assert_eq!(status, expected, "{error}");
        assert_eq!(body["status"], status.as_u16(), "{error}");
        assert!(error.contains(word), "{error:?} does not mention {word:?}");
    }
}

#[tokio::test]
async fn a_daemon_that_stops_lets_go_of_idle_connections_and_of_its_socket() {
    let daemon = Daemon::start().await;
    let path = daemon.directory.path().join("admin.sock");
    let mut idle = UnixStream::connect(&path).await.unwrap();
    // An answer shows that the connection was accepted.
    idle.write_all(b"GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_ne!(idle.read(&mut [0; 1024]).await.unwrap(), 0);

    daemon.stop.cancel();
    daemon.serving.await.unwrap();

    assert!(!path.exists());
    assert_eq!(idle.read(&mut [0; 1024]).await.unwrap(), 0);
    let error = daemon.client.status().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_daemon_that_is_not_there_is_said_to_be_so_with_the_socket_and_what_to_do() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("admin.sock");
    let missing = AdminClient::new(&path).status().await.unwrap_err().to_string();
    assert!(missing.contains(path.to_str().unwrap()), "{missing}");
    assert!(missing.contains("no such socket") && missing.contains("rolecall serve"), "{missing}");

    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let stale = AdminClient::new(&path).status().await.unwrap_err().to_string();
    assert!(stale.contains("nobody listens there any more"), "{stale}");
}
