//! The suite that every sink passes, against its real target.
//!
//! A sink's own test implements [`Target`] (how to empty the target, how to make a sink on it, how to read
//! back what it holds without the sink) and calls [`run`]. The suite plays the daemon: it delivers batches in
//! the order the [contract](crate::Sink) promises, tries again what the sink wants tried again, loses
//! confirmations, drops calls in the middle, and compares what the target holds with what it should.
//!
//! ```no_run
//! # async fn example(target: &dyn rolecall_sink_api::conformance::Target) {
//! let report = rolecall_sink_api::conformance::run(target).await;
//! assert!(report.passed(), "{report}");
//! # }
//! ```
//!
//! It is a library and not a test of this crate, because operators' own plugins are judged by it too.

mod cases;
mod daemon;
mod expect;
pub mod people;
mod random;
mod report;
mod target;

#[cfg(test)]
mod memory;
#[cfg(test)]
mod tests;

pub use report::{CaseReport, Report, Verdict};
pub use target::{Attribute, Capabilities, Groups, Held, HeldGroup, HeldUser, Inactive, Target, TargetError};

use daemon::Daemon;
use report::Stop;

/// Runs every case against `target`, one after the other, each on an emptied target.
///
/// Wants a tokio runtime with time enabled. A case that fails does not keep the others from running.
pub async fn run(target: &dyn Target) -> Report {
    run_matching(target, "").await
}

/// Runs the cases whose name contains `part`: for working on one promise.
pub async fn run_matching(target: &dyn Target, part: &str) -> Report {
    run_telling(target, part, |_| {}).await
}

/// [`run_matching`], telling what became of each case as soon as it is known.
pub async fn run_telling(target: &dyn Target, part: &str, mut tell: impl FnMut(&CaseReport)) -> Report {
    let mut report = Report::default();
    for case in cases::all().filter(|case| case.name.contains(part)) {
        let started = std::time::Instant::now();
        let result = match Daemon::start(target).await {
            Ok(mut daemon) => (case.run)(&mut daemon).await,
            Err(stop) => Err(stop),
        };
        let verdict = match result {
            Ok(()) => Verdict::Passed,
            Err(Stop::Failed(what)) => Verdict::Failed(what),
            Err(Stop::Skipped(why)) => Verdict::Skipped(why),
        };
        let case = CaseReport { name: case.name, promise: case.promise, verdict, took: started.elapsed() };
        tell(&case);
        report.cases.push(case);
    }
    report
}
