//! Sending one request: where to, how long, and what can go wrong before there is an answer.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Client, Proxy, Url};
use rolecall_sink_api::tls::Tls;
use rolecall_sink_api::{ConfigError, Secret, SinkName, Timespan, printable};

use crate::answer::Answer;
use crate::auth::Auth;
use crate::credential::Credential;
use crate::pace::Pace;
use crate::request::{Request, header_name};

/// The longest that connecting may take, whatever the whole request may.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How an application is reached, from the configuration; errors name these keys.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `base_url`: where the application is, without credentials and without a query.
    pub base_url: String,
    /// `auth`: how requests are authenticated.
    pub auth: Option<Auth>,
    /// `headers`: what every request has.
    pub headers: BTreeMap<String, String>,
    /// `timeout`: the longest that one request may take.
    pub timeout: Timespan,
    /// `max_response_bytes`: the longest answer that is read.
    pub max_response_bytes: usize,
    /// `tls`: whom to trust, and who we are.
    pub tls: Tls,
    /// `proxy`: for all requests.
    pub proxy: Option<String>,
}

/// An application, reachable over HTTP, and the sink that keeps it in step.
pub struct Application {
    pub(crate) sink: SinkName,
    client: Client,
    base: Url,
    headers: HeaderMap,
    credential: Option<Credential>,
    max_response_bytes: usize,
    timeout: Duration,
    pace: Option<Pace>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// No connection, or no token: nothing can be sent.
    Unreachable(String),
    /// This request got no answer; another may.
    Lost(String),
    /// The request could not be made.
    Unsendable(String),
}

impl Application {
    /// The application as `settings` describe it. Nothing is connected to yet.
    ///
    /// # Errors
    /// When a value cannot be used, or a secret or certificate cannot be read.
    pub fn new(sink: SinkName, settings: &Settings) -> Result<Self, ConfigError> {
        if settings.timeout.get().is_zero() {
            return Err(ConfigError::new("timeout", "must be longer than nothing"));
        }
        if settings.max_response_bytes == 0 {
            return Err(ConfigError::new("max_response_bytes", "must be more than 0"));
        }
        let base = base_url(&settings.base_url)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let at = format!("headers.{name}");
            let name = header_name(name).map_err(|e| ConfigError::new(&at, e))?;
            let value = HeaderValue::from_str(value)
                .map_err(|_| ConfigError::new(&at, "the value has a character that no header can hold"))?;
            headers.insert(name, value);
        }
        let mut tls = (*settings.tls.client_config()?).clone();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let timeout = settings.timeout.get();
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .no_proxy()
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .pool_idle_timeout(Duration::from_secs(60))
            .user_agent(concat!("rolecall/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = &settings.proxy {
            let proxy = Proxy::all(proxy).map_err(|e| ConfigError::new("proxy", e.to_string()))?;
            builder = builder.proxy(proxy);
        }
        let client =
            builder.build().map_err(|e| ConfigError::new("base_url", format!("no client for it: {e}")))?;
        let credential = settings.auth.clone().map(|auth| Credential::new(auth, &client)).transpose()?;
        let max_response_bytes = settings.max_response_bytes;
        Ok(Self { sink, client, base, headers, credential, max_response_bytes, timeout, pace: None })
    }

    /// The same, asked no more often than so many times a second.
    pub fn paced(mut self, per_second: Option<NonZeroU32>) -> Self {
        self.pace = per_second.map(Pace::per_second);
        self
    }

    /// Where the application is, for people to read.
    pub fn name(&self) -> &str {
        self.base.as_str()
    }

