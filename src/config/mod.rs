//! The configuration: one YAML file, layered with the environment, checked before anything starts.
//!
//! Every key may also be given by an environment variable: `ROLECALL__` and the path to the key in upper case,
//! its parts joined by two underscores (`ROLECALL__STORE__RETENTION__JOURNAL=60d`). A variable wins over the
//! file. A name with a hyphen is written with an underscore there. An empty variable is as good as none.
//!
//! Whatever is wrong is said at once, each thing with its file, line and column, or its variable: unknown
//! keys, wrong types, secrets and files that cannot be read, templates that do not compile, rules.

mod admin;
mod alerts;
mod layers;
mod load;
mod log;
mod name;
#[cfg(test)]
pub(crate) mod published;
#[cfg(test)]
mod reference;
mod schema;
mod sinks;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use rolecall_sink_api::SinkName;

use crate::receive::ListenConfig;
use crate::rules::{Rules, Scopes};
use crate::source::{SourceConfig, SourceName};
use crate::traces::TracesConfig;
use crate::yaml::Reports;

pub use admin::{Access, AdminConfig, AdminListenConfig, ClientConfig, TokenConfig};
pub use alerts::{AlertFormat, AlertKind, AlertWebhook, AlertsConfig};
pub use load::read_rules;
pub use log::{LogConfig, LogFormat};
pub use schema::{rules_schema, schema};
pub use sinks::SinkEntry;
pub use store::{BackupConfig, RetentionConfig, StoreConfig};

/// Everything that is wrong with a configuration.
pub type ConfigErrors = Reports;

/// A configuration that was found right: its secrets can be read, its templates compile, its rules parse.
#[derive(Debug)]
pub struct Config {
    /// Where webhooks are received.
    pub listen: ListenConfig,
    /// The admin socket.
    pub admin: AdminConfig,
    /// The store.
    pub store: StoreConfig,
    /// Who sends.
    pub sources: BTreeMap<SourceName, SourceConfig>,
    /// The file of `rules`, to be read again on a reload.
    pub rules_file: Option<PathBuf>,
    /// The rules in that file; none without a file.
    pub rules: Rules,
    /// What stands in that file.
    pub rules_text: String,
    /// Which users and groups each sink is given.
    pub scopes: Scopes,
    /// What is kept in step, ready to work.
    pub sinks: BTreeMap<SinkName, SinkEntry>,
    /// Who is told when something needs a person.
    pub alerts: AlertsConfig,
    /// Logging.
    pub log: LogConfig,
    /// Where traces are sent to, if anywhere.
    pub traces: Option<TracesConfig>,
}
