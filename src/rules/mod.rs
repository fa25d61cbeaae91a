//! Rules: from groups to roles, with reasons. Pure: no I/O, no clock, no async.
//!
//! [`Rules::parse`] reads the rules file; [`Rules::decide`] says which roles one user has, and [`Rules::explain`] why. The
//! result depends on the rules, the user and the time alone: not on the order of rules, groups or calls.

mod attribute;
mod book;
mod condition;
mod evaluate;
mod file;
mod fingerprint;
mod index;
mod parse;
mod pattern;
mod resolve;
mod scope;
mod template;
mod tested;
#[cfg(test)]
mod tests;
mod verdict;

use jiff::Timestamp;
use rolecall_sink_api::{Profile, RoleName};

pub use file::{Condition, Moment, RulesFile};
pub use fingerprint::Fingerprint;
pub use scope::{Scope, ScopeEntry, Scopes};
pub use tested::TestRun;
pub use verdict::{Decision, Grant, Objection, Reason, Subject, SubjectGroup, Verdict, Withheld};

use crate::yaml::{Report, Reports, Source};

/// Everything that is wrong with a rules file: each with its line, a caret, and what would be right.
pub type RulesError = Reports;

/// Rules in force.
///
/// What one evaluation costs grows with the user's groups, and not with the number of rules that name their
/// groups exactly.
#[derive(Clone, Debug)]
pub struct Rules {
    index: index::Index,
    fingerprint: Fingerprint,
    tests: usize,
}

impl Rules {
    /// No rules: nobody has any role.
    pub fn none() -> Self {
        Self { index: index::Index::default(), fingerprint: Fingerprint::of_all([]), tests: 0 }
    }

    /// Reads a rules file and runs its tests; `file_name` is for messages.
    ///
    /// # Errors
    /// Everything that is wrong with it, or every test that fails.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, RulesError> {
        let (rules, runs) = Self::test(file_name, text)?;
        let source = Source { name: file_name, text };
        let failures = runs.into_iter().filter_map(|run| run.failure);
        Reports::none_of(failures.map(|fault| Report::new(source, fault)).collect())?;
        Ok(rules)
    }

    /// [`Rules::parse`], and every test with how it ended: rules that fail one are not to be put into force.
    ///
    /// # Errors
    /// Everything that is wrong with the file but its tests.
    pub fn test(file_name: &str, text: &str) -> Result<(Self, Vec<TestRun>), RulesError> {
        let (mut book, fingerprint) = parse::parse(file_name, text)?;
        let tests = std::mem::take(&mut book.tests);
        let index = index::Index::new(book).map_err(|error| {
            Report::of_file(file_name, format!("the patterns are too large together: {error}"))
        })?;
        let runs: Vec<TestRun> = tests.iter().map(|test| tested::run(&index, test)).collect();
        Ok((Self { index, fingerprint, tests: tests.len() }, runs))
    }

    /// The roles of one user.
    pub fn decide(&self, subject: &Subject<'_>, now: Timestamp) -> Decision {
        evaluate::decide(&self.index, subject, now)
    }

    /// The roles of one user, each with its reasons, and those they lack though a rule grants them.
    pub fn explain(&self, subject: &Subject<'_>, now: Timestamp) -> Verdict {
        evaluate::explain(&self.index, subject, now)
    }

    /// How many tests the file brought along.
    pub fn tests(&self) -> usize {
        self.tests
    }

    /// What the catalogue says of each role.
    pub fn descriptions(&self) -> impl Iterator<Item = (&RoleName, Option<&str>)> {
        self.index.descriptions().into_iter()
    }

    /// Two rules with equal fingerprints evaluate every user to the same roles. Comments, descriptions, the file's tests
    /// and where in the file anything stands do not count.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::none()
    }
}

/// Sets an attribute of a made-up user by the name that conditions use. Returns whether there is such an attribute and
/// it can have this value.
pub fn set_attribute(profile: &mut Profile, name: &str, value: &serde_json::Value) -> bool {
    attribute::Attribute::named(name).is_some_and(|attribute| attribute.set(profile, value))
}

/// The names that conditions have for attributes.
pub fn attribute_names() -> Vec<&'static str> {
    attribute::Attribute::names()
}
