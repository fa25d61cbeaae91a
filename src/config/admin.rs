//! `admin:`

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// How `rolecall status` and the other commands reach the running daemon.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// The Unix socket. Who may write to it may do everything. Default: `/run/rolecall/admin.sock`.
    pub socket: PathBuf,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { socket: "/run/rolecall/admin.sock".into() }
    }
}
