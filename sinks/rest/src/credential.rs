//! The credentials of a request.

use std::sync::RwLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use rolecall_sink_api::{ConfigError, Secret};

use crate::config::Auth;
use crate::operation::header_name;

/// Credentials that can be read again, so that a secret that was replaced is taken up without a restart.
pub(crate) struct Credential {
    auth: Auth,
    current: RwLock<Current>,
}

#[derive(Clone)]
struct Current {
    name: HeaderName,
    value: HeaderValue,
    /// What must not be shown: the secret, and the form in which it is sent.
    secrets: Vec<Secret>,
}

impl Credential {
    /// Reads the secret for the first time.
    pub(crate) fn read(auth: Auth) -> Result<Self, ConfigError> {
        let current = RwLock::new(Current::read(&auth)?);
        Ok(Self { auth, current })
    }

    /// Reads the secret again.
    pub(crate) fn refresh(&self) -> Result<(), ConfigError> {
        let current = Current::read(&self.auth)?;
        *self.current.write().unwrap_or_else(std::sync::PoisonError::into_inner) = current;
        Ok(())
    }

    /// The header to send; its value is marked as sensitive.
    pub(crate) fn header(&self) -> (HeaderName, HeaderValue) {
        let current = self.current.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        (current.name.clone(), current.value.clone())
    }

    /// What an application's answer may repeat and nobody may see.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        self.current.read().unwrap_or_else(std::sync::PoisonError::into_inner).secrets.clone()
    }
}

impl Current {
    fn read(auth: &Auth) -> Result<Self, ConfigError> {
        let (at, source) = match auth {
            Auth::Bearer(source) => ("auth.bearer", source),
            Auth::Basic(basic) => ("auth.basic.password", &basic.password),
            Auth::Header(header) => ("auth.header.value", &header.value),
        };
        let secret = source.read().map_err(|e| ConfigError::new(at, e.to_string()))?;
        let mut secrets = vec![secret.clone()];
        let (name, text) = match auth {
            Auth::Bearer(_) => (AUTHORIZATION, Secret::new(format!("Bearer {}", secret.expose()))),
            Auth::Basic(basic) => {
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
            Auth::Header(header) => {
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
