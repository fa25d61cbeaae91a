//! `rolecall sinks pause`, `rolecall sinks resume` and `rolecall sinks probe`

use clap::Args;

use crate::cli::daemon::Daemon;
use crate::cli::output::answer;
use crate::cli::text::{BAD, GOOD, plain, styled};
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};
use crate::deliver::Probed;

/// Hand nothing to a sink any more, until it is resumed
///
/// Leavers wait too! What is under way is finished. It stays so over restarts, and `rolecall status` says so.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall sinks pause ldap --reason 'moving to the new server'")]
pub(in crate::cli) struct PauseSink {
    /// The sink
    name: String,
    /// Why, for those who look at it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    daemon: Daemon,
}

/// Go on with what waits for a paused sink, leavers first
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall sinks resume ldap")]
pub(in crate::cli) struct ResumeSink {
    /// The sink
    name: String,
    #[command(flatten)]
    daemon: Daemon,
}

/// Ask a sink now whether it can be worked with
///
/// One that was down and answers is delivered to at once. The exit code is 1 when it is down.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall sinks probe ldap")]
pub(in crate::cli) struct ProbeSink {
    /// The sink
    name: String,
    #[command(flatten)]
    daemon: Daemon,
}

impl PauseSink {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let paused = self.daemon.client(whom)?.pause_sink(&self.name, self.reason).await?;
        answer(self.daemon.json, &paused, |paused| {
            let sink = plain(paused.sink.as_str());
            let paused = styled(BAD, &format!("{sink} is paused"));
            format!(
                "{paused}: nothing is delivered to it, leavers neither; to go on: rolecall sinks resume {sink}\n"
            )
        })?;
        Ok(Exit::Done)
    }
}

impl ResumeSink {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let resumed = self.daemon.client(whom)?.resume_sink(&self.name).await?;
        answer(self.daemon.json, &resumed, |resumed| {
            format!("{} is delivered to again\n", plain(resumed.sink.as_str()))
        })?;
        Ok(Exit::Done)
    }
}

impl ProbeSink {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let probed = self.daemon.client(whom)?.probe_sink(&self.name).await?;
        let name = plain(&self.name);
        answer(self.daemon.json, &probed, |probed| match probed {
            Probed::Up { milliseconds } => {
                format!("{name} is {}: it answered within {milliseconds} ms\n", styled(GOOD, "up"))
            }
            Probed::Down { reason } => {
                format!("{name} is {}:\n  {}\n", styled(BAD, "down"), plain(reason))
            }
        })?;
        Ok(if matches!(probed, Probed::Down { .. }) { Exit::Problems } else { Exit::Done })
    }
}
