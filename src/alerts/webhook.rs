//! Sending to one webhook.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, StatusCode, Url};
use rolecall_sink_api::ConfigError;

use super::message::Message;
use crate::config::{AlertFormat, AlertWebhook};
use crate::receive::signature::{ID_HEADER, SIGNATURE_HEADER, SigningKey, TIMESTAMP_HEADER};

/// How long one attempt may take.
const WITHIN: Duration = Duration::from_secs(10);
/// How much of an answer is read, in bytes.
const MOST_READ: usize = 500;

/// Somebody who is told.
pub(super) struct Webhook {
    pub(super) name: String,
    pub(super) format: AlertFormat,
    url: Url,
    key: Option<SigningKey>,
    http: Client,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It was taken: the status of the answer.
    Sent(StatusCode),
    /// It was not: what the other side said, or why it could not be asked.
    Failed(String),
}

impl Webhook {
    /// Reads its secrets. Paths are relative to its section.
    pub(super) fn new(name: &str, config: &AlertWebhook) -> Result<Self, ConfigError> {
        let http = Client::builder()
            .tls_backend_preconfigured((*config.tls.client_config()?).clone())
            // A redirect would carry the message to where nobody said.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(WITHIN)
            .build()
            .map_err(|error| ConfigError::new("url", format!("cannot set up HTTP: {error}")))?;
        Ok(Self {
            name: name.to_owned(),
            format: config.format,
            url: config.address()?,
            key: config.signing_key()?,
            http,
        })
    }

    /// Sends it once.
    pub(super) async fn send(&self, message: &Message, now: Timestamp) -> Tried {
        let mut request = self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            let signed = key.sign(&message.id, now, message.body.as_bytes());
            request = request
                .header(ID_HEADER, signed.id)
                .header(TIMESTAMP_HEADER, signed.timestamp)
                .header(SIGNATURE_HEADER, signed.signature);
        }
        match request.body(message.body.clone()).send().await {
            Ok(response) if response.status().is_success() => Tried::Sent(response.status()),
            Ok(response) => {
                let status = response.status();
                Tried::Failed(format!("it answered {status}: {}", beginning(response).await))
            }
            // The address may be a secret.
            Err(error) => Tried::Failed(why(&error.without_url())),
        }
    }
}

/// What failed, and why, as deep as it is known.
fn why(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

async fn beginning(mut response: Response) -> String {
    let mut read = Vec::new();
    while let Ok(Some(part)) = response.chunk().await {
        read.extend_from_slice(&part[..part.len().min(MOST_READ - read.len())]);
        if read.len() == MOST_READ {
            break;
        }
    }
    String::from_utf8_lossy(&read).escape_debug().to_string()
}
