//! `listen:`

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Deserialize;

/// Where webhooks are received.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    /// The address and port. Default: `127.0.0.1:8080`.
    pub address: SocketAddr,
    /// The longest body that is read, in bytes. Default: 1048576.
    pub max_body_bytes: u32,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 8080)), max_body_bytes: 1024 * 1024 }
    }
}
