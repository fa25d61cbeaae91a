//! The page of metrics, put together anew each time it is asked for.

use prometheus_client::encoding::prometheus_text;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::Histogram;

/// What tells the samples of one metric apart. The values come from the configuration or from a list in the code, so that
/// there are few: never an id, a name of somebody, or anything that a stranger sends.
pub type Labels = Vec<(&'static str, String)>;

/// Metrics by their names, each with what it means.
///
/// Names follow Prometheus' conventions: base units, `_seconds`, `_bytes`; `_total` is written behind the name of what only
/// grows.
#[derive(Debug, Default)]
pub struct Page {
    registry: Registry,
}

impl Page {
    /// A number that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [(Labels::new(), value)]);
    }

    /// The same, several of them.
    pub fn gauges(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (Labels, f64)>) {
        let samples = samples.into_iter().map(|(labels, value)| (labels, ConstGauge::new(value)));
        self.register(name, help, MetricType::Gauge, samples.collect());
    }

    /// A number that only grows while the process lives. `name` is without `_total`.
    pub fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.register(name, help, MetricType::Counter, vec![(Labels::new(), ConstCounter::new(value))]);
    }

    /// The same, several of them.
    pub fn counters(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (Labels, u64)>) {
        let samples = samples.into_iter().map(|(labels, value)| (labels, ConstCounter::new(value)));
        self.register(name, help, MetricType::Counter, samples.collect());
    }

    /// Histograms.
    pub fn histograms(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, Histogram)>,
    ) {
        self.register(name, help, MetricType::Histogram, samples.into_iter().collect());
    }

    fn register<M>(&mut self, name: &str, help: &str, kind: MetricType, samples: Vec<(Labels, M)>)
    where
        M: EncodeMetric + std::fmt::Debug + Send + Sync + 'static,
    {
        // A metric of which there is nothing to show is left out.
        if !samples.is_empty() {
            self.registry.register(name, help, Samples { kind, samples });
        }
    }

    /// The page in Prometheus' text format, version 0.0.4 ([`CONTENT_TYPE`](super::CONTENT_TYPE)).
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

/// The samples of one metric.
#[derive(Debug)]
struct Samples<M> {
    kind: MetricType,
    samples: Vec<(Labels, M)>,
}

impl<M: EncodeMetric> EncodeMetric for Samples<M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        for (labels, value) in &self.samples {
            value.encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        self.kind
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_page_is_prometheus_text_whatever_stands_in_a_label() {
        let mut page = Page::default();
        page.gauge("rolecall_free_bytes", "Free", 2.5);
        page.counters("rolecall_seen", "Seen", [(vec![("source", "a\"b\\c\nd".to_owned())], 3)]);
        page.gauges("rolecall_nothing", "Not there", []);
        assert_eq!(
            page.text(),
            "# HELP rolecall_free_bytes Free.\n# TYPE rolecall_free_bytes gauge\nrolecall_free_bytes 2.5\n\
             # HELP rolecall_seen_total Seen.\n# TYPE rolecall_seen_total counter\n\
             rolecall_seen_total{source=\"a\\\"b\\\\c\\nd\"} 3\n"
        );
    }

    #[test]
    fn a_histogram_counts_each_time_in_every_bucket_that_holds_it() {
        let times = Histogram::of_short_times();
        times.time(Duration::from_millis(3));
        times.time(Duration::from_secs(60));
        let mut page = Page::default();
        page.histograms("rolecall_wait_seconds", "Waits", [(vec![("sink", "ldap".to_owned())], times)]);
        let text = page.text();
        for line in [
            "rolecall_wait_seconds_bucket{sink=\"ldap\",le=\"0.0025\"} 0",
            "rolecall_wait_seconds_bucket{sink=\"ldap\",le=\"0.005\"} 1",
            "rolecall_wait_seconds_bucket{sink=\"ldap\",le=\"10\"} 1",
            "rolecall_wait_seconds_bucket{sink=\"ldap\",le=\"+Inf\"} 2",
            "rolecall_wait_seconds_count{sink=\"ldap\"} 2",
            "rolecall_wait_seconds_sum{sink=\"ldap\"} 60.003",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
