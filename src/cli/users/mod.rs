//! `rolecall users`

mod list;
mod show;

use std::path::Path;

use clap::Subcommand;

use super::{Exit, Failure};

/// Search the users that rolecall knows, and show one
#[derive(Subcommand, Debug)]
pub(super) enum Users {
    List(list::List),
    Show(show::Show),
}

impl Users {
    pub(super) async fn run(self, config: &Path) -> Result<Exit, Failure> {
        match self {
            Users::List(list) => list.run(config).await,
            Users::Show(show) => show.run(config).await,
        }
    }
}

pub(super) use list::rows;
