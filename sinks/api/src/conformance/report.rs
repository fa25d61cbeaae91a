//! What the suite found, to be read by a person.

use std::fmt;
use std::time::Duration;

use super::TargetError;

/// How many lines of what was found are shown of one case: a large batch that went wrong has thousands.
const MAX_LINES: usize = 20;

/// What became of every case that ran.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One per case, in the order they ran.
    pub cases: Vec<CaseReport>,
}

/// What became of one case.
#[derive(Clone, Debug)]
pub struct CaseReport {
    /// The case, in words: `delete_twice`.
    pub name: &'static str,
    /// The promise it holds the sink to.
    pub promise: &'static str,
    /// What was found.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

/// What was found in one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The sink keeps the promise.
    Passed,
    /// It does not: what was done, what should have been and what was.
    Failed(String),
    /// The target cannot show it, or says that the promise is not for it: why.
    Skipped(String),
}

impl Report {
    /// Whether something was tried and nothing failed. Skipped cases are listed in the report and count as
    /// neither.
    pub fn passed(&self) -> bool {
        self.failures().next().is_none() && self.cases.iter().any(|case| case.verdict == Verdict::Passed)
    }

    /// How many passed, failed and were skipped, in words.
    pub fn summary(&self) -> String {
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        for case in &self.cases {
            match case.verdict {
                Verdict::Passed => passed += 1,
                Verdict::Failed(_) => failed += 1,
                Verdict::Skipped(_) => skipped += 1,
            }
        }
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }

    /// The cases that failed.
    pub fn failures(&self) -> impl Iterator<Item = &CaseReport> {
        self.cases.iter().filter(|case| matches!(case.verdict, Verdict::Failed(_)))
    }
}

impl fmt::Display for CaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.took.as_millis();
        match &self.verdict {
            Verdict::Passed => writeln!(f, "pass  {} ({millis} ms)", self.name),
            Verdict::Skipped(why) => writeln!(f, "skip  {}: {why}", self.name),
            Verdict::Failed(what) => {
                writeln!(f, "FAIL  {} ({millis} ms)", self.name)?;
                writeln!(f, "        promised: {}", self.promise)?;
                let lines: Vec<&str> = what.lines().collect();
                for line in lines.iter().take(MAX_LINES) {
                    writeln!(f, "        {line}")?;
                }
                match lines.len().saturating_sub(MAX_LINES) {
                    0 => Ok(()),
                    more => writeln!(f, "        … and {more} lines more"),
                }
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.cases {
            case.fmt(f)?;
        }
        f.write_str(&self.summary())
    }
}

/// Why a case ends before its end.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(String),
    Skipped(String),
}

impl Stop {
    pub(super) fn failed(what: impl Into<String>) -> Self {
        Stop::Failed(what.into())
    }

    pub(super) fn skipped(why: impl Into<String>) -> Self {
        Stop::Skipped(why.into())
    }

    /// Says where in the case it happened.
    pub(super) fn when(self, step: impl fmt::Display) -> Self {
        match self {
            Stop::Failed(what) => Stop::Failed(format!("{step}:\n{what}")),
            skipped => skipped,
        }
    }
}

impl From<TargetError> for Stop {
    fn from(error: TargetError) -> Self {
        Stop::Failed(format!("the target cannot be prepared or looked into: {error}"))
    }
}

pub(super) type Step<T = ()> = Result<T, Stop>;

/// Fails the case unless `holds`.
pub(super) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Step {
    if holds { Ok(()) } else { Err(Stop::Failed(otherwise())) }
}
