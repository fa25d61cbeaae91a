//! `rolecall send`

mod body;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{ArgGroup, Args};
use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use rolecall_sink_api::SecretSource;
use rolecall_sink_api::tls::Tls;
use serde::Serialize;

use self::body::{Body, Setting};
use super::output::{self, print, print_json};
use super::table::Table;
use super::text::{BAD, GOOD, plain, styled};
use super::{Exit, Failure, load};
use crate::config::Config;
use crate::receive::ListenConfig;
use crate::receive::signature::{ID_HEADER, SIGNATURE_HEADER, SigningKey, TIMESTAMP_HEADER};
use crate::source::{SAMPLES, SourceConfig, SourceName};

/// How long to wait for the answer: longer than any receiver waits for its store.
const WITHIN: Duration = Duration::from_secs(30);
/// The most of an answer that is shown, in bytes.
const MOST_ANSWER: usize = 4096;

/// Sign an event and send it, as an identity provider would
///
/// Where it goes and with which secret it is signed is taken from the configuration, unless it is given. The
/// exit code is 0 when the answer is a success, 1 when it is another one, and 3 when there is none.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rolecall send --sample user_created --set data.email=ada@example.com
  rolecall send event.json --url https://rolecall.example.com/webhooks/scalekit --secret-file ./secret")]
#[command(group = ArgGroup::new("what").required(true).args(["event", "sample", "list"]))]
pub(super) struct SendEvent {
    /// A file with the event's JSON, sent as it is; `-` for standard input
    event: Option<PathBuf>,
    /// Send a sample, as a new event of now
    #[arg(long, value_name = "NAME")]
    sample: Option<String>,
    /// List the samples
    #[arg(long)]
    list: bool,
    /// Send the sample under its own id and time: sent twice, it is a duplicate
    #[arg(long, conflicts_with_all = ["event", "list"])]
    as_is: bool,
    /// Put a value in the event: KEY is a path such as data.email, VALUE is JSON, or else text
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<Setting>,
    /// Where to send it [default: the configured listener and source]
    #[arg(long)]
    url: Option<Url>,
    /// Whose event it is, where more than one source is configured
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// A file with the secret to sign with [default: the source's first]
    #[arg(long, value_name = "PATH", conflicts_with = "secret_env")]
    secret_file: Option<PathBuf>,
    /// An environment variable with the secret to sign with
    #[arg(long, value_name = "VARIABLE")]
    secret_env: Option<String>,
    /// A PEM file with the certificate authorities to trust instead of the system's
    #[arg(long, value_name = "PATH")]
    ca: Option<PathBuf>,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

impl SendEvent {
    pub(super) async fn run(self, config: &Path) -> Result<Exit, Failure> {
        if self.list {
            return self.list_samples();
        }
        let answer = self.send(config).await?;
        output::answer(self.json, &answer, |answer| answer.render())?;
        Ok(if answer.is_success() { Exit::Done } else { Exit::Problems })
    }

    async fn send(&self, config: &Path) -> Result<Answer, Failure> {
        let now = Timestamp::now();
        let body = self.body(now)?;
        let (url, secret) = self.target(config)?;
        let headers = self.key(&secret).map_err(Failure::Usage)?.sign(&body.message_id, now, &body.bytes);
        let request = self
            .http()?
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ID_HEADER, headers.id)
            .header(TIMESTAMP_HEADER, headers.timestamp)
            .header(SIGNATURE_HEADER, headers.signature)
            .body(body.bytes);
        let response = request
            .send()
            .await
            .map_err(reqwest::Error::without_url)
            .with_context(|| format!("nobody answered at {url}"))
            .map_err(Failure::Unreachable)?;
        Ok(Answer {
            url: url.to_string(),
            message_id: body.message_id,
            status: response.status().as_u16(),
            body: shown_part(response).await?,
        })
    }

    fn key(&self, secret: &SecretSource) -> anyhow::Result<SigningKey> {
        SigningKey::new(&secret.read()?).with_context(|| format!("cannot sign with {secret}"))
    }

    fn http(&self) -> Result<reqwest::Client, Failure> {
        let tls = Tls { ca: self.ca.clone(), ..Tls::default() };
        let tls = tls.client_config().map_err(|error| Failure::Usage(error.into()))?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured((*tls).clone())
            .redirect(reqwest::redirect::Policy::none())
            .timeout(WITHIN)
            .build();
        Ok(client.context("cannot set up HTTP")?)
    }

