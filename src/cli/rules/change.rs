//! `rolecall rules apply`, `reload` and `rollback`

use std::path::PathBuf;

use clap::Args;

use super::read_rules;
use crate::admin::api::{InForce, RulesText};
use crate::cli::daemon::Daemon;
use crate::cli::output::answer;
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};

/// Put rules into force, without a restart
///
/// Rules that are wrong, or fail their own tests, are turned down, and those in force stay. The rules file of the
/// configuration is not written: what is applied stays in force until that file changes and is read, by a reload or at a
/// start, or until other rules are applied. The same file in force again is no change.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall rules apply new-rules.yaml")]
pub(in crate::cli) struct Apply {
    /// The rules file
    file: PathBuf,
    #[command(flatten)]
    daemon: Daemon,
}

/// Have the daemon read its rules file again, as SIGHUP does
///
/// A file that is wrong, or fails its own tests, is turned down, and the rules in force stay.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall rules reload")]
pub(in crate::cli) struct Reload {
    #[command(flatten)]
    daemon: Daemon,
}

/// Put rules into force again that were in force before
///
/// They become the newest version. Like applied ones they stay in force until the rules file changes and is read.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall rules rollback\n  rolecall rules rollback 7")]
pub(in crate::cli) struct Rollback {
    /// The version to go back to, by its number in `rolecall rules history` [default: the one before the newest]
    version: Option<u64>,
    #[command(flatten)]
    daemon: Daemon,
}

impl Apply {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let (name, text) = read_rules(Some(self.file), &whom.config)?;
        let client = self.daemon.client(whom)?;
        report(&self.daemon, &client.apply_rules(&RulesText { name, text }).await?)
    }
}

impl Reload {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        report(&self.daemon, &self.daemon.client(whom)?.reload_rules().await?)
    }
}

impl Rollback {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        report(&self.daemon, &self.daemon.client(whom)?.roll_back_rules(self.version).await?)
    }
}

fn report(daemon: &Daemon, in_force: &InForce) -> Result<Exit, Failure> {
    answer(daemon.json, in_force, |InForce { version, is_new, evaluates }| match (is_new, evaluates) {
        (false, false) => format!("version {version} is in force already: nothing changed\n"),
        (true, false) => format!("version {version} is in force; it means what the one before did\n"),
        (_, true) => format!("version {version} is in force; everybody is being evaluated again\n"),
    })?;
    Ok(Exit::Done)
}
