//! Rules: from groups to roles, with reasons. Pure: no I/O, no clock, no async.
//!
//! [`Rules::parse`] reads the rules file; [`Rules::evaluate`] says which roles one user has and why. The
//! result depends on the rules and the user alone: not on the order of rules, groups or calls.

mod file;
mod fingerprint;
mod glob;
mod index;
mod parse;
#[cfg(test)]
mod tests;
mod verdict;

pub use file::RulesFile;
pub use fingerprint::Fingerprint;
pub use verdict::{Grant, Reason, Subject, SubjectGroup};

use crate::yaml::{Report, Reports};

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
}

impl Rules {
    /// No rules: nobody has any role.
    pub fn none() -> Self {
        Self {
            index: index::Index::default(),
            fingerprint: Fingerprint::of(&parse::Defaults::default(), &[]),
        }
    }

    /// Reads a rules file; `file_name` is for messages.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(file_name: &str, source: &str) -> Result<Self, RulesError> {
        let (defaults, rules) = parse::parse(file_name, source)?;
        let fingerprint = Fingerprint::of(&defaults, &rules);
        let index = index::Index::new(defaults, rules).map_err(|error| {
            Report::of_file(file_name, format!("the globs are too large together: {error}"))
        })?;
        Ok(Self { index, fingerprint })
    }

    /// The roles of one active user, by name, each with its reasons in the order of their lines. An inactive
    /// user has no roles: the caller does not ask.
    pub fn evaluate(&self, subject: &Subject<'_>) -> Vec<Grant> {
        self.index.evaluate(subject)
    }

    /// Two rules with equal fingerprints evaluate every user to the same roles with the same reasons, names
    /// and lines of rules included. Comments at the end of lines and descriptions of roles do not count.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::none()
    }
}
