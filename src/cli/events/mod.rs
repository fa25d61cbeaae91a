//! `rolecall events`

mod list;
mod replay;
mod show;

use clap::Subcommand;

use super::text::BAD;
use super::whom::Whom;
use super::{Exit, Failure, table::Cell};
use crate::store::EventStatus;

/// See the messages that came, and read again those that could not be read
#[derive(Subcommand, Debug)]
pub(super) enum Events {
    List(list::List),
    Show(show::Show),
    Replay(replay::ReplayEvents),
}

impl Events {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        match self {
            Events::List(list) => list.run(whom).await,
            Events::Show(show) => show.run(whom).await,
            Events::Replay(replay) => replay.run(whom).await,
        }
    }
}

fn status(status: EventStatus) -> Cell {
    match status {
        EventStatus::Merged => "merged".into(),
        EventStatus::Ignored => "ignored".into(),
        EventStatus::Unreadable => Cell::styled(BAD, "unreadable"),
    }
}
