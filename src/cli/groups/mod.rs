//! `rolecall groups`

mod list;
mod show;

use std::path::Path;

use clap::Subcommand;

use super::{Exit, Failure};

/// Search the groups that rolecall knows, and show one with its members
#[derive(Subcommand, Debug)]
pub(super) enum Groups {
    List(list::List),
    Show(show::Show),
}

impl Groups {
    pub(super) async fn run(self, config: &Path) -> Result<Exit, Failure> {
        match self {
            Groups::List(list) => list.run(config).await,
            Groups::Show(show) => show.run(config).await,
        }
    }
}
