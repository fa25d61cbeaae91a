//! `traces:`

use reqwest::Url;
use rolecall_sink_api::ConfigError;
use rolecall_sink_api::tls::Tls;
use schemars::JsonSchema;
use serde::Deserialize;

/// Where traces are sent to, one for each event, from the webhook to every sink. Without this section, nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TracesConfig {
    /// The address of an OpenTelemetry collector that takes OTLP over HTTP, without `/v1/traces`:
    /// `http://127.0.0.1:4318`. Spans hold ids of events, users and groups, names of sources and sinks, and how things
    /// ended; nothing else about anybody.
    pub endpoint: String,
    /// For an endpoint with `https`: whom to trust, and who we are. Default: trust what the system trusts.
    #[serde(default)]
    pub tls: Tls,
}

impl TracesConfig {
    /// Whether it can be used, its files included.
    ///
    /// # Errors
    /// When the endpoint is no address, or a file cannot be read.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.url()?;
        self.tls.client_config().map(drop)
    }

    /// Where spans are posted.
    ///
    /// # Errors
    /// When the endpoint is no address of an HTTP server.
    pub fn url(&self) -> Result<Url, ConfigError> {
        let wrong = |why: &str| {
            ConfigError::new("endpoint", format!("{:?} {why}; write http://127.0.0.1:4318", self.endpoint))
        };
        let mut url =
            Url::parse(&self.endpoint).map_err(|error| wrong(&format!("is no address: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("must begin with http:// or https://"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("must be without `?` and `#`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ConfigError::new("endpoint", "must be without a user and password"));
        }
        url.set_path(&format!("{}/v1/traces", url.path().trim_end_matches('/')));
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(endpoint: &str) -> Result<String, String> {
        let config = TracesConfig { endpoint: endpoint.into(), tls: Tls::default() };
        config.url().map(|url| url.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn spans_are_posted_below_the_endpoint() {
        assert_eq!(url("http://127.0.0.1:4318").as_deref(), Ok("http://127.0.0.1:4318/v1/traces"));
        assert_eq!(
            url("https://otel.example.com/rolecall/").as_deref(),
            Ok("https://otel.example.com/rolecall/v1/traces")
        );
    }

    #[test]
    fn what_is_no_address_of_a_collector_is_refused_and_no_password_repeated() {
        for wrong in ["127.0.0.1:4318", "grpc://127.0.0.1:4317", "http://", "http://a:4318/?key=1"] {
            let error = url(wrong).unwrap_err();
            assert!(error.contains("endpoint") && error.contains("4318"), "{error}");
        }
        let error = url("http://user:hunter2@a:4318").unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
