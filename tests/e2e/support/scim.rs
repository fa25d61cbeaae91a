//! A SCIM server, as rolecall is told to speak to it.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_testkit::ScimServer;
use serde_json::Value;

use super::servers::{People, Standing};

/// The server.
pub(crate) struct Scim(pub(crate) ScimServer);

impl Scim {
    /// Starts one.
    pub(crate) async fn start() -> Self {
        Self(ScimServer::start().await)
    }

    /// The sink's section: a URL and a token.
    pub(crate) fn section(&self) -> String {
        let token = self.0.token_file();
        format!("type: scim\nbase_url: {}\nauth:\n  bearer: {{file: {}}}\n", self.0.url(), token.display())
    }

    /// Everybody whom the server has.
    ///
    /// # Panics
    /// When it has somebody twice.
    pub(crate) async fn people(&self) -> People {
        let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for group in self.0.groups().await.values() {
            for member in values(&group["members"]) {
                let name = group["displayName"].as_str().expect("a group has a name");
                groups.entry(member).or_default().insert(name.to_owned());
            }
        }
        let users = self.0.users().await;
        let standing = |(id, user): (&String, &Value)| {
            let name = user["userName"].as_str().expect("everybody has a name").to_owned();
            let standing = Standing {
                active: user["active"].as_bool().expect("active is true or false"),
                title: user["title"].as_str().map(str::to_owned),
                groups: groups.get(id).cloned().unwrap_or_default(),
                roles: values(&user["roles"]).collect(),
            };
            (name, standing)
        };
        let people: People = users.iter().map(standing).collect();
        assert_eq!(people.len(), users.len(), "somebody is there twice: {users:#?}");
        people
    }
}

fn values(attribute: &Value) -> impl Iterator<Item = String> {
    let items = attribute.as_array().map_or(&[][..], Vec::as_slice);
    items.iter().filter_map(|item| item["value"].as_str().map(str::to_owned))
}
