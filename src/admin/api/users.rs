//! Who somebody is, and why.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rolecall_sink_api::{GroupId, Moment, OrganizationId, Profile, RoleName, SinkName, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Page, PageToken};
use crate::deliver::Breaker;
use crate::rules::Objection;
use crate::store::{ActivityView, EventView, Pause, SinkView, Status, UserItem};

/// Where `GET` with an [`UsersQuery`] answers a [`UsersPage`].
pub const USERS: &str = "/v1/users";
/// Where `GET` of a [`UserQuery`] answers a [`UserDetail`].
pub const USER: &str = "/v1/users/{id}";
/// Where `GET` with an [`ExplainQuery`] answers [`Users`].
pub const EXPLAIN: &str = "/v1/explain";

/// Whom to explain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainQuery {
    /// An id; or a user name or an email address, in upper or lower case.
    pub name: String,
}

/// Everybody who goes by a name, at most ten.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Users {
    /// When the daemon answered, by its own clock.
    #[schemars(with = "Moment")]
    pub now: Timestamp,
    /// The rules file in force.
    pub rules_file: String,
    /// One user when the name is an id. Nobody: the list is empty.
    pub users: Vec<Explanation>,
}

/// Which users to list; a field that is missing matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UsersQuery {
    /// Whose id, user name or email address has this in it, in upper or lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Of this status. Default: those who exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Who have this role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleName>,
    /// How many at most: 100 when it is missing, never more than [`LARGEST_PAGE`](super::LARGEST_PAGE).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// [`Page::next`] of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<PageToken>,
}

/// One page of users, in the order in which they were first heard of. A page may have few or no items although there are
/// more: only so many users are looked at for one.
pub type UsersPage = Page<UserItem>;

/// Which user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserQuery {
    /// The id.
    pub id: UserId,
}

/// One user.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct UserDetail {
    /// When the daemon answered, by its own clock.
    #[schemars(with = "Moment")]
    pub now: Timestamp,
    /// The rules file in force.
    pub rules_file: String,
    /// All that is known of them, and why.
    pub user: Explanation,
}

/// All that is known of one user, and why.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The id.
    pub id: UserId,
    /// The organization, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Whether they exist and may have access.
    pub status: Status,
    /// What decides the status; none for somebody who was only heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_because: Option<Because>,
    /// The attributes; none for somebody who does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// What stated them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_because: Option<Because>,
    /// Every role that the rules grant now, with each reason. Nobody without access has a role.
    pub roles: Vec<RoleExplanation>,
    /// Roles that the user does not have though a rule names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<WithheldExplanation>,
    /// When the rules may say something else though nothing happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub next_evaluation: Option<Timestamp>,
    /// The roles that the sinks are told. They differ from `roles` for the moment that it takes to evaluate
    /// everybody again after the rules or a group changed.
    pub evaluated_roles: Vec<RoleName>,
    /// The provider's own roles.
    pub provider_roles: Vec<String>,
    /// Every group the user is in.
    pub groups: Vec<GroupExplanation>,
    /// Grows each time that the sinks have something to do for this user.
    pub generation: u64,
    /// Every configured sink.
    pub sinks: BTreeMap<SinkName, SinkExplanation>,
    /// What was done, newest first.
    pub activity: Vec<ActivityView>,
    /// The journalled events that are named here, by their ids; those past retention are missing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, EventView>,
}

/// How a user stands in one sink.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SinkExplanation {
    /// What the sink confirmed, and what it still has to do.
    #[serde(flatten)]
    pub view: SinkView,
    /// Whether deliveries to the sink go out at all; none while its worker is not running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    /// Somebody said that nothing is delivered to the sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// Whether the sink's scope leaves the user out: it must not have them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub out_of_scope: bool,
}

/// A role that a user does not have, why they would, and why they do not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WithheldExplanation {
    /// The role.
    pub role: RoleName,
    /// Each rule that grants it, in its time.
    pub reasons: Vec<RoleReason>,
    /// What stands against it.
    pub objections: Vec<RoleObjection>,
}

/// What stands against a role.
pub type RoleObjection = Objection<RoleReason>;

/// A role and why the user has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleExplanation {
    /// The role.
    pub role: RoleName,
    /// Each rule that grants it, once for each group that makes it.
    pub reasons: Vec<RoleReason>,
}

/// One reason for a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleReason {
    /// The rule's name.
    pub rule: String,
    /// Its line in the rules file, from 1.
    pub line: u32,
    /// The group that the rule matched, when it was a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupExplanation>,
    /// The role that brings it, when another one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implied_by: Option<RoleName>,
    /// From when on the rule is in force, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub from: Option<Timestamp>,
    /// From when on it is no longer in force, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub until: Option<Timestamp>,
}

/// A group that the user is in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupExplanation {
    /// Its id.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// What put the user there.
    pub because: Because,
}

/// The event that a fact comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Because {
    /// The event's id.
    pub event: String,
    /// The time it states.
    #[schemars(with = "Moment")]
    pub at: Timestamp,
    /// The sender's name for its kind; none once the journal has forgotten it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// When it arrived; none once the journal has forgotten it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub received_at: Option<Timestamp>,
}
