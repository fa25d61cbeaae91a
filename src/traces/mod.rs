//! Traces for OpenTelemetry: what became of one event, from its webhook to every sink, one trace each.
//!
//! An event is delivered hours later, or after a restart, and no context is kept for that: the ids of its trace and of the
//! span at its root follow from the event's id, which every queue knows. So whoever has a part in it can add a span of
//! its own. Nobody waits for a span to be sent: there is a bounded queue, and what does not fit is dropped and counted.
//!
//! What goes out are spans in OTLP's JSON encoding, over HTTP. OpenTelemetry's own crates are left out: they bring threads, ids
//! and a context of their own, none of which fits here, in fifteen crates more; and what remains is one message.

mod config;
mod exporter;
mod id;
mod otlp;
mod span;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rolecall_sink_api::ConfigError;
use tokio::sync::mpsc;

pub use config::TracesConfig;
pub use exporter::Exporter;
pub use span::{Ending, EventTrace, Kind, Span, Value};

use crate::metrics::Counter;

/// How many spans wait to be sent at most.
const WAITING: usize = 8192;

/// Where spans go, if anywhere. Cheap to clone; without anything it is off.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    queue: Option<mpsc::Sender<Span>>,
    counts: Arc<Counts>,
}

/// What became of spans.
#[derive(Debug, Default)]
struct Counts {
    sent: Counter,
    dropped: Counter,
}

impl Traces {
    /// Traces that are sent by the exporter, which has to be run.
    ///
    /// # Errors
    /// When the endpoint cannot be used. Paths are relative to the `traces` section.
    pub fn to(config: &TracesConfig) -> Result<(Self, Exporter), ConfigError> {
        let (queue, spans) = mpsc::channel(WAITING);
        let traces = Self { queue: Some(queue), counts: Arc::default() };
        let exporter = Exporter::new(config, spans, Arc::clone(&traces.counts))?;
        Ok((traces, exporter))
    }

    /// Whether anybody wants spans.
    pub fn are_wanted(&self) -> bool {
        self.queue.is_some()
    }

    /// Adds the spans that `spans` makes, when somebody wants them.
    pub fn record<S: IntoIterator<Item = Span>>(&self, spans: impl FnOnce() -> S) {
        let Some(queue) = &self.queue else { return };
        for span in spans() {
            if queue.try_send(span).is_err() {
                self.counts.dropped.inc();
            }
        }
    }

    /// How many spans were sent.
    pub fn sent(&self) -> u64 {
        self.counts.sent.get()
    }

    /// How many spans were dropped: too many came at once, or they could not be sent.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.get()
    }
}
