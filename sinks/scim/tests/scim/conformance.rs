//! The contract, on a server that offers everything, and on such that offer less.

use rolecall_sink_api::conformance;
use rolecall_testkit::ScimServer;
use serde_json::{Value, json};

use crate::server::Server;

/// A ServiceProviderConfig with this in the place of what is offered otherwise.
pub(crate) fn offers(less: &Value) -> Value {
    let mut config = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": 1000 },
        "changePassword": { "supported": false },
        "sort": { "supported": false },
        "etag": { "supported": false },
        "authenticationSchemes": [],
    });
    config.as_object_mut().unwrap().extend(less.as_object().unwrap().clone());
    config
}

async fn keeps_the_contract(server: Server) {
    let report = conformance::run(&server).await;
    println!("{report}");
    assert!(report.passed(), "{report}");
}

#[tokio::test]
async fn a_url_and_a_token_keep_the_contract() {
    keeps_the_contract(Server::start().await).await;
}

#[tokio::test]
async fn one_request_each_keeps_the_contract_without_bulk_and_versions() {
    let options = ScimServer::options().service_provider_config(offers(&json!({})));
    keeps_the_contract(Server::with(options, json!({})).await).await;
}

#[tokio::test]
async fn whole_resources_keep_the_contract_without_patch() {
    let less = json!({ "patch": { "supported": false }, "etag": { "supported": true } });
    let options = ScimServer::options().service_provider_config(offers(&less));
    // Every membership is a group read and written with all of its members, one after the other.
    let server = Server { large_batch: 40, ..Server::with(options, json!({})).await };
    keeps_the_contract(server).await;
}

#[tokio::test]
#[ignore = "takes minutes, for scim2-server looks through everybody for each request; with `cargo test -p rolecall-sink-scim -- --ignored`"]
async fn ten_thousand_changes_go_through() {
    let server = Server { large_batch: 10_000, ..Server::start().await };
    let report = conformance::run_matching(&server, "large_batch").await;
    assert!(report.passed(), "{report}");
}
