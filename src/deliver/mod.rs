//! Delivery: one worker per sink brings its target up to date with the directory.

mod config;
mod control;
mod guard;
mod metrics;
mod refused;
pub mod registry;
mod safeguard;
mod schedule;
mod status;
#[cfg(test)]
mod tests;
mod trace;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rolecall_sink_api::{Sink, SinkName};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use config::{DeliveryConfig, SafeguardConfig};
pub use control::Probed;
pub use metrics::{DeliveryMetrics, Outcome};
pub use status::{Breaker, DeliveryStatus, SharedStatus};

use crate::progress::Progress;
use crate::store::{Pause, Store};
use crate::traces::Traces;
use worker::Worker;

/// The delivery workers, one per sink. Cheap to clone.
#[derive(Clone)]
pub struct Deliveries(Arc<BTreeMap<SinkName, Handle>>);

struct Handle {
    sink: Arc<dyn Sink>,
    store: Arc<dyn Store>,
    batch_timeout: Duration,
    status: SharedStatus,
    progress: Progress,
    metrics: DeliveryMetrics,
    wake: Arc<Notify>,
    probe: Arc<Notify>,
}

/// A configured sink.
pub struct ConfiguredSink {
    /// Its name.
    pub name: SinkName,
    /// The target.
    pub sink: Arc<dyn Sink>,
    /// How to deliver to it.
    pub delivery: DeliveryConfig,
    /// How many users may lose something there before a person is asked; without it, everybody.
    pub safeguard: Option<SafeguardConfig>,
    /// Whether it is paused, from before the start.
    pub paused: Option<Pause>,
}

impl Deliveries {
    /// Starts a worker for each sink. They end, each after the batch in its hands, when `stop` is cancelled.
    pub fn start(
        sinks: Vec<ConfiguredSink>,
        store: &Arc<dyn Store>,
        clock: fn() -> jiff::Timestamp,
        stop: &CancellationToken,
        traces: &Traces,
    ) -> (Self, JoinSet<()>) {
        let mut handles = BTreeMap::new();
        let mut workers = JoinSet::new();
        for ConfiguredSink { name, sink, delivery, safeguard, paused } in sinks {
            let handle = Handle {
                sink: Arc::clone(&sink),
                store: Arc::clone(store),
                batch_timeout: delivery.batch_timeout.get(),
                status: SharedStatus::new(paused),
                progress: Progress::new(),
                metrics: DeliveryMetrics::new(),
                wake: Arc::new(Notify::new()),
                probe: Arc::new(Notify::new()),
            };
            let worker = Worker {
                name: name.clone(),
                batch: delivery.batch.unwrap_or_else(|| sink.batch()),
                sink,
                store: Arc::clone(store),
                config: delivery,
                safeguard,
                clock,
                status: handle.status.clone(),
                progress: handle.progress.clone(),
                metrics: handle.metrics.clone(),
                traces: traces.clone(),
                wake: Arc::clone(&handle.wake),
                probe: Arc::clone(&handle.probe),
            };
            workers.spawn(worker.run(stop.clone()));
            handles.insert(name, handle);
        }
        (Self(Arc::new(handles)), workers)
    }

    /// Tells every worker that something may be due.
    pub fn wake(&self) {
        for handle in self.0.values() {
            handle.wake.notify_one();
        }
    }

    /// Has every sink that is down probed now: somebody thinks that it is back.
    pub fn probe(&self) {
        for handle in self.0.values() {
            handle.probe.notify_one();
        }
    }

    /// For how long each sink's worker should have been heard of. A sink that takes its time is not what this tells of:
    /// the worker allows for that.
    pub fn overdue(&self) -> impl Iterator<Item = (&SinkName, Duration)> {
        self.0.iter().map(|(name, handle)| (name, handle.progress.overdue()))
    }

    /// What each sink's worker counts and measures.
    pub fn metrics(&self) -> impl Iterator<Item = (&SinkName, &DeliveryMetrics)> {
        self.0.iter().map(|(name, handle)| (name, &handle.metrics))
    }

    /// How each sink's deliveries go.
    pub fn status(&self) -> BTreeMap<SinkName, DeliveryStatus> {
        self.0.iter().map(|(name, handle)| (name.clone(), handle.status.get())).collect()
    }
}
