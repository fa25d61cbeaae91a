//! Which daemon a command asks.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde::de::DeserializeOwned;

use super::whom::Whom;
use super::{DEFAULT_CONFIG, Failure};
use crate::admin::AdminClient;
use crate::config::AdminConfig;
use crate::yaml::{self, Report, Source};

/// The variable that stands for `admin.socket`, as for every key of the configuration.
const SOCKET_VARIABLE: &str = "ROLECALL__ADMIN__SOCKET";
/// The longest configuration that is looked at, in bytes.
const MOST_CONFIG: u64 = yaml::MAX_BYTES as u64;

/// How to reach the daemon, and how to show what it says.
#[derive(Args, Clone, Debug)]
pub(super) struct Daemon {
    #[command(flatten)]
    socket: Socket,
    /// Answer in JSON, for programs
    #[arg(long)]
    pub(super) json: bool,
}

/// How to reach the daemon.
#[derive(Args, Clone, Debug)]
pub(super) struct Socket {
    /// The daemon's admin socket [default: what `admin.socket` is in the configuration]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl Daemon {
    /// A client of the daemon that is meant.
    pub(super) fn client(&self, whom: &Whom) -> Result<AdminClient, Failure> {
        self.socket.client(whom)
    }
}

impl Socket {
    /// A client of the daemon that is meant: of the socket or the address that is named, else of the configuration.
    pub(super) fn client(&self, whom: &Whom) -> Result<AdminClient, Failure> {
        if let Some(elsewhere) = whom.elsewhere(self.socket.as_deref())? {
            return Ok(elsewhere);
        }
        match &self.socket {
            Some(socket) => Ok(AdminClient::new(socket)),
            None => configured(&whom.config).map(AdminClient::new).map_err(Failure::Usage),
        }
    }
}

/// The admin socket by the configuration. Nothing else of it is looked at: whoever asks the daemon need not be
/// able to read its secrets, and it may be running well with a configuration that was broken since.
fn configured(path: &Path) -> anyhow::Result<PathBuf> {
    if let Some(socket) = std::env::var_os(SOCKET_VARIABLE).filter(|socket| !socket.is_empty()) {
        return Ok(socket.into());
    }
    let admin: AdminConfig = section(path, "admin", "name the daemon's socket with --socket")?;
    Ok(admin.socket)
}

/// One section of the configuration, and nothing else of it; without a configuration, what the section is by default. What
/// the caller can do `instead` is told with an error.
pub(super) fn section<T: DeserializeOwned + Default>(
    path: &Path,
    name: &str,
    instead: &str,
) -> anyhow::Result<T> {
    let shown = path.display();
    let text = match read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && path == Path::new(DEFAULT_CONFIG) => {
            return Ok(T::default());
        }
        Err(error) => {
            return Err(error).with_context(|| {
                format!("cannot read {shown}; {instead}, or the configuration with --config")
            });
        }
    };
    let shown = shown.to_string();
    let source = Source { name: &shown, text: &text };
    let section = yaml::parse(&text).and_then(|root| match root.entry(name) {
        Some(section) => yaml::decode(&section.value),
        None => Ok(T::default()),
    });
    section.map_err(|fault| anyhow!("{}\n{instead}", Report::new(source, fault)))
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MOST_CONFIG).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket_of(config: &str) -> anyhow::Result<PathBuf> {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("rolecall.yaml");
        std::fs::write(&path, config).unwrap();
        configured(&path)
    }

    #[test]
    fn the_socket_is_found_in_a_configuration_that_is_otherwise_wrong() {
        let config = "sources: [1]\nnonsense: true\nadmin:\n  socket: /tmp/a.sock\n";
        assert_eq!(socket_of(config).unwrap(), Path::new("/tmp/a.sock"));
        assert_eq!(socket_of("listen: {}\n").unwrap(), AdminConfig::default().socket);
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_not_guessed_around() {
        let missing = configured(Path::new("/nowhere/rolecall.yaml")).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/rolecall.yaml") && missing.contains("--socket"), "{missing}");
        let wrong = socket_of("admin:\n  sokcet: /tmp/a.sock\n").unwrap_err().to_string();
        assert!(wrong.contains("sokcet") && wrong.contains("--socket"), "{wrong}");
    }
}
