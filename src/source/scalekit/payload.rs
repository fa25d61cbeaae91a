//! What Scalekit sends, key by key. Keys that say nothing about a directory are not named here, and so are
//! skipped without being kept: `raw_attributes`, the largest part of most messages, before all.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::source::json::{Id, Object, Text, stated};

/// The envelope, whatever is in it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Envelope {
    pub(super) id: Id,
    #[serde(rename = "type")]
    pub(super) kind: Id,
    pub(super) occurred_at: Text,
    /// The simple shape's name for `occurred_at`.
    pub(super) timestamp: Text,
    pub(super) organization_id: Id,
}

/// The envelope again, for its content.
#[derive(Debug, Deserialize)]
pub(super) struct Content<D> {
    pub(super) data: Object<D>,
}

/// `user_created`, `user_updated`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct User {
    pub(super) id: Id,
    pub(super) organization_id: Id,
    pub(super) directory_id: Id,
    pub(super) active: Option<bool>,
    #[serde(deserialize_with = "stated")]
    pub(super) groups: Option<Vec<Object<GroupOfUser>>>,
    #[serde(deserialize_with = "stated")]
    pub(super) roles: Option<Vec<Object<RoleOfUser>>>,
    pub(super) dp_id: Text,
    pub(super) preferred_username: Text,
    pub(super) email: Text,
    pub(super) name: Text,
    pub(super) given_name: Text,
    pub(super) family_name: Text,
    pub(super) nickname: Text,
    pub(super) picture: Text,
    pub(super) profile: Text,
    pub(super) phone_number: Text,
    pub(super) address: Option<Object<Address>>,
    pub(super) title: Text,
    pub(super) department: Text,
    pub(super) division: Text,
    pub(super) cost_center: Text,
    pub(super) employee_id: Text,
    pub(super) user_type: Text,
    pub(super) organization: Text,
    pub(super) language: Text,
    pub(super) locale: Text,
    pub(super) zoneinfo: Text,
    pub(super) gender_pronoun: Text,
    pub(super) custom_attributes: Option<BTreeMap<String, Value>>,
}

/// One of a user's `groups`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GroupOfUser {
    pub(super) id: Id,
    pub(super) name: Text,
}

/// One of a user's `roles`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RoleOfUser {
    pub(super) role_name: Text,
}

/// A user's `address`. The documentation shows three of its keys; the others are named as in OpenID Connect
/// (Core 1.0 §5.1.1), and as identity providers are seen to name them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Address {
    pub(super) formatted: Text,
    pub(super) street_address: Text,
    pub(super) locality: Text,
    pub(super) city: Text,
    pub(super) region: Text,
    pub(super) state: Text,
    pub(super) postal_code: Text,
    pub(super) country: Text,
}

/// `user_deleted`, `group_deleted`: who or what is gone.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Gone {
    pub(super) id: Id,
}

/// `group_created`, `group_updated`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Group {
    pub(super) id: Id,
    pub(super) organization_id: Id,
    pub(super) display_name: Text,
    /// The simple shape's name for `display_name`.
    pub(super) name: Text,
    pub(super) external_id: Text,
    pub(super) dp_id: Text,
}

/// `group_membership_updated`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Membership {
    pub(super) group_id: Id,
    pub(super) added_members: Option<Vec<Id>>,
    pub(super) removed_members: Option<Vec<Id>>,
}

/// `directory_enabled`, `directory_disabled`. `enabled` is not read: the documented sample of an enabled
/// directory says `false`, and the type says it anyway.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Directory {
    pub(super) id: Id,
    pub(super) organization_id: Id,
    pub(super) provider: Text,
}
