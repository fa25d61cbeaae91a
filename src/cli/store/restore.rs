//! `rolecall store restore`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;

use super::backup::contents;
use super::which::configured;
use crate::cli::output::answer;
use crate::cli::progress::Bar;
use crate::cli::text::plain;
use crate::cli::{Exit, Failure};
use crate::store::{Restored, StoppedStore};

/// Put a backup in the place of the store
///
/// The daemon must not run. The backup is copied and looked through before anything is changed; the store that was there is
/// kept beside it.
///
/// What was received after the backup is not known then, and its senders do not send it again, since it was acknowledged:
/// have them resync their directories. When the daemon starts, everybody is brought up to date in every sink once more, to
/// what the backup says.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall store restore /var/backups/rolecall.db")]
pub(in crate::cli) struct Restore {
    /// The backup
    file: PathBuf,
    /// Where the store is [default: what `store.path` is in the configuration]
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Restore {
    pub(super) async fn run(self, config: &Path) -> Result<Exit, Failure> {
        let path = match self.store {
            Some(path) => path,
            None => configured(config)?.path,
        };
        let store = StoppedStore::lock(&path).map_err(|error| Failure::Failed(error.into()))?;
        let bar = Bar::of_unknown("copying the backup and looking through it");
        let restored = tokio::task::spawn_blocking(move || store.restore(&self.file, Timestamp::now())).await;
        drop(bar);
        answer(self.json, &restored.context("the restore did not come to its end")??, render)?;
        Ok(Exit::Done)
    }
}

fn render(restored: &Restored) -> String {
    let shown = |path: &Path| plain(&path.display().to_string());
    let mut out = format!("{} holds now: {}\n", shown(&restored.store), contents(&restored.contents));
    if let Some(kept) = &restored.kept {
        out += &format!("what was there is kept as {}; remove it when all is well\n", shown(kept));
    }
    out + "start the daemon: everybody is brought up to date in every sink once more. What was received after the backup is\n\
           missing until it is sent again: have the identity providers resync their directories\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::BackupContents;

    #[test]
    fn it_is_told_what_is_there_now_and_what_to_do() {
        let contents =
            BackupContents { schema: 2, users: 5, groups: 2, events: 0, last_event: None, bytes: 4096 };
        let mut restored = Restored { store: "/s/rolecall.db".into(), contents, kept: None };
        let told = render(&restored);
        assert!(
            told.starts_with(
                "/s/rolecall.db holds now: 5 users, 2 groups, 0 messages; tables of version 2\nstart"
            ),
            "{told}"
        );
        restored.kept = Some("/s/rolecall.db.replaced-x".into());
        let told = render(&restored);
        assert!(told.contains("is kept as /s/rolecall.db.replaced-x;") && told.contains("resync"), "{told}");
    }
}
