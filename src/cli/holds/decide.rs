//! `rolecall holds approve` and `rolecall holds reject`

use clap::Args;

use crate::admin::api::HoldDecided;
use crate::cli::daemon::Daemon;
use crate::cli::output::answer;
use crate::cli::text::count;
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};
use crate::store::HoldId;

/// Let what is held go: it is handed to the sink at once
///
/// Removals go as leavers, before everything else. What is removed after that counts from the beginning, and is held
/// again if it is too much.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall holds approve 3")]
pub(in crate::cli) struct Approve {
    #[command(flatten)]
    hold: Held,
}

/// Drop what is held: the sink keeps these users as they are
///
/// That lasts until something about one of them changes; then they are looked at again. Where the source was wrong, mend it
/// there: who is back in the directory leaves the hold by themselves.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall holds reject 3")]
pub(in crate::cli) struct Reject {
    #[command(flatten)]
    hold: Held,
}

#[derive(Args, Debug)]
struct Held {
    /// The hold, by its number in `rolecall holds list`
    hold: u64,
    #[command(flatten)]
    daemon: Daemon,
}

impl Approve {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let Held { hold, daemon } = self.hold;
        let decided = daemon.client(whom)?.approve_hold(HoldId(hold)).await?;
        report(&daemon, &decided, "due now")
    }
}

impl Reject {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let Held { hold, daemon } = self.hold;
        let decided = daemon.client(whom)?.reject_hold(HoldId(hold)).await?;
        report(&daemon, &decided, "dropped")
    }
}

fn report(daemon: &Daemon, decided: &HoldDecided, what: &str) -> Result<Exit, Failure> {
    answer(daemon.json, decided, |decided| {
        format!("{} {what} for {}\n", count(decided.changes, "change is", "changes are"), decided.hold.sink)
    })?;
    Ok(Exit::Done)
}
