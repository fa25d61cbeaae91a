//! Access tokens by OAuth 2.0 client credentials (RFC 6749 §4.4).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use form_urlencoded::byte_serialize;
use http::HeaderValue;
use reqwest::{Client, Url};
use rolecall_sink_api::{ConfigError, Secret, printable};
use serde::Deserialize;
use tokio::time::Instant;

use crate::auth::OAuth2;

/// The longest answer of a token endpoint that is read, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// A token is replaced this long before it expires, so that none expires on its way.
const EARLY: Duration = Duration::from_secs(30);
/// How long a token is used whose lifetime is not said.
const UNSAID: Duration = Duration::from_secs(5 * 60);

/// Where tokens come from, and the one that is in use.
pub(crate) struct Tokens {
    client: Client,
    config: OAuth2,
    url: Url,
    /// The last one, also when it is not valid any more: an answer may still repeat it.
    current: Mutex<Option<Token>>,
    /// Held by the one who asks for a token while the others wait for it.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Token {
    secret: Secret,
    until: Instant,
}

/// What a token endpoint answers (RFC 6749 §5.1).
#[derive(Deserialize)]
struct Granted {
    access_token: Secretly,
    token_type: String,
    expires_in: Option<u64>,
}

/// What it answers when it refuses (RFC 6749 §5.2).
#[derive(Deserialize)]
struct Denied {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// A secret that is read from an answer.
struct Secretly(Secret);

impl<'de> Deserialize<'de> for Secretly {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

impl Tokens {
    /// Checks the configuration; nothing is asked for yet.
    pub(crate) fn new(config: OAuth2, client: Client) -> Result<Self, ConfigError> {
        let fail = |why: String| ConfigError::new("auth.oauth2.token_url", why);
        let url = Url::parse(&config.token_url).map_err(|e| fail(format!("is not a URL: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some()
        {
            return Err(fail("must be https:// (or http://) without credentials".into()));
        }
        config
            .client_secret
            .read()
            .map_err(|e| ConfigError::new("auth.oauth2.client_secret", e.to_string()))?;
        Ok(Self { client, config, url, current: Mutex::default(), asking: tokio::sync::Mutex::default() })
    }

    /// A token that is valid now, as the value of `Authorization`. Whoever comes first asks for it, and the
    /// others wait.
    pub(crate) async fn header(&self) -> Result<HeaderValue, String> {
        let _asking = self.asking.lock().await;
        let valid = self.current().clone().filter(|token| token.until > Instant::now());
        let token = match valid {
            Some(token) => token,
            None => {
                let token =
                    self.request().await.map_err(|why| format!("no token from {}: {why}", self.url))?;
                self.current().insert(token).clone()
            }
        };
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.secret.expose()))
            .map_err(|_| format!("{} gave a token that no header can hold", self.url))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The token in `header` was refused: it is not used again. Another one that came meanwhile is.
    pub(crate) fn refused(&self, header: &HeaderValue) {
        let mut current = self.current();
        let bytes = header.as_bytes().strip_prefix(b"Bearer ");
        if let Some(token) = current.as_mut().filter(|token| bytes == Some(token.secret.expose().as_bytes()))
        {
            token.until = Instant::now();
        }
    }

    /// What nobody may see.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let token = self.current().as_ref().map(|token| token.secret.clone());
        token.into_iter().chain(self.config.client_secret.read()).collect()
    }

    fn current(&self) -> MutexGuard<'_, Option<Token>> {
        // Nothing here panics while it holds the lock.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn request(&self) -> Result<Token, String> {
        let asked = Instant::now();
        let secret = self.config.client_secret.read().map_err(|e| e.to_string())?;
        // RFC 6749 §2.3.1: both are form-encoded before they are joined.
        let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.config.scope.as_deref().map(|scope| ("scope", scope)));
        form.extend(self.config.audience.as_deref().map(|audience| ("audience", audience)));
        let mut response = self
            .client
            .post(self.url.clone())
            .basic_auth(encode(&self.config.client_id), Some(encode(secret.expose())))
            .header(http::header::ACCEPT, "application/json")
            .form(&form)
            .send()
            .await
            .map_err(|e| crate::client::causes(&e.without_url()))?;
        let status = response.status();
        let mut body = zeroize::Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(|e| crate::client::causes(&e.without_url()))? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(format!("{status}: the answer is longer than {LONGEST_ANSWER} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            // Nothing but the error's own words is shown: who knows what else is in there.
            let said = serde_json::from_slice::<Denied>(&body)
                .map(|denied| format!(": {} {}", denied.error, denied.error_description))
                .unwrap_or_default()
                .replace(secret.expose(), "[secret]");
            return Err(format!("{status}{}; check auth.oauth2", printable(&said, 300)));
        }
        let granted: Granted = serde_json::from_slice(&body)
            .map_err(|_| format!("{status}, but the answer is no token as RFC 6749 has it"))?;
        if !granted.token_type.eq_ignore_ascii_case("bearer") {
            return Err(format!("the token is of type {:?}, not Bearer", printable(&granted.token_type, 40)));
        }
        let lifetime = granted.expires_in.map_or(UNSAID, Duration::from_secs);
        let until = asked + lifetime.saturating_sub(EARLY).max(lifetime / 2);
        Ok(Token { secret: granted.access_token.0, until })
    }
}
