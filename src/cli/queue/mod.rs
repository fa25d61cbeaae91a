//! `rolecall queue`

mod change;
mod list;

use clap::{Args, Subcommand};

use super::whom::Whom;
use super::{Exit, Failure};
use crate::store::QueueState;

/// See what waits for the sinks, try it again, give it up
#[derive(Subcommand, Debug)]
pub(super) enum Queue {
    List(list::List),
    Retry(change::RetryItems),
    Drop(change::DropItems),
}

impl Queue {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        match self {
            Queue::List(list) => list.run(whom).await,
            Queue::Retry(retry) => retry.run(whom).await,
            Queue::Drop(drop) => drop.run(whom).await,
        }
    }
}

/// Which items are meant: those that match every option given.
#[derive(Args, Clone, Debug, Default)]
struct Filter {
    /// Items of this sink
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Items of this user or group
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Dead letters: rejected for good, or out of attempts
    #[arg(long, conflicts_with_all = ["waiting", "held"])]
    dead: bool,
    /// Items that wait for their turn or for their next attempt
    #[arg(long, conflicts_with = "held")]
    waiting: bool,
    /// Items that the sink's safeguard holds until somebody decides
    #[arg(long)]
    held: bool,
}

impl Filter {
    fn state(&self) -> Option<QueueState> {
        match (self.dead, self.waiting, self.held) {
            (true, ..) => Some(QueueState::Dead),
            (_, true, _) => Some(QueueState::Waiting),
            (.., true) => Some(QueueState::Held),
            (false, false, false) => None,
        }
    }
}
