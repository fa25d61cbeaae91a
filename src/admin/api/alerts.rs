//! What needs a person, and who is told.

use jiff::Timestamp;
use rolecall_sink_api::{Moment, SinkName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::AlertKind;
use crate::tls::Listener;

/// Where `GET` answers an [`AlertsList`].
pub const ALERTS: &str = "/v1/alerts";

/// Where `POST` of [`NothingMore`](super::NothingMore) sends every webhook a test message and answers an
/// [`AlertsTested`].
pub const ALERTS_TEST: &str = "/v1/alerts/test";

/// The alerts there are, and who is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertsList {
    /// When the daemon answered, by its own clock.
    #[schemars(with = "Moment")]
    pub now: Timestamp,
    /// The oldest first.
    pub alerts: Vec<AlertItem>,
    /// Every configured webhook.
    pub webhooks: Vec<AlertReceiver>,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertItem {
    /// What it is.
    pub kind: AlertKind,
    /// The sink, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkName>,
    /// The listener whose certificate it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<Listener>,
    /// Since when.
    #[schemars(with = "Moment")]
    pub since: Timestamp,
    /// What there is to say of it.
    pub text: String,
    /// The command that tells more.
    pub command: String,
}

/// A webhook that is told of alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertReceiver {
    /// Its name.
    pub name: String,
    /// Why the last message did not arrive. It is sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What became of test messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertsTested {
    /// Every configured webhook.
    pub webhooks: Vec<AlertTested>,
}

/// What became of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertTested {
    /// The webhook's name.
    pub name: String,
    /// The HTTP status of its answer, if it took the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
