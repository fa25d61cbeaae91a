//! A rules file that was found right.

use std::collections::BTreeMap;

use rolecall_sink_api::RoleName;

use super::file::{Condition, TestEntry};
use super::template::Template;

/// All that a rules file says, with the lines where it says it. Conditions are as they are written, and known to
/// compile.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Book {
    pub(super) catalogue: Option<Catalogue>,
    pub(super) defaults: Defaults,
    pub(super) implied: Vec<Implied>,
    pub(super) families: Vec<Family>,
    pub(super) separations: Vec<Separation>,
    pub(super) rules: Vec<Rule>,
    pub(super) tests: Vec<LinedTest>,
}

/// The roles there are, with their descriptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Catalogue {
    pub(super) roles: BTreeMap<RoleName, Option<String>>,
}

impl Catalogue {
    /// Whether there is a role of this name: as it stands, or as one of those that a name with a star stands for.
    pub(super) fn has(&self, role: &str) -> bool {
        self.roles.contains_key(role) || self.roles.keys().any(|known| stands_for(known.as_str(), role))
    }

    /// Whether some role can begin so.
    pub(super) fn has_beginning(&self, prefix: &str) -> bool {
        self.roles.keys().any(|known| {
            let known = known.as_str();
            let head = known.split('*').next().unwrap_or(known);
            head.starts_with(prefix) || (known.contains('*') && prefix.starts_with(head))
        })
    }
}

/// Whether a name with stars stands for `role`.
pub(super) fn stands_for(pattern: &str, role: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| role.strip_prefix(head)) else { return false };
    let mut last = None;
    for part in parts {
        // The part before the last one that is found earliest leaves most for what follows.
        if let Some(middle) = last.replace(part) {
            let Some((_, after)) = rest.split_once(middle) else { return false };
            rest = after;
        }
    }
    last.map_or(rest.is_empty(), |tail: &str| rest.ends_with(tail))
}

/// The roles of every active user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Defaults {
    pub(super) line: u32,
    pub(super) roles: Vec<RoleName>,
}

/// What a role brings with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Implied {
    pub(super) line: u32,
    pub(super) role: RoleName,
    pub(super) brings: Vec<RoleName>,
}

/// Roles that exclude each other, the highest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Family {
    pub(super) line: u32,
    pub(super) roles: Vec<RoleName>,
}

/// Roles of which no one may hold two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Separation {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) roles: Vec<RoleName>,
    pub(super) keep: Option<RoleName>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) when: Condition,
    pub(super) grant: Vec<Named>,
    pub(super) deny: Vec<Named>,
    pub(super) window: Window,
}

/// A role as a rule names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// This one.
    Role(RoleName),
    /// Those that a name with stars stands for.
    Pattern(String),
    /// One made from captures.
    Made(Template),
}

/// When a rule is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Option<jiff::Timestamp>,
    pub(super) until: Option<jiff::Timestamp>,
}

/// One of the file's own tests.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LinedTest {
    pub(super) line: u32,
    /// Where what it expects stands.
    pub(super) place: crate::yaml::Place,
    pub(super) entry: TestEntry,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, role, expected) in [
            ("*", "anything", true),
            ("project-*", "project-apollo", true),
            ("project-*", "project-", true),
            ("project-*", "projects", false),
            ("*-admin", "acme-admin", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
            ("plain", "plain", true),
            ("plain", "plainer", false),
        ] {
            assert_eq!(stands_for(pattern, role), expected, "{pattern} {role}");
        }
    }
}
