//! `rolecall store`

mod backup;
mod check;
mod restore;
mod size;
mod which;

use clap::Subcommand;

use super::whom::Whom;
use super::{Exit, Failure};

/// Back the store up, restore it, look whether it is sound and what takes how much space
#[derive(Subcommand, Debug)]
pub(super) enum Store {
    Backup(backup::Backup),
    Restore(restore::Restore),
    Check(check::Check),
    Size(size::Size),
}

impl Store {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        match self {
            Store::Backup(backup) => backup.run(whom).await,
            Store::Restore(restore) => restore.run(whom.here()?).await,
            Store::Check(check) => check.run(whom).await,
            Store::Size(size) => size.run(whom).await,
        }
    }
}
