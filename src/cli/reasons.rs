//! Why somebody has a role, or does not, in words.

use jiff::Timestamp;
use rolecall_sink_api::RoleName;

use super::text::{exact, plain};

/// What makes a rule's line readable.
pub(super) struct Told<'a> {
    pub(super) rule: &'a str,
    pub(super) line: u32,
    pub(super) implied_by: Option<&'a RoleName>,
    pub(super) from: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
}

impl Told<'_> {
    /// The rule and where it stands: `rule on call (rules.yaml:12), until 2026-03-08T10:00:00Z`.
    pub(super) fn text(&self, file: &str) -> String {
        let place = format!("({file}:{})", self.line);
        let what = match self.implied_by {
            Some(role) => format!("{role} implies it {place}"),
            None => format!("rule {} {place}", self.rule),
        };
        let from = self.from.map_or(String::new(), |at| format!(", from {}", exact(at)));
        let until = self.until.map_or(String::new(), |at| format!(", until {}", exact(at)));
        plain(&(what + &from + &until))
    }
}

/// That a higher role of the family is granted.
pub(super) fn outranked(by: &RoleName, file: &str, line: u32) -> String {
    plain(&format!("not held beside {by}, which is higher ({file}:{line})"))
}

/// That another role is granted that no one may hold together with it.
pub(super) fn separated(from: &[RoleName], rule: &str, file: &str, line: u32) -> String {
    let from = from.iter().map(RoleName::as_str).collect::<Vec<_>>().join(", ");
    plain(&format!("may not be held together with {from}: {rule} ({file}:{line})"))
}

/// That no rule that grants it is in force.
pub(super) const NOT_IN_FORCE: &str = "not in force at this time";
