//! A company's people and groups, and the events that its identity provider's directory sends about them.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

/// Where everybody works.
const ORGANIZATION: &str = "org_7";

/// One message, as it is sent and sent again.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// The event's id.
    pub(crate) id: String,
    /// The message's id.
    pub(crate) message_id: String,
    /// The body.
    pub(crate) body: String,
}

/// A person, as the directory has them.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// The directory's id.
    pub(crate) id: String,
    attributes: Map<String, Value>,
}

/// A group, as the directory has it.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The directory's id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
}

/// Every event has a number of its own, and happens after those before it.
fn next() -> (u64, Timestamp) {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // A clock may stand still between two events; their order must not.
    let tick = SignedDuration::from_micros(i64::try_from(count).unwrap());
    (count, Timestamp::now() + tick)
}

impl Event {
    /// An event of this kind in the documented shape.
    pub(crate) fn documented(kind: &str, data: Value) -> Self {
        let (count, at) = next();
        let id = format!("evt_{}", 7_000_000 + count);
        let body = json!({
            "spec_version": "1", "id": id, "type": format!("organization.{kind}"), "occurred_at": at.to_string(),
            "environment_id": "env_1", "organization_id": ORGANIZATION, "object": "Directory", "data": data,
        });
        Self { message_id: format!("msg_{count}"), id, body: body.to_string() }
    }

    /// An event of this kind in the simple shape of the guide.
    pub(crate) fn simple(kind: &str, data: Value) -> Self {
        let (count, at) = next();
        let id = format!("evt_simple_{count}");
        let body = json!({
            "id": id, "type": format!("organization.{kind}"), "timestamp": at.to_string(), "data": data,
        });
        Self { message_id: format!("msg_{count}"), id, body: body.to_string() }
    }

    /// Who is in a group from now on, and who is not: a message of the simple shape only.
    pub(crate) fn membership(group: &Group, added: &[&Person], removed: &[&Person]) -> Self {
        let ids = |people: &[&Person]| people.iter().map(|person| person.id.clone()).collect::<Vec<_>>();
        let data =
            json!({"group_id": group.id, "added_members": ids(added), "removed_members": ids(removed)});
        Self::simple("directory.group_membership_updated", data)
    }
}

impl Person {
    /// Somebody active, in no group, whose groups are not spoken of.
    pub(crate) fn new(name: &str) -> Self {
        let mut attributes = Map::new();
        let mut initial = name.chars();
        let given = initial.next().map(|first| first.to_uppercase().chain(initial).collect::<String>());
        for (key, value) in [
            ("preferred_username", json!(name)),
            ("email", json!(format!("{name}@example.com"))),
            ("given_name", json!(given)),
            ("family_name", json!("Example")),
            ("name", json!(given.map(|given| format!("{given} Example")))),
            ("active", json!(true)),
        ] {
            attributes.insert(key.to_owned(), value);
        }
        Self { id: format!("diruser_{name}"), attributes }
    }

    /// The same person with another value of an attribute, under Scalekit's name for it.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(key.to_owned(), value.into());
        self
    }

    /// The same person in exactly these groups.
    pub(crate) fn groups<'g>(self, groups: impl IntoIterator<Item = &'g Group>) -> Self {
        let groups: Value =
            groups.into_iter().map(|group| json!({"id": group.id, "name": group.name})).collect();
        self.with("groups", groups)
    }

    /// The same person, who may not have access any more.
    pub(crate) fn inactive(self) -> Self {
        self.with("active", false)
    }

    /// They joined.
    pub(crate) fn created(&self) -> Event {
        Event::documented("directory.user_created", self.data())
    }

    /// Something about them changed.
    pub(crate) fn updated(&self) -> Event {
        Event::documented("directory.user_updated", self.data())
    }

    /// They are gone.
    pub(crate) fn deleted(&self) -> Event {
        let email = &self.attributes["email"];
        let data = json!({"id": self.id, "organization_id": ORGANIZATION, "dp_id": "00u1", "email": email});
        Event::documented("directory.user_deleted", data)
    }

    /// What an event says of them.
    pub(crate) fn data(&self) -> Value {
        let mut data = self.attributes.clone();
        data.insert("id".into(), json!(self.id));
        data.insert("organization_id".into(), json!(ORGANIZATION));
        Value::Object(data)
    }
}

impl Group {
    /// A group of this name.
    pub(crate) fn new(name: &str) -> Self {
        Self { id: format!("dirgroup_{}", name.to_lowercase()), name: name.to_owned() }
    }

    /// The same group under another name.
    pub(crate) fn renamed(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    /// It was made.
    pub(crate) fn created(&self) -> Event {
        Event::documented("directory.group_created", self.data())
    }

    /// Something about it changed.
    pub(crate) fn updated(&self) -> Event {
        Event::documented("directory.group_updated", self.data())
    }

    /// It is gone.
    pub(crate) fn deleted(&self) -> Event {
        Event::documented("directory.group_deleted", self.data())
    }

    fn data(&self) -> Value {
        json!({
            "id": self.id, "directory_id": "dir_1", "organization_id": ORGANIZATION, "display_name": self.name,
            "external_id": null, "raw_attributes": {},
        })
    }
}
