//! The SCIM server keeps users, notes requests, judges them, and can be out of reach.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is the report")]

use http::Method;
use rolecall_testkit::ScimServer;
use serde_json::{Value, json};
use tokio::net::TcpStream;

fn account(name: &str) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name })
}

#[tokio::test]
async fn what_it_holds_outlives_being_out_of_reach() {
    let mut server = ScimServer::start().await;
    let id = server.insert("/Users", &account("ada")).await;
    let address = server.url().replace("http://", "").replace("/v2", "");
    assert!(TcpStream::connect(&address).await.is_ok());
    server.stop().await;
    assert!(TcpStream::connect(&address).await.is_err());
    server.restart().await;
    assert!(TcpStream::connect(&address).await.is_ok());
    assert_eq!(server.users().await[&id]["userName"], "ada");
    server.empty().await;
    assert!(server.users().await.is_empty());
}

#[tokio::test]
async fn every_request_is_noted_and_judged() {
    let server = ScimServer::start().await;
    server.insert("/Users", &account("ada")).await;
    let noted = server.requests();
    assert_eq!((&noted[0]["method"], &noted[0]["path"]), (&json!("POST"), &json!("/v2/Users")));
    assert_eq!(noted[0]["status"], 201);
    assert_eq!(server.judged().await, json!({ "POST": 1 }));
}

#[tokio::test]
#[should_panic(expected = "emails.0.vaIue")]
async fn a_request_that_is_wrong_is_found() {
    let server = ScimServer::start().await;
    let id = server.insert("/Users", &account("ada")).await;
    let mut wrong = account("ada");
    wrong["emails"] = json!([{ "vaIue": "ada@example.com" }]);
    server.ask(Method::PUT, &format!("/Users/{id}"), Some(&wrong)).await;
    server.judged().await;
}
