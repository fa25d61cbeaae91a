//! `alerts:`

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Url;
use rolecall_sink_api::tls::Tls;
use rolecall_sink_api::{ConfigError, SecretSource, Timespan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::receive::signature::SigningKey;

/// Who is told when something needs a person. What is told is `rolecall alerts list` at any time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsConfig {
    /// Where messages are sent, each under a name of its own. Default: nowhere.
    pub webhooks: BTreeMap<String, AlertWebhook>,
    /// What nobody is told of. Default: `[]`.
    pub mute: BTreeSet<AlertKind>,
    /// How long a sink may be down before that is an alert. Default: `5m`.
    pub sink_down_for: Timespan,
    /// How long somebody who lost access may wait for a sink to take it away before that is an alert. Default: `15m`.
    pub leavers_waiting_for: Timespan,
    /// How long the cause must be gone before an alert ends: what comes and goes is one alert. Default: `5m`.
    pub end_after: Timespan,
    /// How often an alert that goes on is sent again. Default: `1d`.
    pub remind_every: Timespan,
}

/// Where alerts are sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertWebhook {
    /// The address that messages are posted to.
    #[serde(default)]
    pub url: Option<String>,
    /// Where the address is kept, if whoever knows it may send, as with Slack's. Give this or `url`.
    #[serde(default)]
    pub url_from: Option<SecretSource>,
    /// What a message looks like. Default: `json`.
    #[serde(default)]
    pub format: AlertFormat,
    /// What messages are signed with (Standard Webhooks), such as
    /// `printf whsec_; openssl rand -base64 32` makes. Default: none, they are not signed.
    #[serde(default)]
    pub secret: Option<SecretSource>,
    /// Whom to trust, and a certificate to show.
    #[serde(default)]
    pub tls: Tls,
}

/// What a message looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertFormat {
    /// A message of type `rolecall.alerts`, for programs.
    #[default]
    Json,
    /// `{"text": …}`, as Slack, Mattermost and others take it.
    Slack,
}

/// What there can be an alert about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A sink has dead letters.
    DeadLetters,
    /// A sink is down for too long.
    SinkDown,
    /// Somebody lost access and still has it in a sink.
    LeaversWaiting,
    /// A wave of removals is held in a sink, until a person decides.
    RemovalsHeld,
    /// There are messages that could not be read.
    UnreadableEvents,
    /// Rules were turned down: those in force are older.
    RulesRejected,
    /// A certificate ends soon or has ended.
    CertificateEnds,
    /// The files of a certificate cannot be used: the one that is served is older.
    CertificateRejected,
    /// The store's disk is nearly full.
    DiskNearlyFull,
    /// Messages are answered 503, because they cannot be stored now.
    MessagesTurnedAway,
    /// The store cannot be read.
    StoreFailed,
    /// Backups of the store are not made, though they should be (`store.backup`).
    BackupFailed,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            webhooks: BTreeMap::new(),
            mute: BTreeSet::new(),
            sink_down_for: Timespan::from_secs(5 * 60),
            leavers_waiting_for: Timespan::from_secs(15 * 60),
            end_after: Timespan::from_secs(5 * 60),
            remind_every: Timespan::from_days(1),
        }
    }
}

impl AlertsConfig {
    /// Checks what the types cannot, and that secrets and certificates can be used.
    ///
    /// # Errors
    /// At the first key that cannot be right.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.remind_every < Timespan::from_secs(60) {
            return Err(ConfigError::new("remind_every", "must be at least a minute"));
        }
        for (name, webhook) in &self.webhooks {
            let in_it = |error: ConfigError| {
                ConfigError::new(format!("webhooks.{name}.{}", error.path), error.message)
            };
            webhook.address().map_err(in_it)?;
            webhook.signing_key().map_err(in_it)?;
            webhook.tls.client_config().map_err(in_it)?;
        }
        Ok(())
    }
}

impl AlertWebhook {
    /// Where it is. What may be a secret is not in the error.
    ///
    /// # Errors
    /// When there is no address, or two, or it is none.
    pub fn address(&self) -> Result<Url, ConfigError> {
        let (key, text) = match (&self.url, &self.url_from) {
            (Some(url), None) => ("url", url.clone()),
            (None, Some(source)) => {
                let secret = source.read();
                let secret = secret.map_err(|error| ConfigError::new("url_from", error.to_string()))?;
                ("url_from", secret.expose().trim().to_owned())
            }
            _ => return Err(ConfigError::new("url", "give the address by url or by url_from, and only one")),
        };
        let url = Url::parse(&text).map_err(|error| ConfigError::new(key, format!("is no URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ConfigError::new(key, "must begin with https:// (or http://)"));
        }
        Ok(url)
    }

    /// What messages are signed with.
    ///
    /// # Errors
    /// When the secret cannot be read or is no signing key.
    pub fn signing_key(&self) -> Result<Option<SigningKey>, ConfigError> {
        let Some(source) = &self.secret else { return Ok(None) };
        let secret = source.read().map_err(|error| ConfigError::new("secret", error.to_string()))?;
        let key = SigningKey::new(&secret);
        key.map(Some).map_err(|error| ConfigError::new("secret", format!("{source}: {error}")))
    }
}
