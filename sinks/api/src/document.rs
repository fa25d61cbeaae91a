//! What should be true of a user or a group: the documents a sink is handed.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Entity, GroupId, OrganizationId, RoleName, UserId};

/// A user as every sink should hold them: the profile, and the groups and roles they have now.
///
/// Two equal documents ask for the same state, so a sink may compare them to skip work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// The source's id; never changes and is never given to somebody else.
    pub id: UserId,
    /// The organization the user belongs to, where the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Whether the user may have access. An inactive user stays known, but must not be able to sign in, and
    /// holds no roles.
    pub active: bool,
    /// The user's attributes.
    #[serde(flatten)]
    pub profile: Profile,
    /// The groups the user is a member of, by id, with each group's current name. Only groups that exist.
    #[serde(default)]
    pub groups: BTreeMap<GroupId, String>,
    /// The roles that the rules grant the user.
    #[serde(default)]
    pub roles: BTreeSet<RoleName>,
}

/// A user's attributes, under SCIM's names (RFC 7643 §4.1) in snake case. What is not set is absent: there
/// are no empty strings here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Profile {
    /// The identity provider's own id for the user (Okta's `00u…`); SCIM's `externalId`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The name the user signs in with; often the email address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// The primary email address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The full name, for display.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The given (first) name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// The family (last) name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// What the user likes to be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nick_name: Option<String>,
    /// The URL of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub photo: Option<String>,
    /// The URL of a profile page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_url: Option<String>,
    /// The primary phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// The postal address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The job title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The department.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// The division.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub division: Option<String>,
    /// The cost center.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_center: Option<String>,
    /// The employer's number for the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employee_number: Option<String>,
    /// Employee, contractor, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_type: Option<String>,
    /// The name of the organization the user works for (not its id).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_name: Option<String>,
    /// The preferred language, as in an `Accept-Language` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_language: Option<String>,
    /// The locale for dates and numbers, such as `en-US`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The IANA time zone, such as `Europe/Berlin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The pronouns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pronouns: Option<String>,
    /// Attributes that the customer mapped beyond the well-known ones.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, Value>,
}

/// A postal address (RFC 7643 §4.1.2).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Address {
    /// The whole address, formatted for a label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted: Option<String>,
    /// Street, house number, and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street_address: Option<String>,
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    /// State or region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// Country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

/// A group as every sink should hold it. Who is in it stands with each user, in [`User::groups`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// The source's id; never changes.
    pub id: GroupId,
    /// The organization the group belongs to, where the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The group's name. Not unique: two organizations may both have "Admins".
    pub name: String,
    /// The identity provider's own id for the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// What should be true of one entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Document {
    /// A user.
    User(Box<User>),
    /// A group.
    Group(Group),
}

impl Document {
    /// The entity the document is about.
    pub fn entity(&self) -> Entity {
        match self {
            Document::User(user) => Entity::User(user.id.clone()),
            Document::Group(group) => Entity::Group(group.id.clone()),
        }
    }

    /// The user, if the document is one.
    pub fn as_user(&self) -> Option<&User> {
        match self {
            Document::User(user) => Some(user),
            Document::Group(_) => None,
        }
    }

    /// The group, if the document is one.
    pub fn as_group(&self) -> Option<&Group> {
        match self {
            Document::Group(group) => Some(group),
            Document::User(_) => None,
        }
    }
}
