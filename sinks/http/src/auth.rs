//! How requests are authenticated, as it is configured.

use rolecall_sink_api::SecretSource;
use schemars::JsonSchema;
use serde::Deserialize;

/// How requests are authenticated.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer(SecretSource),
    /// `Authorization: Basic …` (RFC 7617).
    Basic(Basic),
    /// A header of the application's own, such as `X-Api-Key`.
    Header(HeaderAuth),
    /// A bearer token from a token endpoint, by OAuth 2.0 client credentials (RFC 6749 §4.4). It is kept until
    /// shortly before it expires, and replaced once when it is refused.
    #[serde(rename = "oauth2")]
    OAuth2(OAuth2),
}

/// How to get a token.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// The token endpoint: `https://login.example.com/oauth2/token`.
    pub token_url: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret; sent with the id as HTTP Basic credentials.
    pub client_secret: SecretSource,
    /// The scopes to ask for, separated by spaces. Default: what the endpoint gives by itself.
    #[serde(default)]
    pub scope: Option<String>,
    /// The `audience` that some endpoints want. Default: none.
    #[serde(default)]
    pub audience: Option<String>,
}

/// A user name and password.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user name; it has no colon.
    pub username: String,
    /// The password.
    pub password: SecretSource,
}

/// A header whose value is a secret.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderAuth {
    /// The header's name.
    pub name: String,
    /// Its whole value.
    pub value: SecretSource,
}