    fn list_samples(&self) -> Result<Exit, Failure> {
        if self.json {
            #[derive(Serialize)]
            struct Listed {
                name: &'static str,
                about: &'static str,
            }
            let listed: Vec<Listed> =
                SAMPLES.iter().map(|sample| Listed { name: sample.name, about: sample.about }).collect();
            print_json(&listed)?;
        } else {
            let mut table = Table::new(["SAMPLE", "WHAT IT SAYS"]);
            SAMPLES.iter().for_each(|sample| table.row([sample.name.into(), sample.about.into()]));
            print(&table.render(0, None))?;
        }
        Ok(Exit::Done)
    }

    fn body(&self, now: Timestamp) -> Result<Body, Failure> {
        let body = match (&self.sample, &self.event) {
            (Some(name), _) if self.as_is => Body::of_sample(name, now)?,
            (Some(name), _) => Body::of_new_sample(name, now)?,
            (None, Some(path)) => Body::of_file(path, now)?,
            (None, None) => return Err(Failure::Usage(anyhow!("name a file or a sample to send"))),
        };
        body.with(&self.set)
    }

    /// Where to, and signed with what. The configuration is not needed when both are given.
    fn target(&self, config: &Path) -> Result<(Url, SecretSource), Failure> {
        let secret = match (&self.secret_file, &self.secret_env) {
            (Some(path), _) => Some(SecretSource::File(path.clone())),
            (None, Some(variable)) => Some(SecretSource::Env(variable.clone())),
            (None, None) => None,
        };
        match (&self.url, secret) {
            (Some(url), Some(secret)) => Ok((url.clone(), secret)),
            (url, secret) => {
                let config = load(config)?;
                let (name, source) = self.source_of(&config).map_err(Failure::Usage)?;
                let url = match url {
                    Some(url) => url.clone(),
                    None => address(&config.listen, name).map_err(Failure::Usage)?,
                };
                let first = || source.secrets.first().cloned();
                let secret = secret.or_else(first).ok_or_else(|| {
                    Failure::Usage(anyhow!("source {name} has no secret; give one with --secret-file"))
                })?;
                Ok((url, secret))
            }
        }
    }

    fn source_of<'c>(&self, config: &'c Config) -> anyhow::Result<(&'c SourceName, &'c SourceConfig)> {
        let names = || config.sources.keys().map(SourceName::as_str).collect::<Vec<_>>().join(", ");
        match &self.source {
            Some(name) => config
                .sources
                .get_key_value(name.as_str())
                .ok_or_else(|| anyhow!("no source is named {name:?}; there are: {}", names())),
            None => {
                let mut sources = config.sources.iter();
                match (sources.next(), sources.next()) {
                    (Some(only), None) => Ok(only),
                    (None, _) => Err(anyhow!("no source is configured; give --url and --secret-file")),
                    (Some(_), Some(_)) => Err(anyhow!("say whose event it is with --source: {}", names())),
                }
            }
        }
    }
}

/// The beginning of an answer's body.
async fn shown_part(mut response: reqwest::Response) -> anyhow::Result<String> {
    let mut text = Vec::new();
    while text.len() < MOST_ANSWER
        && let Some(part) = response.chunk().await.context("the answer was cut off")?
    {
        text.extend_from_slice(&part);
    }
    text.truncate(MOST_ANSWER);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A source's address on this host.
fn address(listen: &ListenConfig, source: &SourceName) -> anyhow::Result<Url> {
    let scheme = if listen.tls.is_some() { "https" } else { "http" };
    let mut address = listen.address;
    // One that listens everywhere is reached here.
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let url = format!("{scheme}://{address}/webhooks/{source}");
    Url::parse(&url).with_context(|| format!("{url} is no address to send to; give one with --url"))
}

/// What the receiver said.
#[derive(Debug, Serialize)]
struct Answer {
    url: String,
    message_id: String,
    status: u16,
    body: String,
}

impl Answer {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn render(&self) -> String {
        let style = if self.is_success() { GOOD } else { BAD };
        let reason =
            http::StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        let status = format!("{} {}", self.status, reason.unwrap_or_default());
        let hint = match self.status {
            400 => {
                "\nThe receiver's log says why. Most often the secret is another one, or the clocks differ."
            }
            404 => "\nThere is no such source there: the address ends in /webhooks/ and the source's name.",
            503 => "\nIt could not be stored now; the receiver's log says why. A sender would send it again.",
            _ => "",
        };
        format!("{} from {}\n{}{hint}\n", styled(style, status.trim_end()), self.url, plain(&self.body))
    }
}

#[cfg(test)]
mod tests;
