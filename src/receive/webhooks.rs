//! `POST /webhooks/{source}`: from a request to an answer.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Buf;
use futures_util::Stream;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method};
use jiff::{SignedDuration, Timestamp};
use rolecall_sink_api::ConfigError;
use tokio::time::timeout;
use tracing::debug;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::answer::{Acknowledgements, Answer, stored};
use super::body::{self, Held, NoBody};
use super::client::Client;
use super::crowd::Crowd;
use super::refusals::Refusals;
use super::signature::{ID_HEADER, SIGNATURE_HEADER, SigningKey, TIMESTAMP_HEADER, Verifier};
use crate::directory::EventId;
use crate::source::{Reading, Source, SourceConfig, SourceName, Verified};
use crate::store::{Intake, Message, Receipt, Unavailable};
use crate::traces::{EventTrace, Kind, Traces};

/// Tells the time: [`Timestamp::now`], except in tests.
pub type Clock = fn() -> Timestamp;

/// One sender: its name, how its messages are told from everybody else's, and how they are read.
#[derive(Clone)]
pub struct NamedSource {
    /// Its name, the end of its address.
    pub name: SourceName,
    /// Tells its messages.
    pub verifier: Verifier,
    /// Reads them.
    pub source: Arc<dyn Source>,
}

impl NamedSource {
    /// The source that the configuration describes; reads its secrets.
    ///
    /// # Errors
    /// When a secret cannot be read or is no signing key, or there is none. Paths are relative to the
    /// source's own section.
    pub fn new(name: SourceName, config: &SourceConfig) -> Result<Self, ConfigError> {
        if config.secrets.is_empty() {
            return Err(ConfigError::new("secrets", "needs at least one: nobody's messages could be told"));
        }
        let keys = config.secrets.iter().enumerate().map(|(index, place)| {
            let fail = |message: String| ConfigError::new(format!("secrets.{index}"), message);
            let secret = place.read().map_err(|error| fail(error.to_string()))?;
            SigningKey::new(&secret).map_err(|error| fail(format!("{place}: {error}")))
        });
        let tolerance = SignedDuration::try_from(config.tolerance.get()).unwrap_or(SignedDuration::MAX);
        let verifier = Verifier::new(keys.collect::<Result<_, _>>()?, tolerance);
        Ok(Self { name, verifier, source: config.kind.reader() })
    }
}

/// What every request needs.
pub(super) struct Webhooks {
    pub(super) sources: BTreeMap<SourceName, NamedSource>,
    pub(super) intake: Intake,
    pub(super) clock: Clock,
    pub(super) max_body: usize,
    pub(super) body_timeout: Duration,
    pub(super) answer_timeout: Duration,
    pub(super) held: Arc<Held>,
    pub(super) counts: Arc<Acknowledgements>,
    pub(super) refusals: Refusals,
    pub(super) crowd: Crowd,
    pub(super) traces: Traces,
}

/// Who sent a request, and the headers that decide what becomes of it; each is missing or the first of its name.
struct Headers {
    client: Option<Client>,
    content_type: Option<HeaderValue>,
    id: Option<HeaderValue>,
    timestamp: Option<HeaderValue>,
    signature: Option<HeaderValue>,
}

/// Answers whatever is asked: webhooks, `GET /healthz` (the daemon listens and answers; nothing more), and
/// 404 for the rest.
pub(super) fn filter(webhooks: Arc<Webhooks>) -> BoxedFilter<(Response,)> {
    let elsewhere = Arc::clone(&webhooks);
    let headers = warp::ext::optional()
        .and(header(CONTENT_TYPE.as_str()))
        .and(header(ID_HEADER))
        .and(header(TIMESTAMP_HEADER))
        .and(header(SIGNATURE_HEADER))
        .map(|client, content_type, id, timestamp, signature| Headers {
            client,
            content_type,
            id,
            timestamp,
            signature,
        });
    let receive =
        warp::path!("webhooks" / String).and(warp::method()).and(headers).and(warp::body::stream()).then(
            move |source: String, method, headers, body| {
                let webhooks = Arc::clone(&webhooks);
                async move { webhooks.receive(&source, &method, &headers, body).await }
            },
        );
    let healthz = warp::path!("healthz").and(warp::method()).map(healthz);
    let not_found = warp::any().map(move || elsewhere.counted(None, Answer::NotFound));
    receive.or(healthz).unify().or(not_found).unify().boxed()
}

