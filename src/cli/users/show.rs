//! `rolecall users show`

use clap::Args;
use rolecall_sink_api::UserId;

use crate::cli::daemon::Daemon;
use crate::cli::explain::explanation;
use crate::cli::output::{answer, width};
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};

/// Show one user, by their id: what `explain` says of whoever goes by a name
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall users show diruser_42")]
pub(in crate::cli) struct Show {
    /// The user's id
    id: String,
    #[command(flatten)]
    daemon: Daemon,
}

impl Show {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let found = self.daemon.client(whom)?.user(&UserId::new(self.id)).await?;
        answer(self.daemon.json, &found, |found| {
            explanation(&found.user, found.now, &found.rules_file, width())
        })?;
        Ok(Exit::Done)
    }
}
