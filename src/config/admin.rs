//! `admin:`

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use rolecall_sink_api::{ConfigError, SecretSource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tls::ServerTls;

/// The shortest token that is taken, in bytes: what is shorter could be guessed.
const SHORTEST_TOKEN: usize = 16;
/// The longest name of a token, in bytes.
const LONGEST_NAME: usize = 64;
/// The longest name of a client, in bytes: that of a host has at most 253 (RFC 1035 §2.3.4), a URI may be longer.
const LONGEST_CLIENT: usize = 256;

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
    /// The certificate to speak HTTPS with. Default: none, which is allowed at a loopback address.
    #[serde(default)]
    pub tls: Option<ServerTls>,
    /// Who may ask by a certificate that an authority of `tls.client_ca` issued. Default: nobody.
    #[serde(default)]
    pub clients: Vec<ClientConfig>,
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

/// Somebody who may ask by a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// The common name of the certificate's subject, or one of its alternative names: a host name, an address, an email
    /// address or a URI, exactly as it stands there. The log calls them so. Of a certificate with several names, the first
    /// in this list counts.
    pub name: String,
    /// What they may do. Default: `read`.
    #[serde(default)]
    pub access: Access,
}

/// Somebody who may ask by a token.
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
        if self.tls.is_none() && !self.address.ip().is_loopback() && !self.allow_plaintext {
            return Err(ConfigError::new(
                "listen.address",
                "others reach this address, and what they send and see would go over the network in the clear: give it \
                 a certificate (tls), listen on 127.0.0.1 or [::1], or say allow_plaintext: true where something else \
                 protects it",
            ));
        }
        if self.tokens.is_empty() && self.clients.is_empty() {
            return Err(ConfigError::new(
                "listen.tokens",
                "nobody could ask: name who may, each with a name, an access and a secret, or by a certificate under \
                 clients",
            ));
        }
        if let Some(tls) = &self.tls {
            tls.check().map_err(|error| ConfigError::new(format!("listen.{}", error.path), error.message))?;
        }
        self.check_clients()?;
        self.check_tokens()
    }

    fn check_clients(&self) -> Result<(), ConfigError> {
        let authority = self.tls.as_ref().and_then(|tls| tls.client_ca.as_ref());
        if authority.is_none() && !self.clients.is_empty() {
            return Err(ConfigError::new(
                "listen.clients",
                "nobody would be asked for a certificate: tls.client_ca says which authority issues them",
            ));
        }
        if authority.is_some() && self.clients.is_empty() {
            return Err(ConfigError::new(
                "listen.tls.client_ca",
                "nobody would be let in by a certificate: name under clients who is, each with a name and an access",
            ));
        }
        let mut names = BTreeSet::new();
        for (index, client) in self.clients.iter().enumerate() {
            let wrong = |why: String| Err(ConfigError::new(format!("listen.clients[{index}].name"), why));
            if !is_name(&client.name, LONGEST_CLIENT) {
                return wrong(format!("a name has 1 to {LONGEST_CLIENT} characters that can be printed"));
            }
            if !names.insert(&client.name) {
                return wrong(format!("{:?} is the name of another one too", client.name));
            }
        }
        Ok(())
    }

    fn check_tokens(&self) -> Result<(), ConfigError> {
        let (mut names, mut secrets) = (BTreeSet::new(), BTreeSet::new());
        for (index, token) in self.tokens.iter().enumerate() {
            let wrong =
                |key: &str, why: String| Err(ConfigError::new(format!("listen.tokens[{index}].{key}"), why));
            if !is_name(&token.name, LONGEST_NAME) {
                return wrong(
                    "name",
                    format!("a name has 1 to {LONGEST_NAME} characters that can be printed"),
                );
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

/// Whether it can stand in the log.
fn is_name(name: &str, longest: usize) -> bool {
    (1..=longest).contains(&name.len()) && !name.chars().any(char::is_control)
}