fn healthz(method: Method) -> Response {
    if method == Method::GET || method == Method::HEAD {
        return Response::default();
    }
    let mut response = Answer::MethodNotAllowed.reply();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn header(
    name: &'static str,
) -> impl Filter<Extract = (Option<HeaderValue>,), Error = Infallible> + Clone + Send + Sync {
    warp::header::value(name).map(Some).or(warp::any().map(|| None)).unify()
}

impl Webhooks {
    async fn receive<S, B>(&self, source: &str, method: &Method, headers: &Headers, body: S) -> Response
    where
        S: Stream<Item = Result<B, warp::Error>>,
        B: Buf,
    {
        let began = Instant::now();
        let Some(source) = self.sources.get(source) else { return self.counted(None, Answer::NotFound) };
        let name = source.name.as_str();
        if method != Method::POST {
            return self.counted(Some(source), Answer::MethodNotAllowed);
        }
        if !headers.content_type.as_ref().is_none_or(is_json) {
            return self.counted(Some(source), Answer::NotJson);
        }
        let turned_away = |answer: Answer, why: &dyn std::fmt::Display| {
            let id = raw(&headers.id);
            self.refusals.warn(name, headers.client, id, format_args!("a message was turned away: {why}"));
            self.counted(Some(source), answer)
        };
        let now = (self.clock)();
        let claim = match source.verifier.claim(
            raw(&headers.id),
            raw(&headers.timestamp),
            raw(&headers.signature),
            now,
        ) {
            Ok(claim) => claim,
            Err(refused) => return turned_away(Answer::Refused, &refused),
        };
        let reading = body::read(body, self.max_body, self.body_timeout, &self.held);
        let body = match self.crowd.hurry(reading).await.unwrap_or(Err(NoBody::Crowded)) {
            Ok(body) => body,
            Err(why) => return turned_away(answer_without_body(why), &why),
        };
        if let Err(refused) = source.verifier.verify(&claim, &body) {
            return turned_away(Answer::Refused, &refused);
        }
        let verified_at = (self.clock)();
        let verified = Verified { message_id: claim.id(), signed_at: claim.at(), body: &body };
        let reading = source.source.read(verified);
        let event = match &reading {
            Reading::Event { event, .. } => event.stamp.event.clone(),
            Reading::Ignored { id, .. } | Reading::Unreadable { id, .. } => id.clone(),
        };
        if let Reading::Unreadable { reason, .. } = &reading {
            let id = Some(claim.id().as_bytes());
            let client = headers.client;
            self.refusals.warn(
                name,
                client,
                id,
                format_args!("event {event} is kept, but cannot be read: {reason}"),
            );
        }
        let message = Message {
            source: name.to_owned(),
            message_id: claim.id().to_owned(),
            signed_at: claim.at(),
            received_at: now,
            reading,
            body,
        };
        match self.submit(message).await {
            Ok(receipt) => {
                let (answer, response) = stored(&event, &receipt);
                debug!(source = name, %event, answer = answer.as_str(), "received");
                self.counts.count(Some(&source.name), answer);
                self.counts.took(&source.name, began.elapsed());
                self.trace(source, &event, answer, now, verified_at);
                response
            }
            Err(why) => turned_away(Answer::Unavailable, &why),
        }
    }

    async fn submit(&self, message: Message) -> Result<Receipt, Unavailable> {
        timeout(self.answer_timeout, self.intake.submit(message)).await.unwrap_or_else(|_| {
            Err(Unavailable(format!(
                "the store did not answer within {:?} (listen.answer_timeout)",
                self.answer_timeout
            )))
        })
    }

    /// Adds what was done until now to the event's trace. A message that comes again is another part of the same one.
    fn trace(
        &self,
        source: &NamedSource,
        event: &EventId,
        answer: Answer,
        began: Timestamp,
        verified: Timestamp,
    ) {
        self.traces.record(|| {
            let ended = (self.clock)();
            let trace = EventTrace::of(event.as_str());
            let received = match answer {
                Answer::Duplicate => trace.child("receive again", began, ended),
                _ => trace.root("receive", began, ended),
            };
            let received = received
                .kind(Kind::Server)
                .with("rolecall.event.id", event.as_str())
                .with("rolecall.source", source.name.as_str())
                .with("rolecall.outcome", answer.as_str());
            [received, trace.child("verify", began, verified), trace.child("commit", verified, ended)]
        });
    }

    fn counted(&self, source: Option<&NamedSource>, answer: Answer) -> Response {
        self.counts.count(source.map(|source| &source.name), answer);
        answer.reply()
    }
}

fn answer_without_body(why: NoBody) -> Answer {
    match why {
        NoBody::TooLarge(_) => Answer::TooLarge,
        NoBody::Slow(_) | NoBody::Broken => Answer::Incomplete,
        NoBody::Crowded | NoBody::Full(_) => Answer::Unavailable,
    }
}

fn raw(header: &Option<HeaderValue>) -> Option<&[u8]> {
    header.as_ref().map(HeaderValue::as_bytes)
}

/// Whether a content type is JSON: `application/json`, or a type of its own that ends in `+json` (RFC 6839
/// §3.1). A request without one is taken for JSON, since nothing else is expected.
fn is_json(content_type: &HeaderValue) -> bool {
    let Ok(content_type) = content_type.to_str() else { return false };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.contains('/') && essence.ends_with("+json"))
}
