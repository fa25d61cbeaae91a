//! `rolecall rules history` and `rolecall rules show`

use clap::Args;

use crate::admin::api::RulesHistory;
use crate::cli::daemon::Daemon;
use crate::cli::output::{answer, width};
use crate::cli::table::Table;
use crate::cli::text::{exact, relative};
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};
use crate::store::RulesOrigin;

/// List the rules that were in force, newest first
///
/// The first one is in force.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall rules history --limit 5")]
pub(in crate::cli) struct History {
    /// How many versions at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    daemon: Daemon,
}

/// Print the rules that are in force, or were
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall rules show 7 > rules.yaml")]
pub(in crate::cli) struct Show {
    /// The version, by its number in `rolecall rules history` [default: the one in force]
    version: Option<u64>,
    #[command(flatten)]
    daemon: Daemon,
}

impl History {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let history = self.daemon.client(whom)?.rules_history(self.limit).await?;
        answer(self.daemon.json, &history, |history| render(history, width()))?;
        Ok(Exit::Done)
    }
}

impl Show {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let version = self.daemon.client(whom)?.rules_version(self.version).await?;
        answer(self.daemon.json, &version, |version| version.text.clone())?;
        Ok(Exit::Done)
    }
}

fn render(history: &RulesHistory, width: Option<usize>) -> String {
    let mut table = Table::new([">VERSION", "IN FORCE FROM", "AGE", "BY", "FINGERPRINT"]);
    for version in &history.versions {
        table.row([
            version.number.into(),
            exact(version.at).into(),
            relative(history.now, version.at).into(),
            by(version.origin).into(),
            version.fingerprint.as_str().into(),
        ]);
    }
    table.render(0, width)
}

/// How rules came into force.
pub(in crate::cli) fn by(origin: RulesOrigin) -> String {
    match origin {
        RulesOrigin::Start => "the rules file, at a start".into(),
        RulesOrigin::Reload => "the rules file, by a reload".into(),
        RulesOrigin::Apply => "rules apply".into(),
        RulesOrigin::Rollback { to } => format!("rollback to version {to}"),
    }
}
