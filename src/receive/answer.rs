//! What a sender is told, and how often it was.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde::Serialize;
use warp::reply::Response;

use crate::directory::EventId;
use crate::metrics::{Histogram, Recent, RecentCounter};
use crate::source::SourceName;
use crate::store::Receipt;

/// When a sender may try again after a 503, in seconds: about as long as the store takes to come back from
/// what usually stops it.
const RETRY_SECONDS: u16 = 5;

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Answer {
    /// 200: on disk, and in every sink's queue.
    Committed,
    /// 200: the event was known already.
    Duplicate,
    /// 200: on disk; it does not concern a directory.
    Ignored,
    /// 200: on disk; it could not be read.
    Unreadable,
    /// 400: not authentic, or too old to tell. The sender is not told which.
    Refused,
    /// 404: no such source or path.
    NotFound,
    /// 405: a source takes POST alone.
    MethodNotAllowed,
    /// 408: the body did not arrive whole and in time.
    Incomplete,
    /// 413: the body is larger than the configuration allows.
    TooLarge,
    /// 415: the content type is not JSON.
    NotJson,
    /// 503: it cannot be stored now. The sender should send it again.
    Unavailable,
}

impl Answer {
    /// Every answer.
    pub const ALL: [Answer; 11] = [
        Answer::Committed,
        Answer::Duplicate,
        Answer::Ignored,
        Answer::Unreadable,
        Answer::Refused,
        Answer::NotFound,
        Answer::MethodNotAllowed,
        Answer::Incomplete,
        Answer::TooLarge,
        Answer::NotJson,
        Answer::Unavailable,
    ];

    /// The answer's name: in the `status` of the response's body, and wherever it is counted.
    pub const fn as_str(self) -> &'static str {
        match self {
            Answer::Committed => "committed",
            Answer::Duplicate => "duplicate",
            Answer::Ignored => "ignored",
            Answer::Unreadable => "unreadable",
            Answer::Refused => "refused",
            Answer::NotFound => "not_found",
            Answer::MethodNotAllowed => "method_not_allowed",
            Answer::Incomplete => "incomplete",
            Answer::TooLarge => "too_large",
            Answer::NotJson => "not_json",
            Answer::Unavailable => "unavailable",
        }
    }

    const fn code(self) -> StatusCode {
        match self {
            Answer::Committed | Answer::Duplicate | Answer::Ignored | Answer::Unreadable => StatusCode::OK,
            Answer::Refused => StatusCode::BAD_REQUEST,
            Answer::NotFound => StatusCode::NOT_FOUND,
            Answer::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Answer::Incomplete => StatusCode::REQUEST_TIMEOUT,
            Answer::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Answer::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Answer::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The response that says no more than this.
    pub(super) fn reply(self) -> Response {
        self.with(&Body { status: self.as_str(), event: None, reason: None })
    }

    fn with(self, body: &Body<'_>) -> Response {
        // Strings alone: they always serialize.
        let body = serde_json::to_vec(body).unwrap_or_default();
        let mut response = Response::new(body.into());
        *response.status_mut() = self.code();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self {
            Answer::MethodNotAllowed => {
                headers.insert(ALLOW, HeaderValue::from_static("POST"));
            }
            Answer::Unavailable => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
            }
            _ => {}
        }
        response
    }
}

/// The answer to a message that is on disk.
pub(super) fn stored(event: &EventId, receipt: &Receipt) -> (Answer, Response) {
    let (answer, reason) = match receipt {
        Receipt::Committed => (Answer::Committed, None),
        Receipt::Duplicate => (Answer::Duplicate, None),
        Receipt::Ignored => (Answer::Ignored, None),
        Receipt::Unreadable(reason) => (Answer::Unreadable, Some(reason.as_str())),
    };
    (answer, answer.with(&Body { status: answer.as_str(), event: Some(event.as_str()), reason }))
}

