//! `rolecall groups`

mod list;
mod show;

use clap::Subcommand;

use super::whom::Whom;
use super::{Exit, Failure};

/// Search the groups that rolecall knows, and show one with its members
#[derive(Subcommand, Debug)]
pub(super) enum Groups {
    List(list::List),
    Show(show::Show),
}

impl Groups {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        match self {
            Groups::List(list) => list.run(whom).await,
            Groups::Show(show) => show.run(whom).await,
        }
    }
}
