//! The credentials of a request.

use std::sync::{PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use reqwest::Client;
use rolecall_sink_api::{ConfigError, Secret, SecretSource};

use crate::auth::{Auth, Basic, HeaderAuth};
use crate::request::header_name;
use crate::token::Tokens;

/// What shows the application who we are.
pub(crate) enum Credential {
    /// A header with a secret, which can be read again, so that one that was replaced is taken up without a
    /// restart.
    Fixed { auth: FixedAuth, current: RwLock<Current> },
    /// A token that is asked for when it is needed.
    Token(Tokens),
}

/// Those ways to authenticate that need nobody else.
#[derive(Clone)]
pub(crate) enum FixedAuth {
    Bearer(SecretSource),
    Basic(Basic),
    Header(HeaderAuth),
}

#[derive(Clone)]
pub(crate) struct Current {
    name: HeaderName,
    value: HeaderValue,
    /// What must not be shown: the secret, and the form in which it is sent.
    secrets: Vec<Secret>,
}

impl Credential {
    /// Reads the secret for the first time. Tokens are asked for with `client`.
    pub(crate) fn new(auth: Auth, client: &Client) -> Result<Self, ConfigError> {
        let auth = match auth {
            Auth::Bearer(source) => FixedAuth::Bearer(source),
            Auth::Basic(basic) => FixedAuth::Basic(basic),
            Auth::Header(header) => FixedAuth::Header(header),
            Auth::OAuth2(config) => return Tokens::new(config, client.clone()).map(Credential::Token),
        };
        let current = RwLock::new(Current::read(&auth)?);
        Ok(Credential::Fixed { auth, current })
    }

    /// Reads the secret again.
    pub(crate) fn refresh(&self) -> Result<(), ConfigError> {
        if let Credential::Fixed { auth, current } = self {
            let fresh = Current::read(auth)?;
            *current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        Ok(())
    }

    /// The header to send; its value is marked as sensitive.
    ///
    /// # Errors
    /// When no token can be had, and why.
    pub(crate) async fn header(&self) -> Result<(HeaderName, HeaderValue), String> {
        match self {
            Credential::Fixed { current, .. } => {
                let current = current.read().unwrap_or_else(PoisonError::into_inner);
                Ok((current.name.clone(), current.value.clone()))
            }
            Credential::Token(tokens) => Ok((AUTHORIZATION, tokens.header().await?)),
        }
    }

    /// The application refused the value of the header. Returns whether another one may be had at once.
    pub(crate) fn refused(&self, value: &HeaderValue) -> bool {
        match self {
            Credential::Fixed { .. } => false,
            Credential::Token(tokens) => {
                tokens.refused(value);
                true
            }
        }
    }

    /// What an application's answer may repeat and nobody may see.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        match self {
            Credential::Fixed { current, .. } => {
                current.read().unwrap_or_else(PoisonError::into_inner).secrets.clone()
            }
            Credential::Token(tokens) => tokens.secrets(),
        }
    }
}

impl Current {
    fn read(auth: &FixedAuth) -> Result<Self, ConfigError> {
        let (at, source) = match auth {
            FixedAuth::Bearer(source) => ("auth.bearer", source),
            FixedAuth::Basic(basic) => ("auth.basic.password", &basic.password),
            FixedAuth::Header(header) => ("auth.header.value", &header.value),
        };
        let secret = source.read().map_err(|e| ConfigError::new(at, e.to_string()))?;
        let mut secrets = vec![secret.clone()];
        let (name, text) = match auth {
            FixedAuth::Bearer(_) => (AUTHORIZATION, Secret::new(format!("Bearer {}", secret.expose()))),
            FixedAuth::Basic(basic) => {
                if basic.username.contains(':') {
                    return Err(ConfigError::new(
                        "auth.basic.username",
                        "has a colon, which RFC 7617 forbids",
                    ));
                }
                let pair = Secret::new(format!("{}:{}", basic.username, secret.expose()));
                let encoded = Secret::new(STANDARD.encode(pair.expose()));
                secrets.push(encoded.clone());
                (AUTHORIZATION, Secret::new(format!("Basic {}", encoded.expose())))
            }
            FixedAuth::Header(header) => {
                let name = header_name(&header.name).map_err(|e| ConfigError::new("auth.header.name", e))?;
                (name, secret)
            }
        };
        let mut value = HeaderValue::from_str(text.expose())
            .map_err(|_| ConfigError::new(at, "the secret has a character that no header can hold"))?;
        value.set_sensitive(true);
        Ok(Self { name, value, secrets })
    }
}
