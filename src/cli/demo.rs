//! `rolecall demo`

use clap::Args;

use super::{Exit, Failure};

/// See it work: a day in the life of a company, on this machine alone
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall demo")]
pub(super) struct Demo {}

impl Demo {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        Ok(Exit::Done)
    }
}
