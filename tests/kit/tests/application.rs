//! The HTTP application keeps users, records requests and fails as told.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is the report")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use rolecall_testkit::{CertificateAuthority, Fault, HttpApplication};
use serde_json::{Value, json};

/// One request on a connection of its own; the status line and headers, and the body.
async fn ask(
    application: &HttpApplication,
    method: &str,
    path: &str,
    body: Value,
) -> std::io::Result<(String, Value)> {
    ask_with(application, method, path, body, "").await
}

async fn ask_with(
    application: &HttpApplication,
    method: &str,
    path: &str,
    body: Value,
    headers: &str,
) -> std::io::Result<(String, Value)> {
    let address = application.url().replace("http://", "");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = tokio::task::spawn_blocking(move || {
        let mut connection = TcpStream::connect(address)?;
        connection.write_all(request.as_bytes())?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    });
    let answer = answer.await.unwrap()?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
    let head = head.strip_prefix("HTTP/1.1 ").unwrap().to_owned();
    Ok((head, serde_json::from_str(body).unwrap_or(Value::Null)))
}

#[tokio::test]
async fn a_user_lives_from_post_to_delete() {
    let application = HttpApplication::start().await;
    let (head, made) =
        ask(&application, "POST", "/users", json!({"external_id": "u 1", "name": "Ann"})).await.unwrap();
    assert!(head.starts_with("201 ") && head.contains("location: /users/user-1"), "{head}");
    assert_eq!(made, json!({"id": "user-1", "external_id": "u 1", "name": "Ann"}));

    let (head, there) = ask(&application, "POST", "/users", json!({"external_id": "u 1"})).await.unwrap();
    assert!(head.starts_with("409 "), "{head}");
    assert_eq!(there, made);

    let (_, listed) = ask(&application, "GET", "/users?external_id=u%201", Value::Null).await.unwrap();
    assert_eq!(listed, json!([made]));
    let (_, listed) = ask(&application, "GET", "/users?external_id=u2", Value::Null).await.unwrap();
    assert_eq!(listed, json!([]));

    ask(&application, "PATCH", "/users/user-1", json!({"title": "CEO", "name": null})).await.unwrap();
    assert_eq!(application.users()["user-1"], json!({"id": "user-1", "external_id": "u 1", "title": "CEO"}));
    ask(&application, "PUT", "/users/user-1", json!({"external_id": "u1"})).await.unwrap();
    assert_eq!(application.users()["user-1"], json!({"id": "user-1", "external_id": "u1"}));

    let (head, _) = ask(&application, "DELETE", "/users/user-1", Value::Null).await.unwrap();
    assert!(head.starts_with("204 "), "{head}");
    for method in ["DELETE", "GET"] {
        let (head, _) = ask(&application, method, "/users/user-1", Value::Null).await.unwrap();
        assert!(head.starts_with("404 "), "{head}");
    }
    assert!(application.users().is_empty());
    let (head, _) = ask(&application, "POST", "/users", json!("no object")).await.unwrap();
    assert!(head.starts_with("400 "), "{head}");
}

#[tokio::test]
async fn requests_are_recorded_and_can_be_awaited() {
    let application = HttpApplication::start().await;
    let awaited =
        application.wait_for("a group is made", |requests| requests.iter().any(|r| r.method == "POST"));
    let asked = ask_with(&application, "POST", "/groups?dry=no", json!({"name": "Staff"}), "X-Key: 7\r\n");
    let (requests, _) = tokio::join!(awaited, asked);
    assert_eq!(requests[0].line(), "POST /groups?dry=no");
    assert_eq!(requests[0].header("x-key"), Some("7"));
    assert_eq!(requests[0].body, json!({"name": "Staff"}));
    assert_eq!(requests[0].status, Some(201));
    assert_eq!(application.groups()["group-1"]["name"], "Staff");
    application.forget_requests();
    assert!(application.requests().is_empty());
}

