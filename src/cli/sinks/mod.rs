//! `rolecall sinks`

mod change;
mod list;

use std::path::Path;

use clap::Subcommand;

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
    pub(super) async fn run(self, config: &Path) -> Result<Exit, Failure> {
        match self {
            Sinks::List(list) => list.run(config).await,
            Sinks::Pause(pause) => pause.run(config).await,
            Sinks::Resume(resume) => resume.run(config).await,
            Sinks::Probe(probe) => probe.run(config).await,
        }
    }
}
