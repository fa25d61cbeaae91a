//! `rolecall alerts`

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use super::daemon::Daemon;
use super::output::answer;
use super::text::{BAD, GOOD, HEADING, moment, plain, styled};
use super::whom::Whom;
use super::{Exit, Failure};
use crate::admin::api::{AlertsList, AlertsTested};

/// Show what needs a person, and try out who is told
#[derive(Subcommand, Debug)]
pub(super) enum Alerts {
    List(List),
    Test(Test),
}

/// List the alerts there are now, and who is told of them
///
/// The exit code is 1 when there is one.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall alerts list")]
pub(super) struct List {
    #[command(flatten)]
    daemon: Daemon,
}

/// Send a test message to everybody who is told of alerts, and show what they answer
///
/// The exit code is 1 when somebody did not take it.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall alerts test")]
pub(super) struct Test {
    #[command(flatten)]
    daemon: Daemon,
}

impl Alerts {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        match self {
            Alerts::List(List { daemon }) => {
                let list = daemon.client(whom)?.alerts().await?;
                answer(daemon.json, &list, listed)?;
                Ok(if list.alerts.is_empty() { Exit::Done } else { Exit::Problems })
            }
            Alerts::Test(Test { daemon }) => {
                let tested = daemon.client(whom)?.test_alerts().await?;
                answer(daemon.json, &tested, shown)?;
                let failed = tested.webhooks.iter().any(|webhook| webhook.error.is_some());
                Ok(if failed { Exit::Problems } else { Exit::Done })
            }
        }
    }
}

fn listed(list: &AlertsList) -> String {
    let mut out = String::new();
    if list.alerts.is_empty() {
        out.push_str("Nothing needs a person.\n");
    }
    // Writing to a String cannot fail, here and below.
    for alert in &list.alerts {
        let text = styled(BAD, &plain(&alert.text));
        let _ = writeln!(out, "{text}, since {}\n  {}", moment(list.now, alert.since), plain(&alert.command));
    }
    let _ = writeln!(out, "\n{}", styled(HEADING, "Told"));
    if list.webhooks.is_empty() {
        out.push_str("  nobody: none is configured (alerts.webhooks)\n");
    }
    for webhook in &list.webhooks {
        let _ = match &webhook.failure {
            None => writeln!(out, "  {}", webhook.name),
            Some(why) => {
                writeln!(out, "  {}: {}: {}", webhook.name, styled(BAD, "not reached"), plain(why))
            }
        };
    }
    out
}

fn shown(tested: &AlertsTested) -> String {
    if tested.webhooks.is_empty() {
        return "Nobody is told of alerts: none is configured (alerts.webhooks)\n".into();
    }
    let mut out = String::new();
    for webhook in &tested.webhooks {
        let name = &webhook.name;
        // Writing to a String cannot fail.
        let _ = match (&webhook.error, webhook.status) {
            (Some(why), _) => writeln!(out, "{name}: {}: {}", styled(BAD, "not taken"), plain(why)),
            (None, Some(status)) => writeln!(out, "{name}: {}, it answered {status}", styled(GOOD, "taken")),
            (None, None) => writeln!(out, "{name}: {}", styled(GOOD, "taken")),
        };
    }
    out
}
