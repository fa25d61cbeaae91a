//! What a sink reads back from its target.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{GroupId, RemoteId, RoleName, UserId};

/// One user or group that the target holds and this sink manages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Observed {
    /// A user.
    User(ObservedUser),
    /// A group.
    Group(ObservedGroup),
}

/// A user as the target holds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObservedUser {
    /// The target's own id: the same that `apply` returned.
    pub remote: RemoteId,
    /// The source's id, where the target keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<UserId>,
    /// Whether the user has access.
    pub active: bool,
    /// The groups the user is in, by the target's own id of each.
    #[serde(default)]
    pub groups: BTreeSet<RemoteId>,
    /// The roles the user has.
    #[serde(default)]
    pub roles: BTreeSet<RoleName>,
}

/// A group as the target holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObservedGroup {
    /// The target's own id: the same that `apply` returned.
    pub remote: RemoteId,
    /// The source's id, where the target keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<GroupId>,
    /// The group's name in the target.
    pub name: String,
}
