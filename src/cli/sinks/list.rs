//! `rolecall sinks list`

use clap::Args;

use crate::cli::daemon::Daemon;
use crate::cli::output::{answer, width};
use crate::cli::status::{sinks, troubles};
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};

/// List the sinks: whether each is up, what waits for it and what is wrong with it
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall sinks list")]
pub(in crate::cli) struct List {
    #[command(flatten)]
    daemon: Daemon,
}

impl List {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let status = self.daemon.client(whom)?.status().await?;
        if self.daemon.json {
            answer(true, &status.sinks, |_| String::new())?;
            return Ok(Exit::Done);
        }
        answer(false, &status, |status| {
            if status.sinks.is_empty() {
                return "none is configured: nothing is kept in step\n".into();
            }
            sinks(status, 0, width()) + &troubles(status)
        })?;
        Ok(Exit::Done)
    }
}
