//! The contract, in both ways to configure memberships and roles.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rolecall_sink_api::conformance::{
    self, Attribute, Capabilities, Held, HeldGroup, HeldUser, Target, TargetError,
};
use rolecall_sink_api::{GroupId, RoleName, Sink, User, UserId};
use rolecall_sink_rest::RestSink;
use rolecall_testkit::HttpApplication;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::application::{config, one_by_one, whole_documents};

struct Application {
    running: Mutex<HttpApplication>,
    configure: fn(&str) -> Value,
}

impl Application {
    async fn start(configure: fn(&str) -> Value) -> Self {
        Self { running: Mutex::new(HttpApplication::start().await), configure }
    }
}

#[async_trait]
impl Target for Application {
    fn capabilities(&self) -> Capabilities {
        Capabilities { large_batch: 10_000, ..Capabilities::default() }
    }

    async fn empty(&self) -> Result<(), TargetError> {
        *self.running.lock().await = HttpApplication::start().await;
        Ok(())
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, TargetError> {
        let url = self.running.lock().await.url();
        Ok(Box::new(RestSink::new("app", config((self.configure)(&url), json!({})))?))
    }

    async fn held(&self) -> Result<Held, TargetError> {
        let application = self.running.lock().await;
        let mut held = Held::default();
        for group in application.groups().values() {
            let name = text(&group["name"]).ok_or("a group without a name")?;
            let id = GroupId::new(text(&group["external_id"]).ok_or("a group without our id")?);
            if held.groups.insert(id, HeldGroup { name }).is_some() {
                return Err(format!("two of {group}").into());
            }
        }
        for user in application.users().values() {
            let Some(id) = text(&user["external_id"]) else { continue };
            let groups = names(&user["groups"]).into_iter().map(GroupId::new);
            let attributes = [
                (Attribute::UserName, "user_name"),
                (Attribute::Email, "email"),
                (Attribute::DisplayName, "display_name"),
            ];
            let found = HeldUser {
                active: user["active"].as_bool().ok_or("a user neither active nor not")?,
                groups: groups.filter(|id| held.groups.contains_key(id)).collect(),
                roles: names(&user["roles"]).into_iter().map(RoleName::new).collect(),
                attributes: attributes
                    .into_iter()
                    .filter_map(|(attribute, key)| Some((attribute, text(&user[key])?)))
                    .collect(),
            };
            if held.users.insert(UserId::new(id), found).is_some() {
                return Err(format!("two of {user}").into());
            }
        }
        Ok(held)
    }

    async fn seed_unmanaged(&self, twin: &User) -> Result<(), TargetError> {
        let twin = json!({"user_name": twin.profile.user_name, "email": twin.profile.email, "active": true});
        self.running.lock().await.insert_user(twin);
        Ok(())
    }

    async fn unmanaged(&self) -> Result<Option<String>, TargetError> {
        let users = self.running.lock().await.users();
        let others: Vec<&Value> = users.values().filter(|user| user["external_id"].is_null()).collect();
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

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The items of a list, or the keys of an object.
fn names(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        Value::Object(fields) => fields.keys().cloned().collect(),
        _ => BTreeSet::new(),
    }
}

#[tokio::test]
async fn whole_documents_keep_the_contract() {
    let report = conformance::run(&Application::start(whole_documents).await).await;
    println!("{report}");
    assert!(report.passed(), "{report}");
}

#[tokio::test]
async fn one_request_each_keeps_the_contract() {
    let report = conformance::run(&Application::start(one_by_one).await).await;
    println!("{report}");
    assert!(report.passed(), "{report}");
}
