//! Histograms, with the buckets that what is measured here asks for.

use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::{MetricType, histogram};

/// How often what was measured was at most so much. Cheap to clone; all clones are one histogram.
#[derive(Clone, Debug)]
pub struct Histogram(histogram::Histogram);

impl Histogram {
    /// For what a message waits for: from half a millisecond to ten seconds.
    pub fn of_short_times() -> Self {
        Self::new(&[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
    }

    /// For work on somebody else's server: from a millisecond to two minutes.
    pub fn of_work() -> Self {
        Self::new(&[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0])
    }

    /// For what may have to wait until a target is back: from fifty milliseconds to a day.
    pub fn of_waits() -> Self {
        Self::new(&[
            0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0,
        ])
    }

    /// For how many there are in a batch: up to some hundred.
    pub fn of_sizes() -> Self {
        Self::new(&[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0])
    }

    fn new(buckets: &[f64]) -> Self {
        Self(histogram::Histogram::new(buckets.iter().copied()))
    }

    /// Notes a length of time, which is shown in seconds.
    pub fn time(&self, time: Duration) {
        self.0.observe(time.as_secs_f64());
    }

    /// Notes how many there were.
    pub fn size(&self, size: usize) {
        // Sizes here are far from where a double gets inexact.
        self.0.observe(size as f64);
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, encoder: MetricEncoder<'_>) -> std::fmt::Result {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.0.metric_type()
    }
}
