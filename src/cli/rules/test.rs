//! `rolecall rules test`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;
use serde::Serialize;

use super::read_rules;
use crate::cli::output::answer;
use crate::cli::text::{BAD, GOOD, count, plain, styled};
use crate::cli::{Exit, Failure};
use crate::rules::Rules;
use crate::yaml::{Report, Source};

/// Run the tests that a rules file brings along
///
/// Each test is a made-up user and the roles that the rules must give them. No daemon is asked, and nothing is changed.
/// The exit code is 1 when a test fails, and 2 when the rules are wrong.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall rules test new-rules.yaml")]
pub(in crate::cli) struct Test {
    /// The rules file [default: the one that the configuration names]
    file: Option<PathBuf>,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Outcome {
    file: String,
    tests: Vec<One>,
}

#[derive(Debug, Serialize)]
struct One {
    name: String,
    line: u32,
    passed: bool,
    /// The difference, with its line and a caret.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

impl Test {
    pub(super) fn run(self, config: &Path) -> Result<Exit, Failure> {
        let (name, text) = read_rules(self.file, config)?;
        let (_, runs) = Rules::test(&name, &text)
            .map_err(|errors| Failure::Usage(anyhow!("the rules are wrong\n\n{errors}")))?;
        let tests = runs.into_iter().map(|run| One {
            name: run.name,
            line: run.line,
            passed: run.failure.is_none(),
            failure: run
                .failure
                .map(|fault| Report::new(Source { name: &name, text: &text }, fault).to_string()),
        });
        let outcome = Outcome { tests: tests.collect(), file: name.clone() };
        answer(self.json, &outcome, render)?;
        Ok(if outcome.tests.iter().all(|test| test.passed) { Exit::Done } else { Exit::Problems })
    }
}

fn render(outcome: &Outcome) -> String {
    let mut out = String::new();
    for test in &outcome.tests {
        let word = if test.passed { styled(GOOD, "passed") } else { styled(BAD, "failed") };
        // Writing to a string does not fail.
        let _ = writeln!(out, "{word}  {}", plain(&test.name));
    }
    for failure in outcome.tests.iter().filter_map(|test| test.failure.as_ref()) {
        let _ = writeln!(out, "\n{failure}");
    }
    let failed = outcome.tests.iter().filter(|test| !test.passed).count() as u64;
    let all = count(outcome.tests.len() as u64, "test", "tests");
    let _ = match (outcome.tests.len(), failed) {
        (0, _) => writeln!(out, "{} has no tests: write some under `tests`", plain(&outcome.file)),
        (_, 0) => writeln!(out, "\nall of {all} passed"),
        (_, failed) => writeln!(out, "\n{failed} of {all} failed"),
    };
    out
}
