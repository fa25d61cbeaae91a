//! The groups, and who is in them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rolecall_sink_api::{GroupId, Moment, OrganizationId, SinkName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Because, Page, PageToken, RoleExplanation, SinkExplanation, UsersPage};
use crate::store::{ActivityView, GroupItem, Status};

/// Where `GET` with a [`GroupsQuery`] answers a [`GroupsPage`].
pub const GROUPS: &str = "/v1/groups";
/// Where `GET` of a [`GroupQuery`] answers a [`GroupDetail`].
pub const GROUP: &str = "/v1/groups/{id}";
/// Where `GET` of a [`MembersQuery`] answers a [`MembersPage`].
pub const GROUP_MEMBERS: &str = "/v1/groups/{id}/members";

/// Which groups to list; a field that is missing matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GroupsQuery {
    /// Whose id or name has this in it, in upper or lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Of this status; none is inactive. Default: those that exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// How many at most: 100 when it is missing, never more than [`LARGEST_PAGE`](super::LARGEST_PAGE).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// [`Page::next`] of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<PageToken>,
}

/// One page of groups, in the order in which they were first heard of. A page may have few or no items although there are
/// more.
pub type GroupsPage = Page<GroupItem>;

/// One page of a group's members, as [`UsersPage`].
pub type MembersPage = UsersPage;

/// Which group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupQuery {
    /// The id.
    pub id: GroupId,
}

/// Whose members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MembersQuery {
    /// The group's id.
    pub id: GroupId,
    /// How many at most: 100 when it is missing, never more than [`LARGEST_PAGE`](super::LARGEST_PAGE).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// [`Page::next`] of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<PageToken>,
}

/// All that is known of one group but its members.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GroupDetail {
    /// When the daemon answered, by its own clock.
    #[schemars(with = "Moment")]
    pub now: Timestamp,
    /// The id.
    pub id: GroupId,
    /// The name; the id where none is stated.
    pub name: String,
    /// The organization, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The identity provider's own id, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Whether it exists.
    pub status: Status,
    /// The newest event that said that it exists, or that it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Because>,
    /// The roles that whoever has access and is in it has by that alone, each with its rules. Rules that ask for more
    /// than the group are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gives: Vec<RoleExplanation>,
    /// Grows each time that the sinks have something to do for this group.
    pub generation: u64,
    /// Every configured sink.
    pub sinks: BTreeMap<SinkName, SinkExplanation>,
    /// What was done, newest first.
    pub activity: Vec<ActivityView>,
}
