//! The sink's section of the configuration.

use std::path::{Path, PathBuf};

use rolecall_sink_api::{ConfigError, Timespan};
use schemars::JsonSchema;
use serde::Deserialize;

/// An SQLite database in one file that holds users, groups and roles as tables.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file. It is made if it does not exist; its directory must exist, be writable for the daemon, and
    /// be on a local file system: SQLite's write-ahead log does not work across a network.
    pub path: PathBuf,
    /// How long to wait for another program that is writing to the file. Still busy then: the sink is down
    /// until that program is done.
    #[serde(default = "default_busy_timeout")]
    pub busy_timeout: Timespan,
    /// How long one batch may take in all; longer than `busy_timeout`.
    #[serde(default = "default_timeout")]
    pub timeout: Timespan,
}

const fn default_busy_timeout() -> Timespan {
    Timespan::from_secs(5)
}

const fn default_timeout() -> Timespan {
    Timespan::from_secs(30)
}

impl Config {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |why: String| Err(ConfigError::new("path", format!("{}: {why}", self.path.display())));
        if self.path.as_os_str().is_empty() || self.path == Path::new(":memory:") {
            return refuse("write the path of a file".into());
        }
        if self.path.is_dir() {
            return refuse("is a directory; write the path of a file in it".into());
        }
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        match std::fs::metadata(directory) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return refuse(format!("{} is not a directory", directory.display())),
            Err(e) => {
                return refuse(format!(
                    "the directory {} cannot be used: {e}; make it first",
                    directory.display()
                ));
            }
        }
        // SQLite keeps milliseconds in 32 bits.
        if self.busy_timeout.get().as_millis() > i32::MAX as u128 {
            return Err(ConfigError::new("busy_timeout", "must not be longer than 24 days"));
        }
        if self.timeout <= self.busy_timeout {
            return Err(ConfigError::new(
                "timeout",
                format!("must be longer than busy_timeout ({})", self.busy_timeout),
            ));
        }
        Ok(())
    }
}
