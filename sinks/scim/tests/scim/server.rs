//! A SCIM server as a target.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use rolecall_sink_api::conformance::{
    Attribute, Capabilities, Held, HeldGroup, HeldUser, Target, TargetError,
};
use rolecall_sink_api::{GroupId, RoleName, Sink, User, UserId};
use rolecall_sink_scim::{Config, ScimSink};
use rolecall_testkit::{ScimServer, ScimServerOptions};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// A server, and how sinks on it are configured.
pub(crate) struct Server {
    pub(crate) running: Mutex<ScimServer>,
    pub(crate) more: Value,
    /// The number of changes in the suite's large batch.
    pub(crate) large_batch: usize,
}

impl Server {
    /// One that offers everything, and a sink that has a URL and a token and nothing else.
    pub(crate) async fn start() -> Self {
        Self::with(ScimServer::options(), json!({})).await
    }

    /// Another one; `more` is put into the sink's configuration.
    pub(crate) async fn with(options: ScimServerOptions, more: Value) -> Self {
        Self { running: Mutex::new(options.start().await), more, large_batch: 100 }
    }

    pub(crate) async fn scim_sink(&self) -> ScimSink {
        let server = self.running.lock().await;
        let mut config = json!({ "auth": { "bearer": { "file": server.token_file() } } });
        config.as_object_mut().unwrap().extend(self.more.as_object().unwrap().clone());
        sink(&server.url(), &config)
    }
}

/// A sink for the application at `url`; `more` is put into its configuration.
pub(crate) fn sink(url: &str, more: &Value) -> ScimSink {
    let mut config = json!({ "base_url": url });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let config: Config = serde_json::from_value(config).unwrap();
    ScimSink::new("app", config).unwrap()
}

#[async_trait]
impl Target for Server {
    fn capabilities(&self) -> Capabilities {
        Capabilities { large_batch: self.large_batch, ..Capabilities::default() }
    }

    async fn empty(&self) -> Result<(), TargetError> {
        self.running.lock().await.empty().await;
        Ok(())
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, TargetError> {
        Ok(Box::new(self.scim_sink().await))
    }

    async fn held(&self) -> Result<Held, TargetError> {
        let server = self.running.lock().await;
        let (users, groups) = (server.users().await, server.groups().await);
        let mut held = Held::default();
        let mut within: BTreeMap<String, BTreeSet<GroupId>> = BTreeMap::new();
        for group in groups.values() {
            let name = text(&group["displayName"]).ok_or("a group without a name")?;
            let Some(id) = text(&group["externalId"]).map(GroupId::new) else { continue };
            for member in items(&group["members"]) {
                let member = text(&member["value"]).ok_or("a member without an id")?;
                within.entry(member).or_default().insert(id.clone());
            }
            if held.groups.insert(id, HeldGroup { name }).is_some() {
                return Err(format!("two of {group}").into());
            }
        }
        for (remote, user) in &users {
            let Some(id) = text(&user["externalId"]) else { continue };
            let email = items(&user["emails"]).iter().find(|email| email["type"] == "work");
            let attributes = [
                (Attribute::UserName, text(&user["userName"])),
                (Attribute::Email, email.and_then(|email| text(&email["value"]))),
                (Attribute::DisplayName, text(&user["displayName"])),
            ];
            let roles = items(&user["roles"]).iter().filter_map(|role| text(&role["value"]));
            let found = HeldUser {
                active: user["active"].as_bool().ok_or("a user neither active nor not")?,
                groups: within.remove(remote).unwrap_or_default(),
                roles: roles.map(RoleName::new).collect(),
                attributes: attributes.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
            };
            if held.users.insert(UserId::new(id), found).is_some() {
                return Err(format!("two of {user}").into());
            }
        }
        Ok(held)
    }

    async fn seed_unmanaged(&self, twin: &User) -> Result<(), TargetError> {
        let server = self.running.lock().await;
        let twin = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": twin.profile.user_name,
            "emails": [{ "value": twin.profile.email, "type": "work" }],
            "roles": [{ "value": "theirs" }],
        });
        let id = server.insert("/Users", &twin).await;
        let group = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": "staff team",
            "members": [{ "value": id }],
        });
        server.insert("/Groups", &group).await;
        Ok(())
    }

    async fn unmanaged(&self) -> Result<Option<String>, TargetError> {
        let server = self.running.lock().await;
        let (users, groups) = (server.users().await, server.groups().await);
        let all = users.values().chain(groups.values());
        let others: Vec<&Value> = all.filter(|resource| resource["externalId"].is_null()).collect();
        Ok(Some(format!("{others:?}")))
    }

    async fn stop(&self) -> Result<bool, TargetError> {
        self.running.lock().await.stop().await;
        Ok(true)
    }

    async fn start(&self) -> Result<(), TargetError> {
        self.running.lock().await.restart().await;
        Ok(())
    }
}

pub(crate) fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

pub(crate) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
