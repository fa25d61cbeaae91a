//! `rolecall serve`

use std::path::Path;

use clap::Args;

use super::{Exit, Failure, load};
use crate::daemon::DaemonError;
use crate::receive::InheritedSockets;
use crate::{daemon, log};

/// Run the daemon, in the foreground
///
/// It stops on SIGTERM and SIGINT, after the requests and deliveries that have begun, and reads its rules file again on SIGHUP.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall serve --config ./rolecall.yaml")]
pub(super) struct Serve {}

impl Serve {
    pub(super) async fn run(self, config: &Path, inherited: InheritedSockets) -> Result<Exit, Failure> {
        let config = load(config)?;
        log::start(&config.log).map_err(|error| Failure::Usage(error.into()))?;
        daemon::serve(config, inherited).await.map_err(failure)?;
        Ok(Exit::Done)
    }
}

fn failure(error: DaemonError) -> Failure {
    match error {
        DaemonError::Config { .. } => Failure::Usage(error.into()),
        _ => Failure::Failed(error.into()),
    }
}
