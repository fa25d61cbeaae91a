//! Whether the daemon is well, and what it is doing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rolecall_sink_api::{Moment, OrganizationId, SinkName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RulesStatus, SinkStatus};
use crate::metrics::Recent;
use crate::store::BackupStatus;
use crate::tls::TlsStatus;

/// Where `GET` answers [`Health`], to anybody.
pub const HEALTH: &str = "/v1/health";
/// Where `GET` answers [`Readiness`], to anybody; 503 while the daemon is not ready.
pub const READY: &str = "/v1/ready";
/// Where `GET` answers [`DaemonStatus`].
pub const STATUS: &str = "/v1/status";

/// Where `GET` answers the page of metrics, in Prometheus' text format.
pub const METRICS: &str = "/metrics";
/// Where `GET` answers the OpenAPI document of this API.
pub const OPENAPI: &str = "/v1/openapi.json";

/// The daemon answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// True.
    pub alive: bool,
}

/// The daemon receives webhooks, can write to its store, and gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Readiness {
    /// True.
    pub ready: bool,
}

/// What the daemon is doing, in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonStatus {
    /// Its version.
    pub version: String,
    /// When it started.
    #[schemars(with = "Moment")]
    pub started_at: Timestamp,
    /// When it answered, by its own clock: ages count from here.
    #[schemars(with = "Moment")]
    pub now: Timestamp,
    /// Why it is not ready to receive webhooks; nothing while it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_ready: Vec<String>,
    /// How many webhooks it answered since it started, by what it answered.
    pub received: BTreeMap<String, u64>,
    /// How many webhooks it answered 200 lately: their events are on disk.
    #[serde(default)]
    pub recent: Recent,
    /// When the newest webhook that was kept arrived, before the start included.
    #[serde(default)]
    #[schemars(with = "Option<Moment>")]
    pub last_event: Option<Timestamp>,
    /// The webhooks' listener.
    #[serde(default)]
    pub listen: ListenStatus,
    /// The admin API's address on the network.
    #[serde(default)]
    pub admin: ListenStatus,
    /// What the store holds.
    pub store: StoreStatus,
    /// Connections to identity providers, as last announced.
    pub connections: Vec<ConnectionStatus>,
    /// Every configured sink.
    pub sinks: BTreeMap<SinkName, SinkStatus>,
    /// The rules.
    pub rules: RulesStatus,
}

/// A listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListenStatus {
    /// The certificate that it shows; none where it speaks plain HTTP, or there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsStatus>,
}

/// What the store holds, in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoreStatus {
    /// Users who may have access.
    pub active_users: u64,
    /// Users who exist and must not have access.
    pub inactive_users: u64,
    /// Groups that exist.
    pub groups: u64,
    /// Users whose roles are to be evaluated again.
    pub stale_users: u64,
    /// Kept webhooks that could not be read.
    pub unreadable_events: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// What may still be written there, in bytes, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// Whether that is little: when nothing is left, webhooks are turned away.
    #[serde(default)]
    pub low_on_space: bool,
    /// How backups go that are made by themselves; none where none are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupStatus>,
}

/// A connection to an identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionStatus {
    /// The source's id for it.
    pub id: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Okta, Entra ID, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// The time of the event that said so.
    #[schemars(with = "Moment")]
    pub since: Timestamp,
}
