//! Sending spans to a collector, some hundred at a time.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use rolecall_sink_api::ConfigError;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::config::TracesConfig;
use super::span::Span;
use super::{Counts, otlp};

/// The most spans in a request.
const MOST_SPANS: usize = 512;
/// How long spans are gathered.
const GATHER: Duration = Duration::from_secs(1);
/// How long a collector may take for a request.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How often the same spans are sent, and how long to wait before each time but the first.
const WAITS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(5)];
/// The longest wait that a collector may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long the last spans may take when the daemon stops.
const DRAIN: Duration = Duration::from_secs(2);

/// Sends spans.
#[derive(Debug)]
pub struct Exporter {
    http: Client,
    url: Url,
    spans: mpsc::Receiver<Span>,
    counts: Arc<Counts>,
    /// Whether the collector took what it was sent last.
    well: bool,
}

/// Why a collector did not take spans.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// It may take them later, perhaps after a time that it names.
    #[error("{reason}")]
    Now { reason: String, after: Option<Duration> },
    /// It will never take them.
    #[error("{0}")]
    ForGood(String),
}

impl Exporter {
    pub(super) fn new(
        config: &TracesConfig,
        spans: mpsc::Receiver<Span>,
        counts: Arc<Counts>,
    ) -> Result<Self, ConfigError> {
        let url = config.url()?;
        let tls = (*config.tls.client_config()?).clone();
        // A collector stands beside the daemon or in its network: no proxy, and nothing that sends spans elsewhere.
        let http = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ANSWER_WITHIN)
            .build()
            .map_err(|error| ConfigError::new("endpoint", format!("cannot be connected to: {error}")))?;
        Ok(Self { http, url, spans, counts, well: true })
    }

    /// Sends what is recorded until `stop` is cancelled, and then what the others record until they have ended.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(MOST_SPANS);
        let work = async {
            while self.gather(&mut batch).await {
                self.send(&mut batch).await;
            }
        };
        if stop.run_until_cancelled(work).await.is_some() {
            return;
        }
        // What was being sent may have arrived already: a collector tells spans by their ids. No part records more than
        // the work in its hands before it ends.
        while self.spans.recv_many(&mut batch, MOST_SPANS).await > 0 {}
        let last = async {
            while !batch.is_empty() {
                let rest = batch.split_off(batch.len().min(MOST_SPANS));
                self.send(&mut batch).await;
                batch = rest;
            }
        };
        if timeout(DRAIN, last).await.is_err() {
            tracing::warn!(endpoint = %self.url, "the last traces took too long to send and are dropped");
        }
    }

    /// Waits for spans and gathers those that come soon after. Returns false when none will come any more.
    async fn gather(&mut self, batch: &mut Vec<Span>) -> bool {
        if self.spans.recv_many(batch, MOST_SPANS).await == 0 {
            return false;
        }
        let more = async {
            while batch.len() < MOST_SPANS {
                let room = MOST_SPANS - batch.len();
                if self.spans.recv_many(batch, room).await == 0 {
                    return;
                }
            }
        };
        // As many as there are by then go; none is lost, for those that were taken are in the batch.
        let _ = timeout(GATHER, more).await;
        true
    }

    /// Sends the batch, some times if need be, and empties it.
    async fn send(&mut self, batch: &mut Vec<Span>) {
        let body = otlp::request(batch).to_string();
        let mut outcome = Ok(());
        let mut asked = None;
        for wait in WAITS {
            sleep(asked.take().unwrap_or(wait).min(LONGEST_WAIT)).await;
            outcome = self.post(body.clone()).await;
            match &outcome {
                Ok(()) | Err(Refused::ForGood(_)) => break,
                Err(Refused::Now { after, .. }) => asked = *after,
            }
        }
        let spans = batch.len() as u64;
        match outcome {
            Ok(()) => {
                self.counts.sent.inc_by(spans);
                if !self.well {
                    tracing::info!(endpoint = %self.url, "the collector takes traces again");
                }
                self.well = true;
            }
            Err(error) => {
                self.counts.dropped.inc_by(spans);
                if self.well {
                    tracing::warn!(endpoint = %self.url, %error, "traces cannot be sent and are dropped");
                }
                self.well = false;
            }
        }
        batch.clear();
    }

    async fn post(&self, body: String) -> Result<(), Refused> {
        let request = self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        let answer =
            request.send().await.map_err(|error| Refused::Now { reason: causes(&error), after: None })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let reason = format!("HTTP status {status}");
        // What OTLP has sent again; anything else is not to be.
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        ) {
            let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            return Err(Refused::Now { reason, after: after.map(Duration::from_secs) });
        }
        Err(Refused::ForGood(reason))
    }
}

/// What is wrong, down to what the operating system said.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
