//! `rolecall users`

mod list;
mod show;

use clap::Subcommand;

use super::whom::Whom;
use super::{Exit, Failure};

/// Search the users that rolecall knows, and show one
#[derive(Subcommand, Debug)]
pub(super) enum Users {
    List(list::List),
    Show(show::Show),
}

impl Users {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        match self {
            Users::List(list) => list.run(whom).await,
            Users::Show(show) => show.run(whom).await,
        }
    }
}

pub(super) use list::rows;