#[tokio::test]
async fn it_fails_as_often_as_told_and_then_no_more() {
    let application = HttpApplication::start().await;
    application.fail_next(2, Fault::status(429).header("Retry-After", "3"));
    for _ in 0..2 {
        let (head, _) = ask(&application, "POST", "/users", json!({})).await.unwrap();
        assert!(head.starts_with("429 ") && head.contains("retry-after: 3"), "{head}");
    }
    assert!(application.users().is_empty());
    let (head, _) = ask(&application, "POST", "/users", json!({})).await.unwrap();
    assert!(head.starts_with("201 "), "{head}");

    application.fail(Fault::status(500).body(json!("sorry")));
    for _ in 0..3 {
        let (head, body) = ask(&application, "GET", "/users", Value::Null).await.unwrap();
        assert!(head.starts_with("500 ") && body == "sorry", "{head}");
    }
    application.recover();
    let (head, _) = ask(&application, "GET", "/users", Value::Null).await.unwrap();
    assert!(head.starts_with("200 "), "{head}");
}

#[tokio::test]
async fn an_answer_can_be_lost_before_or_after_the_work() {
    let application = HttpApplication::start().await;
    application.fail_next(1, Fault::Close);
    ask(&application, "POST", "/users", json!({})).await.unwrap_err();
    assert!(application.users().is_empty());
    application.fail_next(1, Fault::LoseAnswer);
    ask(&application, "POST", "/users", json!({})).await.unwrap_err();
    assert_eq!(application.users().len(), 1);
    assert!(application.requests().iter().all(|request| request.status.is_none()));
}

#[tokio::test]
async fn a_hanging_request_is_recorded_and_ends_with_the_application() {
    let mut application = HttpApplication::start().await;
    application.fail_next(1, Fault::Hang);
    let address = application.url().replace("http://", "");
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut connection, b"GET /users HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let requests = application.wait_for("the request arrives", |requests| !requests.is_empty()).await;
    assert_eq!(requests[0].status, None);
    application.stop().await;
    let mut answer = Vec::new();
    // Cut: the end of the stream or a reset, but no answer.
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut connection, &mut answer).await;
    assert!(answer.is_empty());
}

#[tokio::test]
async fn stopped_it_refuses_and_comes_back_with_its_users_on_the_same_port() {
    let mut application = HttpApplication::start().await;
    let url = application.url();
    let id = application.insert_user(json!({"external_id": "u1"}));
    application.stop().await;
    let refused = ask(&application, "GET", "/users", Value::Null).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    application.restart().await;
    assert_eq!(application.url(), url);
    let (head, _) = ask(&application, "GET", &format!("/users/{id}"), Value::Null).await.unwrap();
    assert!(head.starts_with("200 "), "{head}");
}

#[tokio::test]
async fn without_its_token_nobody_is_served() {
    let application = HttpApplication::options().bearer("let me in").start().await;
    for wrong in ["", "Authorization: Bearer let me\r\n", "Authorization: let me in\r\n"] {
        let (head, _) = ask_with(&application, "POST", "/users", json!({}), wrong).await.unwrap();
        assert!(head.starts_with("401 "), "{head}");
    }
    assert!(application.users().is_empty());
    let (head, _) =
        ask_with(&application, "POST", "/users", json!({}), "Authorization: Bearer let me in\r\n")
            .await
            .unwrap();
    assert!(head.starts_with("201 "), "{head}");
}

#[tokio::test]
async fn tls_is_valid_under_its_authority_only() {
    let application = HttpApplication::options().tls(CertificateAuthority::new()).start().await;
    let other = HttpApplication::options().tls(CertificateAuthority::new()).start().await;
    let verified = |ca: std::path::PathBuf, address: String| async move {
        let output = tokio::process::Command::new("openssl")
            .args([
                "s_client",
                "-brief",
                "-verify_return_error",
                "-verify_ip",
                "127.0.0.1",
                "-connect",
                &address,
            ])
            .arg("-CAfile")
            .arg(ca)
            .stdin(std::process::Stdio::null())
            .output();
        output.await.unwrap().status.success()
    };
    let address = application.url().replace("https://", "");
    assert!(verified(application.ca_path(), address.clone()).await);
    assert!(!verified(other.ca_path(), address).await);
}
