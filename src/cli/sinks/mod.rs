//! `rolecall sinks`

mod change;
mod list;

use clap::Subcommand;

use super::whom::Whom;
use super::{Exit, Failure};

/// See how sinks are, pause one, go on with it, ask whether it is up
#[derive(Subcommand, Debug)]
pub(super) enum Sinks {
    List(list::List),
    Pause(change::PauseSink),
    Resume(change::ResumeSink),
    Probe(change::ProbeSink),
}

impl Sinks {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        match self {
            Sinks::List(list) => list.run(whom).await,
            Sinks::Pause(pause) => pause.run(whom).await,
            Sinks::Resume(resume) => resume.run(whom).await,
            Sinks::Probe(probe) => probe.run(whom).await,
        }
    }
}