/// The body of every response.
#[derive(Serialize)]
struct Body<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// How often each answer was given since the daemon started, and how long acknowledgements took.
#[derive(Debug)]
pub struct Acknowledgements {
    sources: BTreeMap<SourceName, OfSource>,
    /// What was asked for where no source is.
    elsewhere: Answers,
    /// What was answered 200 lately.
    recent: Mutex<RecentCounter>,
}

#[derive(Debug)]
struct OfSource {
    answers: Answers,
    durations: Histogram,
}

/// How often each answer was given.
#[derive(Debug, Default)]
pub struct Answers([AtomicU64; Answer::ALL.len()]);

impl Answers {
    /// How often this answer was given.
    pub fn of(&self, answer: Answer) -> u64 {
        self.0[answer as usize].load(Ordering::Relaxed)
    }

    fn count(&self, answer: Answer) {
        self.0[answer as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl Acknowledgements {
    /// None yet, of these sources.
    pub fn new<'n>(sources: impl IntoIterator<Item = &'n SourceName>) -> Self {
        let of_source = |name: &SourceName| {
            let counts = OfSource { answers: Answers::default(), durations: Histogram::of_short_times() };
            (name.clone(), counts)
        };
        Self {
            sources: sources.into_iter().map(of_source).collect(),
            elsewhere: Answers::default(),
            recent: Mutex::new(RecentCounter::new(Instant::now())),
        }
    }

    /// How many webhooks were answered 200 lately: their events are on disk.
    pub fn recent(&self) -> Recent {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).recent(Instant::now())
    }

    /// How often this answer was given.
    pub fn of(&self, answer: Answer) -> u64 {
        self.by_source().map(|(_, answers)| answers.of(answer)).sum()
    }

    /// Every answer, with how often it was given.
    pub fn iter(&self) -> impl Iterator<Item = (Answer, u64)> {
        Answer::ALL.into_iter().map(|answer| (answer, self.of(answer)))
    }

    /// The answers at each source's path, and last those at no source's, whose name is empty.
    pub fn by_source(&self) -> impl Iterator<Item = (&str, &Answers)> {
        let sources = self.sources.iter().map(|(name, source)| (name.as_str(), &source.answers));
        sources.chain([("", &self.elsewhere)])
    }

    /// How long each source waited for what was answered 200, from the head of the request to the answer.
    pub fn durations(&self) -> impl Iterator<Item = (&str, Histogram)> {
        self.sources.iter().map(|(name, source)| (name.as_str(), source.durations.clone()))
    }

    /// Counts an answer at the path of this source; without one, at another path.
    pub(super) fn count(&self, source: Option<&SourceName>, answer: Answer) {
        let source = source.and_then(|name| self.sources.get(name));
        source.map_or(&self.elsewhere, |source| &source.answers).count(answer);
    }

    /// Notes how long a message took that is on disk now.
    pub(super) fn took(&self, source: &SourceName, time: Duration) {
        if let Some(source) = self.sources.get(source) {
            source.durations.time(time);
        }
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).add(1, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_answer_is_counted_by_itself() {
        let name: SourceName = "scalekit".to_owned().try_into().unwrap();
        let counts = Acknowledgements::new([&name]);
        for (index, answer) in Answer::ALL.into_iter().enumerate() {
            (0..=index).for_each(|_| counts.count(Some(&name), answer));
        }
        let seen: Vec<u64> = counts.iter().map(|(_, count)| count).collect();
        assert_eq!(seen, (1..=Answer::ALL.len() as u64).collect::<Vec<_>>());
        let names: HashSet<_> = Answer::ALL.iter().map(|answer| answer.as_str()).collect();
        assert_eq!(names.len(), Answer::ALL.len());
        counts.count(None, Answer::NotFound);
        let not_found: Vec<(&str, u64)> =
            counts.by_source().map(|(source, answers)| (source, answers.of(Answer::NotFound))).collect();
        assert_eq!(not_found, [("scalekit", 6), ("", 1)]);
        assert_eq!(counts.of(Answer::NotFound), 7);
    }
}
