//! `log:`

use rolecall_sink_api::ConfigError;
use schemars::JsonSchema;
use serde::Deserialize;
use tracing_subscriber::filter::Targets;

/// What is logged, and how it looks. The log goes to standard error, or to systemd's journal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// What is logged: `error`, `warn`, `info`, `debug` or `trace`, also for a part alone:
    /// `info,rolecall::deliver=debug`. Default: `info`.
    pub filter: String,
    /// How a line looks. Default: `auto`.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::default() }
    }
}

impl LogConfig {
    /// The filter as tracing takes it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn targets(&self) -> Result<Targets, ConfigError> {
        self.filter.parse().map_err(|_| {
            ConfigError::new(
                "filter",
                "cannot be read: write error, warn, info, debug or trace, also as info,rolecall::deliver=debug",
            )
        })
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// `journal` where systemd has connected standard error to it, `text` on a terminal, `json` anywhere else.
    #[default]
    Auto,
    /// An entry of systemd's journal, with fields (`journalctl -u rolecall ROLECALL_SINK=corp-ldap`). Where there is no
    /// journal, the log goes to standard error.
    Journal,
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}
