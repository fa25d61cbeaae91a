//! The rules file as it is written. These types are its JSON Schema too.

mod condition;
mod moment;
mod one_or_many;
mod scalar;

use std::collections::BTreeMap;

use rolecall_sink_api::{GroupId, OrganizationId, RoleName};
use schemars::JsonSchema;

pub use condition::Condition;
pub(super) use condition::{AttributeMatch, AttributePattern, GroupPattern, NamePattern, TextOr};
pub use moment::Moment;
pub(super) use one_or_many::OneOrMany;
pub(super) use scalar::Scalar;

/// The rules file: from groups to roles.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RulesFile {
    /// The roles there are, each with a description or nothing. With this catalogue, a role that is not in it is an
    /// error; without it, any role may be granted. A name with `*` stands for all that are made by captures:
    /// `project-*`.
    pub roles: Option<BTreeMap<RoleName, Option<String>>>,
    /// The roles that every active user has.
    pub default: OneOrMany<RoleName>,
    /// For a role, the roles that whoever holds it holds too, and what those imply in turn. A role that a user does
    /// not hold in the end implies nothing.
    pub implies: BTreeMap<RoleName, OneOrMany<RoleName>>,
    /// Roles that exclude each other, the highest first, as `owner > admin > member`: of those that are granted a user
    /// holds the highest alone. A role is in one family at most.
    pub families: Vec<String>,
    /// Sets of roles of which no one may hold two.
    pub separate: Vec<SeparationEntry>,
    /// The rules, in any order: a user has every role that some rule grants, unless a rule denies it.
    pub rules: Vec<RuleEntry>,
    /// What the rules must say of made-up users. Rules that fail one are not put into force.
    pub tests: Vec<TestEntry>,
}

/// One rule: when its condition holds for a user, they have its roles.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleEntry {
    /// A name of the rule's own, for those who ask why somebody has a role.
    pub name: String,
    /// The condition.
    pub when: Condition,
    /// The roles that it grants. One may have captures of the condition's regular expressions in braces:
    /// `project-{project}`; it is then granted once for each group that matches. A role that cannot be a name, or is not
    /// in the catalogue, is not granted then.
    #[serde(default)]
    pub grant: OneOrMany<RoleName>,
    /// The roles that it takes away, whoever grants them; `*` stands for any characters, and braces for captures, as in
    /// `grant`. What is denied makes no room for another role: who is denied the highest of a family does not get the
    /// next one instead.
    #[serde(default)]
    pub deny: OneOrMany<RoleName>,
    /// From when on the rule is in force: a day (from its first moment, UTC) or a time with its offset. Default: always.
    #[serde(default)]
    pub from: Option<Moment>,
    /// From when on it is no longer in force, written as `from`: `until: 2026-07-01` is in force on 30 June for the last
    /// day. Default: never.
    #[serde(default)]
    pub until: Option<Moment>,
}

/// Roles of which no one may hold two.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeparationEntry {
    /// A name of its own, for those who ask why somebody lacks a role.
    pub name: String,
    /// The roles, two or more.
    pub roles: Vec<RoleName>,
    /// The one that a user keeps to whom several are granted. Default: none of them.
    #[serde(default)]
    pub keep: Option<RoleName>,
}

/// A made-up user, and the roles that the rules must give them.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestEntry {
    /// What is tested.
    pub name: String,
    /// The groups they are in, each by its name, or by some of name, id and organization.
    #[serde(default)]
    pub groups: Vec<TextOr<TestGroup>>,
    /// Their attributes, by the names that conditions use.
    #[serde(default)]
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// The roles that the identity provider gives them.
    #[serde(default)]
    pub provider_roles: OneOrMany<String>,
    /// Their organization.
    #[serde(default)]
    pub organization: Option<OrganizationId>,
    /// The directory they come from.
    #[serde(default)]
    pub directory: Option<String>,
    /// The source they come through.
    #[serde(default)]
    pub source: Option<String>,
    /// Whether they are active. Default: true.
    #[serde(default = "active")]
    pub active: bool,
    /// The time of the test, written as `from`. It is needed where the roles depend on the time.
    #[serde(default)]
    pub at: Option<Moment>,
    /// The roles, all of them, in any order.
    pub expect: OneOrMany<RoleName>,
}

fn active() -> bool {
    true
}

/// A group of a made-up user.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TestGroup {
    /// Its name. Default: its id.
    pub name: Option<String>,
    /// Its id. Default: its name.
    pub id: Option<GroupId>,
    /// Its organization. Default: none that is known.
    pub organization: Option<OrganizationId>,
}
