//! Names and ids, each a type of its own so that one cannot stand where another is meant.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the id as given: ids are opaque and compared byte by byte.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

string_id! {
    /// A user's id as the source names it (Scalekit: `diruser_…`).
    UserId
}
string_id! {
    /// A group's id as the source names it (Scalekit: `dirgroup_…`).
    GroupId
}
string_id! {
    /// The organization (the customer, the tenant) that a user or group belongs to (Scalekit: `org_…`).
    OrganizationId
}
string_id! {
    /// A role as the rules file names it.
    RoleName
}
string_id! {
    /// A sink's name: its key under `sinks:` in the configuration.
    SinkName
}

/// Which of the two kinds of thing a directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// A person's account.
    User,
    /// A named set of users.
    Group,
}

impl EntityKind {
    /// `"user"` or `"group"`.
    pub fn as_str(self) -> &'static str {
        match self {
            EntityKind::User => "user",
            EntityKind::Group => "group",
        }
    }
}

impl fmt::Display for EntityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A user or a group, by id: what a queue holds and a [`Change`](crate::Change) is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Entity {
    /// The user with this id.
    User(UserId),
    /// The group with this id.
    Group(GroupId),
}

impl Entity {
    /// Whether this is a user or a group.
    pub fn kind(&self) -> EntityKind {
        match self {
            Entity::User(_) => EntityKind::User,
            Entity::Group(_) => EntityKind::Group,
        }
    }

    /// The id alone, as text.
    pub fn id(&self) -> &str {
        match self {
            Entity::User(id) => id.as_str(),
            Entity::Group(id) => id.as_str(),
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.id())
    }
}
