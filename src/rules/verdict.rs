//! What goes into an evaluation and what comes out.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rolecall_sink_api::{GroupId, OrganizationId, Profile, RoleName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A user as the rules see them.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Whether they may have access. Who may not has no roles.
    pub active: bool,
    /// Their organization, where known.
    pub organization: Option<&'a OrganizationId>,
    /// The directory that they come from, where known.
    pub directory: Option<&'a str>,
    /// The source that what is known of them came through, where known.
    pub source: Option<&'a str>,
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

/// The roles of a user, and until when that can be said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The roles.
    pub roles: BTreeSet<RoleName>,
    /// Whether roles were withheld that no one may hold together.
    pub separated: bool,
    /// When to evaluate again even if nothing about the user changes: a rule comes into force or goes out of it, or a
    /// day that a condition asks for comes. `None`: never.
    pub next: Option<Timestamp>,
}

/// The roles of a user with every reason, and those they would have but for something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The roles, by name.
    pub grants: Vec<Grant>,
    /// Roles that some rule grants, or will grant or did grant by its time, and that the user does not have; by name.
    pub withheld: Vec<Withheld>,
    /// As [`Decision::next`].
    pub next: Option<Timestamp>,
}

/// A role that a user has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// The role.
    pub role: RoleName,
    /// Why: every rule that grants it, once for each group that makes it, in the order of their lines.
    pub reasons: Vec<Reason>,
}

/// One reason for a role, or against it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// The line of the rule in the rules file, from 1.
    pub line: u32,
    /// The rule's name; `default` for a default role, `implies` for one that another role brings.
    pub rule: String,
    /// The group that the rule matched, when it was a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// The role that brings it, when it is implied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implied_by: Option<RoleName>,
    /// From when on the rule is in force, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// From when on it is no longer in force, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A role that a user does not have, though a rule names it for them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Withheld {
    /// The role.
    pub role: RoleName,
    /// Why they would have it, as [`Grant::reasons`].
    pub reasons: Vec<Reason>,
    /// Why they do not.
    pub objections: Vec<Objection>,
}

/// Why a user does not have a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RoleObjection")]
#[serde(tag = "objection", rename_all = "snake_case")]
pub enum Objection<R = Reason> {
    /// A rule denies it.
    Denied(R),
    /// They are granted a higher role of the same family.
    Outranked {
        /// The higher one.
        by: RoleName,
        /// The line of the family.
        line: u32,
    },
    /// They are granted another role that no one may hold together with it.
    Separated {
        /// The others of the set that are granted.
        from: Vec<RoleName>,
        /// The name of the set.
        rule: String,
        /// Its line.
        line: u32,
    },
    /// No rule that grants it is in force at this time.
    NotInForce,
}

impl<R> Objection<R> {
    /// The same, with the reason told in another way.
    pub fn map<S>(self, tell: impl FnOnce(R) -> S) -> Objection<S> {
        match self {
            Self::Denied(reason) => Objection::Denied(tell(reason)),
            Self::Outranked { by, line } => Objection::Outranked { by, line },
            Self::Separated { from, rule, line } => Objection::Separated { from, rule, line },
            Self::NotInForce => Objection::NotInForce,
        }
    }
}
