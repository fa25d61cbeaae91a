//! How a command ends.

use std::fmt;
use std::process::ExitCode;

use crate::admin::ClientError;
use crate::store::StoreError;

/// How a command ended, as its caller sees it. The numbers are documented and stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked, and all is well.
    Done = 0,
    /// It failed, or found something wrong.
    Problems = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Nobody answered: the daemon is not running, or its address is wrong.
    Unreachable = 3,
    /// What was asked about would change something, and nothing was changed.
    Changes = 4,
}

/// The numbers, for `rolecall --help`.
pub(super) const HELP: &str = "\
Exit codes:
  0  done, and all is well
  1  failed, or found something wrong
  2  the command line or the configuration is wrong
  3  the daemon cannot be reached
  4  rules plan: somebody's roles would change";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command could not be done. The kind decides the exit code, the error says the rest.
#[derive(Debug)]
pub enum Failure {
    /// It went wrong.
    Failed(anyhow::Error),
    /// The command line or the configuration asks for something that cannot be.
    Usage(anyhow::Error),
    /// Nobody answered.
    Unreachable(anyhow::Error),
}

impl Failure {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Failed(_) => Exit::Problems,
            Failure::Usage(_) => Exit::Usage,
            Failure::Unreachable(_) => Exit::Unreachable,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Failure::Failed(error) | Failure::Usage(error) | Failure::Unreachable(error)) = self;
        write!(f, "{error:#}")
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unreachable { .. } | ClientError::Untrusted { .. } | ClientError::Slow { .. } => {
                Failure::Unreachable(error.into())
            }
            ClientError::Unknown { .. } | ClientError::Refused(_) | ClientError::Odd { .. } => {
                Failure::Failed(error.into())
            }
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            // The daemon runs, and was not found.
            StoreError::InUse { .. } => Failure::Unreachable(anyhow::anyhow!(
                "{error}; or ask the daemon that runs: its admin socket is named by --socket, or --config"
            )),
            error => Failure::Failed(error.into()),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Failed(error)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::*;
    use crate::admin::Address;

    #[test]
    fn a_daemon_that_does_not_answer_is_told_from_one_that_refuses() {
        let at = Address::Socket("/run/rolecall/admin.sock".into());
        let missing =
            ClientError::Unreachable { at: at.clone(), error: io::Error::from(io::ErrorKind::NotFound) };
        assert_eq!(Failure::from(missing).exit(), Exit::Unreachable);
        assert_eq!(
            Failure::from(ClientError::Slow { at, within: Duration::from_secs(30) }).exit(),
            Exit::Unreachable
        );
        assert_eq!(Failure::from(ClientError::Refused("no".into())).exit(), Exit::Problems);
    }

    #[test]
    fn the_numbers_are_those_that_the_help_names() {
        let numbers = [Exit::Done, Exit::Problems, Exit::Usage, Exit::Unreachable, Exit::Changes]
            .map(|exit| exit as u8);
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
        for number in numbers {
            assert!(HELP.contains(&format!("\n  {number}  ")), "{number}");
        }
    }
}
