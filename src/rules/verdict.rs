//! What goes into an evaluation and what comes out.

use std::collections::BTreeSet;

use rolecall_sink_api::{GroupId, OrganizationId, Profile, RoleName};
use serde::{Deserialize, Serialize};

/// A user as the rules see them.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Their organization, where known.
    pub organization: Option<&'a OrganizationId>,
    /// Their attributes.
    pub profile: &'a Profile,
    /// The roles that the identity provider itself gives them.
    pub provider_roles: &'a BTreeSet<String>,
    /// The groups they are in.
    pub groups: &'a [SubjectGroup<'a>],
}

/// A group that a user is in.
#[derive(Clone, Copy, Debug)]
pub struct SubjectGroup<'a> {
    /// Its id.
    pub id: &'a GroupId,
    /// Its name.
    pub name: &'a str,
    /// Its organization, where known.
    pub organization: Option<&'a OrganizationId>,
}

/// A role that a user has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// The role.
    pub role: RoleName,
    /// Why: every rule that grants it, once for each group that makes it.
    pub reasons: Vec<Reason>,
}

/// One reason for a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// The line of the rule in the rules file, from 1.
    pub line: u32,
    /// The rule's name, or `default`.
    pub rule: String,
    /// The group that the rule matched, when it was a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
}
