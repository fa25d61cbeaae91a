//! One entry under `sources:` in the configuration.

use rolecall_sink_api::{SecretSource, Timespan};
use schemars::JsonSchema;
use serde::Deserialize;

/// One sender of webhooks. Its key under `sources` is its name, and the end of its address:
/// `/webhooks/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// What sends: the shape of its messages.
    #[serde(rename = "type")]
    pub kind: SourceKind,
    /// The secrets that its messages may be signed with (`whsec_…`), at least one. While a secret is being
    /// rotated, list the old one and the new one.
    #[schemars(length(min = 1))]
    pub secrets: Vec<SecretSource>,
    /// How far a message's timestamp may be from this host's clock, either way. Default: `5m`. A wider
    /// tolerance lets a recorded message be sent again for longer; one that is sent again changes nothing.
    #[serde(default = "SourceConfig::default_tolerance")]
    pub tolerance: Timespan,
}

impl SourceConfig {
    fn default_tolerance() -> Timespan {
        Timespan::from_secs(300)
    }
}

/// The senders that rolecall can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Scalekit's directory webhooks.
    Scalekit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_its_type_and_its_secrets() {
        let config: SourceConfig =
            serde_json::from_str(r#"{"type": "scalekit", "secrets": [{"credential": "scalekit"}]}"#).unwrap();
        assert_eq!(config.kind, SourceKind::Scalekit);
        assert_eq!(config.secrets, [SecretSource::Credential("scalekit".into())]);
        assert_eq!(config.tolerance, Timespan::from_secs(300));
        for wrong in [
            r#"{"type": "scalekit"}"#,
            r#"{"type": "scalekit", "secrets": ["whsec_inline"]}"#,
            r#"{"type": "svix", "secrets": []}"#,
            r#"{"type": "scalekit", "secrets": [], "tolerence": "5m"}"#,
        ] {
            assert!(serde_json::from_str::<SourceConfig>(wrong).is_err(), "{wrong}");
        }
    }
}