    /// Whether nobody on the way can read along.
    pub fn is_encrypted(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Reads the secret again, where there is one: it may have been replaced.
    ///
    /// # Errors
    /// When it cannot be read or used.
    pub fn refresh_credential(&self) -> Result<(), ConfigError> {
        self.credential.as_ref().map_or(Ok(()), Credential::refresh)
    }

    /// What an answer may repeat and nobody may see.
    pub fn secrets(&self) -> Vec<Secret> {
        self.credential.as_ref().map(Credential::secrets).unwrap_or_default()
    }

    /// Sends a request, once more when the connection broke and it may be repeated: a connection that was kept
    /// from before may have been closed by the other side just then.
    ///
    /// # Errors
    /// When there is no answer, and why.
    pub async fn send(&self, request: &Request) -> Result<Answer, NoAnswer> {
        match self.send_once(request).await {
            Err(Broken { no_answer: NoAnswer::Lost(_), timed_out: false }) if request.repeatable => {
                self.send_once(request).await.map_err(|broken| broken.no_answer)
            }
            other => other.map_err(|broken| broken.no_answer),
        }
    }

    /// Sends a request, once more with another token when the first was refused.
    async fn send_once(&self, request: &Request) -> Result<Answer, Broken> {
        let Some(credential) = &self.credential else {
            return self.send_as(request, None).await;
        };
        let (name, value) = credential.header().await.map_err(Broken::unreachable)?;
        let answer = self.send_as(request, Some((name, value.clone()))).await?;
        if answer.status != StatusCode::UNAUTHORIZED || !credential.refused(&value) {
            return Ok(answer);
        }
        let header = credential.header().await.map_err(Broken::unreachable)?;
        self.send_as(request, Some(header)).await
    }

    async fn send_as(
        &self,
        request: &Request,
        credential: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Answer, Broken> {
        let url = self.url(&request.path).map_err(Broken::unsendable)?;
        let mut builder = self
            .client
            .request(request.method.clone(), url)
            .headers(self.headers.clone())
            .headers(request.headers.clone());
        if let Some((name, value)) = credential {
            builder = builder.header(name, value);
        }
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        if let Some(pace) = &self.pace {
            pace.turn().await;
        }
        let response = builder.send().await.map_err(|e| self.broken(e))?;
        self.read(response).await
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Answer, Broken> {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        let mut cut = false;
        while !cut {
            let Some(chunk) = response.chunk().await.map_err(|e| self.broken(e))? else { break };
            let room = self.max_response_bytes - body.len();
            cut = chunk.len() > room;
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        Ok(Answer { status, headers, body, cut })
    }

    fn broken(&self, error: reqwest::Error) -> Broken {
        let timed_out = error.is_timeout();
        let unreachable = error.is_connect();
        let reason = if timed_out && !unreachable {
            format!("no answer within {} ms", self.timeout.as_millis())
        } else {
            printable(&causes(&error.without_url()), 300)
        };
        let no_answer = if unreachable { NoAnswer::Unreachable(reason) } else { NoAnswer::Lost(reason) };
        Broken { no_answer, timed_out }
    }

    /// `path` below the base URL, and nowhere else.
    fn url(&self, path: &str) -> Result<Url, String> {
        let base = self.base.as_str().trim_end_matches('/');
        let url = Url::parse(&format!("{base}{path}")).map_err(|e| format!("{path} makes no URL: {e}"))?;
        let below = url.path().starts_with(self.base.path().trim_end_matches('/'));
        if url.origin() != self.base.origin() || !url.username().is_empty() || !below {
            return Err(format!("{path} leads away from {base}"));
        }
        Ok(url)
    }
}

struct Broken {
    no_answer: NoAnswer,
    timed_out: bool,
}

impl Broken {
    fn unreachable(reason: String) -> Self {
        Self { no_answer: NoAnswer::Unreachable(reason), timed_out: false }
    }

    fn unsendable(reason: String) -> Self {
        Self { no_answer: NoAnswer::Unsendable(reason), timed_out: false }
    }
}

/// An error with all that caused it: reqwest's own text says only that a request failed.
pub(crate) fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

fn base_url(text: &str) -> Result<Url, ConfigError> {
    let fail = |why: String| ConfigError::new("base_url", why);
    let url = Url::parse(text).map_err(|e| fail(format!("is not a URL: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(fail("must start with https:// or http:// and name a host".into()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fail("holds credentials: put them in auth, where they are read from a secret".into()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(fail("ends with its path: a query belongs to each operation's path".into()));
    }
    Ok(url)
}
