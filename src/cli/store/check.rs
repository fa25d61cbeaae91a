//! `rolecall store check`

use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::which::{Place, Which};
use crate::cli::output::answer;
use crate::cli::progress::Bar;
use crate::cli::text::{BAD, GOOD, count, plain, styled};
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};
use crate::store::{CheckPlace, CheckStep, Finding, Remedy};

/// How many findings of one remedy are told one by one.
const TOLD: usize = 20;

/// Look whether the store is sound, whether the daemon runs or not
///
/// The file and its indexes, by SQLite's own check; that nothing is queued, confirmed or counted that is not there; and for
/// every user and group that what is desired of them is what was noted, and that their groups lead to them. Nothing is changed.
///
/// The exit code is 1 when something is wrong.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall store check")]
pub(in crate::cli) struct Check {
    #[command(flatten)]
    which: Which,
}

/// All that was found.
#[derive(Debug, Default, Serialize)]
struct Report {
    findings: Vec<Finding>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
}

impl Check {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let mut place = self.which.find(whom).await?;
        let bar = Bar::steps();
        let mut report = Report::default();
        let mut after = None;
        loop {
            let step;
            (place, step) = next(place, after).await?;
            bar.at(step.done, step.of, &step.what);
            report.findings.extend(step.findings);
            report.left_out.extend(step.left_out);
            after = step.next;
            if after.is_none() {
                break;
            }
        }
        drop(bar);
        answer(self.which.daemon.json, &report, render)?;
        Ok(if report.findings.is_empty() { Exit::Done } else { Exit::Problems })
    }
}

/// One step, and the place again: a step may take seconds.
async fn next(place: Place, after: Option<CheckPlace>) -> Result<(Place, CheckStep), Failure> {
    match place {
        Place::Running(client) => {
            let step = client.check_store(after).await?;
            Ok((Place::Running(client), step))
        }
        Place::Stopped(store) => {
            let step = tokio::task::spawn_blocking(move || {
                let step = store.check(after, Timestamp::now());
                step.map(|step| (Place::Stopped(store), step))
            });
            Ok(step.await.map_err(|error| Failure::Failed(error.into()))??)
        }
    }
}

fn render(report: &Report) -> String {
    let mut out = String::new();
    if report.findings.is_empty() {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{}", styled(GOOD, "the store is sound"));
    }
    for remedy in [Remedy::Restore, Remedy::SendAgain, Remedy::Report] {
        let found: Vec<&Finding> =
            report.findings.iter().filter(|finding| finding.remedy == remedy).collect();
        for finding in found.iter().take(TOLD) {
            let _ = writeln!(out, "{}", styled(BAD, &plain(&finding.what)));
        }
        if let more @ 1.. = found.len().saturating_sub(TOLD) {
            let _ = writeln!(out, "… and {}: --json has all", count(more as u64, "more", "more"));
        }
        if !found.is_empty() {
            let _ = writeln!(out, "  {}\n", remedy.advice());
        }
    }
    for what in &report.left_out {
        let _ = writeln!(out, "not looked at: {}", plain(what));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(findings: Vec<Finding>) -> String {
        let report = Report { findings, left_out: Vec::new() };
        anstream::adapter::strip_str(&render(&report)).to_string()
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_do_the_worst_first() {
        let finding = |what: String, remedy| Finding { what, remedy };
        let mut findings = vec![finding("3 users are counted,\nand there are 4".into(), Remedy::Report)];
        findings.extend((0..22).map(|n| finding(format!("event: page {n} is lost"), Remedy::Restore)));
        let shown = shown(findings);
        assert!(shown.starts_with("event: page 0 is lost\n"), "{shown}");
        assert!(
            shown.contains("page 19 is lost\n… and 2 more: --json has all\n  the file is damaged"),
            "{shown}"
        );
        assert!(shown.contains("\n3 users are counted, and there are 4\n  nobody is lost by it"), "{shown}");
    }

    #[test]
    fn a_sound_store_is_told_so() {
        assert_eq!(shown(Vec::new()), "the store is sound\n");
    }
}
