//! The documented messages, one of each kind, to try a configuration with.

use jiff::Timestamp;
use serde_json::{Value, json};

/// One documented message.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it says, in a few words.
    pub about: &'static str,
    /// The body, as it is sent.
    pub body: &'static str,
}

macro_rules! samples {
    ($($name:literal: $about:literal,)*) => {
        &[$(Sample {
            name: $name,
            about: $about,
            body: include_str!(concat!("samples/", $name, ".json")),
        }),*]
    };
}

/// All samples. The people and groups in them are the same ones throughout.
pub const SAMPLES: &[Sample] = samples! {
    "user_created": "a user with every attribute, two groups and a role",
    "user_updated": "the same user with another title and one group less",
    "user_left_groups": "the same user in no group (groups: null)",
    "user_deactivated": "the same user, no longer active",
    "user_deleted": "the same user, gone",
    "group_created": "a group",
    "group_updated": "the same group under another name",
    "group_deleted": "the same group, gone",
    "directory_enabled": "a connection to an identity provider, enabled",
    "directory_disabled": "the same connection, disabled",
    "organization_created": "an event that does not concern a directory",
    "simple_user_created": "a user in the simple shape, without groups",
    "simple_group_created": "a group in the simple shape",
    "group_membership_updated": "who joined and who left a group, in the simple shape",
};

impl Sample {
    /// The sample of this name.
    pub fn named(name: &str) -> Option<&'static Sample> {
        SAMPLES.iter().find(|sample| sample.name == name)
    }

    /// The body as a new event: with this id, and as of this time.
    pub fn as_of(&self, id: &str, at: Timestamp) -> String {
        let mut body: Value = serde_json::from_str(self.body).unwrap_or_default();
        body["id"] = json!(id);
        let time = if body.get("timestamp").is_some() { "timestamp" } else { "occurred_at" };
        body[time] = json!(at.to_string());
        body.to_string()
    }
}
