//! `admin:`

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use rolecall_sink_api::{ConfigError, SecretSource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The shortest token that is taken, in bytes: what is shorter could be guessed.
const SHORTEST_TOKEN: usize = 16;

/// How `rolecall status` and the other commands, and browsers, reach the running daemon.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// The Unix socket. Who may write to it may do everything. Default: `/run/rolecall/admin.sock`.
    pub socket: PathBuf,
    /// An address to be reached at over the network too. Default: none.
    pub listen: Option<AdminListenConfig>,
}

/// Where the admin API is served beside its socket, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminListenConfig {
    /// The address and port to listen on.
    pub address: SocketAddr,
    /// Who may ask by a token (`Authorization: Bearer …`). Default: nobody.
    #[serde(default)]
    pub tokens: Vec<TokenConfig>,
    /// Names under which browsers find the console here, such as `rolecall.example.com`; its address needs none.
    /// Default: none.
    #[serde(default)]
    pub names: Vec<String>,
    /// Listens without TLS at an address that others reach: tokens and what is known of people go over the network in
    /// the clear, unless something else protects it. Default: `false`.
    #[serde(default)]
    pub allow_plaintext: bool,
}

/// Somebody who may ask.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// What the log calls whoever presents it.
    pub name: String,
    /// What they may do. Default: `read`.
    #[serde(default)]
    pub access: Access,
    /// The token: at least 16 characters, such as `openssl rand -hex 32` makes.
    pub secret: SecretSource,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Look at everything, what is known of people included.
    #[default]
    Read,
    /// Change things too.
    Full,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { socket: "/run/rolecall/admin.sock".into(), listen: None }
    }
}

impl AdminConfig {
    /// Checks what the types cannot, and that the tokens can be used.
    ///
    /// # Errors
    /// At the first key that cannot be right.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.listen.as_ref().map_or(Ok(()), AdminListenConfig::check)
    }
}

impl AdminListenConfig {
    fn check(&self) -> Result<(), ConfigError> {
        if !self.address.ip().is_loopback() && !self.allow_plaintext {
            return Err(ConfigError::new(
                "listen.address",
                "others reach this address, and what they send and see would go over the network in the clear: listen \
                 on 127.0.0.1 or [::1], or say allow_plaintext: true where something else protects it",
            ));
        }
        if self.tokens.is_empty() {
            return Err(ConfigError::new(
                "listen.tokens",
                "nobody could ask: name who may, each with a name, an access and a secret",
            ));
        }
        let (mut names, mut secrets) = (BTreeSet::new(), BTreeSet::new());
        for (index, token) in self.tokens.iter().enumerate() {
            let wrong =
                |key: &str, why: String| Err(ConfigError::new(format!("listen.tokens[{index}].{key}"), why));
            if token.name.is_empty() || token.name.len() > 64 || token.name.chars().any(char::is_control) {
                return wrong("name", "a name has 1 to 64 characters that can be printed".into());
            }
            if !names.insert(&token.name) {
                return wrong("name", format!("{:?} is the name of another one too", token.name));
            }
            let secret = match token.secret.read() {
                Ok(secret) => secret,
                Err(error) => return wrong("secret", error.to_string()),
            };
            if secret.expose().len() < SHORTEST_TOKEN {
                let why = format!(
                    "{}: a token has at least {SHORTEST_TOKEN} characters, or it could be guessed; `openssl rand -hex 32` makes one",
                    token.secret
                );
                return wrong("secret", why);
            }
            if !secrets.insert(secret.expose().to_owned()) {
                return wrong("secret", "another one has the same token: who asks could not be told".into());
            }
        }
        Ok(())
    }
}
