//! What people look for: users, groups and what was done to them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rolecall_sink_api::{Entity, GroupId, Moment, OrganizationId, RoleName, SinkName, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ActivityView, EventView, SinkView, Status};
use crate::directory::GroupState;

/// Some of what was looked for. Only so much is looked at for one answer that nothing waits for it, so there may be more
/// to find although few or none were found.
#[derive(Clone, Debug)]
pub struct Found<T, C> {
    /// What was found.
    pub items: Vec<T>,
    /// Go on behind this place; none at the end.
    pub next: Option<C>,
}

/// Which users or groups are meant; a field that is `None` matches all.
#[derive(Clone, Debug, Default)]
pub struct EntityFilter {
    /// Their id, or what they go by, has this in it, in upper or lower case: a user's user name or email address, a
    /// group's name.
    pub text: Option<String>,
    /// Their status; without it those who exist.
    pub status: Option<Status>,
    /// Users who have this role.
    pub role: Option<RoleName>,
}

/// A user in a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserItem {
    /// The id.
    pub id: UserId,
    /// What they log in as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// Their address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The organization, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Whether they exist and may have access.
    pub status: Status,
    /// The roles that the sinks are told.
    pub roles: Vec<RoleName>,
}

/// A group in a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupItem {
    /// The id.
    pub id: GroupId,
    /// The name; the id where none is stated.
    pub name: String,
    /// The organization, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Whether it exists.
    pub status: Status,
}

/// All that is known of one group but its members.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// The id.
    pub id: GroupId,
    /// The merged facts.
    pub state: GroupState,
    /// Whether it exists.
    pub status: Status,
    /// The generation of the desired document.
    pub generation: u64,
    /// What each configured sink confirmed, and what it still has to do.
    pub sinks: BTreeMap<SinkName, SinkView>,
    /// What was done, newest first.
    pub activity: Vec<ActivityView>,
    /// The journalled events that the facts name; those past retention are missing.
    pub events: BTreeMap<String, EventView>,
}

/// Which lines of activity are meant; a field that is `None` matches all.
#[derive(Clone, Debug, Default)]
pub struct ActivityFilter {
    /// In one sink.
    pub sink: Option<String>,
    /// Of one user or group, by its id.
    pub entity: Option<String>,
    /// What was done.
    pub what: Option<String>,
    /// From then on.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
}

/// A place in a listing that goes from the newest to the oldest. Opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityCursor(pub(super) i64);

/// Something that was done to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityItem {
    /// To whom or what.
    #[serde(flatten)]
    pub entity: Entity,
    /// When.
    #[schemars(with = "Moment")]
    pub at: Timestamp,
    /// In which sink; none in the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// What.
    pub what: String,
    /// The event behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The particulars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
