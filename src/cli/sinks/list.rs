//! `rolecall sinks list`

use std::path::Path;

use clap::Args;

use crate::admin::api::Sinks;
use crate::cli::daemon::Daemon;
use crate::cli::output::{answer, width};
use crate::cli::{Exit, Failure, status};

/// List the sinks: whether each is up, what waits for it and what is wrong with it
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall sinks list")]
pub(in crate::cli) struct List {
    #[command(flatten)]
    daemon: Daemon,
}

impl List {
    pub(super) async fn run(self, config: &Path) -> Result<Exit, Failure> {
        let listed = self.daemon.client(config)?.sinks().await?;
        answer(self.daemon.json, &listed, |Sinks { now, sinks }| {
            if sinks.is_empty() {
                return "none is configured: nothing is kept in step\n".into();
            }
            status::sinks(*now, sinks, 0, width()) + &status::troubles(*now, sinks)
        })?;
        Ok(Exit::Done)
    }
}
