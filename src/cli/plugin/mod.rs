//! `rolecall plugin`

mod new;
mod test;

use clap::Subcommand;

use super::{Exit, Failure};

/// Write a plugin, a program of your own that is a sink, and test it
#[derive(Subcommand, Debug)]
pub(super) enum Plugin {
    New(new::NewPlugin),
    Test(test::TestPlugin),
}

impl Plugin {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        match self {
            Plugin::New(new) => new.run(),
            Plugin::Test(test) => test.run().await,
        }
    }
}
