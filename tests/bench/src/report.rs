//! What a run found.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::latency::Latencies;

/// Counts and latencies of the measured time.
#[derive(Default)]
pub struct Report {
    /// How long was measured.
    pub measured: Duration,
    /// How many connections were used.
    pub connections: usize,
    /// How many answers came with each status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without an answer.
    pub errors: u64,
    /// What the last of those died of.
    pub last_error: Option<String>,
    /// From the first byte written to the last byte read, of every answer.
    pub latencies: Latencies,
}

impl Report {
    /// Answers with status 200 a second.
    pub fn rate(&self) -> f64 {
        let acknowledged = self.statuses.get(&200).copied().unwrap_or(0);
        acknowledged as f64 / self.measured.as_secs_f64().max(f64::EPSILON)
    }

    /// The report as one JSON object; latencies in milliseconds.
    pub fn json(&self) -> Value {
        let millis = |latency: Duration| latency.as_micros() as f64 / 1000.0;
        json!({
            "seconds": self.measured.as_secs_f64(),
            "connections": self.connections,
            "rate": self.rate(),
            "p50_ms": millis(self.latencies.percentile(50.0)),
            "p90_ms": millis(self.latencies.percentile(90.0)),
            "p99_ms": millis(self.latencies.percentile(99.0)),
            "p99_9_ms": millis(self.latencies.percentile(99.9)),
            "max_ms": millis(self.latencies.max()),
            "statuses": self.statuses.iter().map(|(k, v)| (k.to_string(), json!(v))).collect::<serde_json::Map<_, _>>(),
            "errors": self.errors,
            "last_error": self.last_error,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rate) = (self.measured.as_secs_f64(), self.rate());
        writeln!(f, "{rate:.0} acknowledged/s over {seconds:.1} s on {} connections", self.connections)?;
        write!(f, "latency")?;
        for percent in [50.0, 90.0, 99.0, 99.9] {
            write!(f, "  p{percent} {:.2} ms", self.latencies.percentile(percent).as_secs_f64() * 1000.0)?;
        }
        writeln!(f, "  max {:.2} ms", self.latencies.max().as_secs_f64() * 1000.0)?;
        write!(f, "answers")?;
        for (status, count) in &self.statuses {
            write!(f, "  {status}: {count}")?;
        }
        if self.errors > 0 {
            let last = self.last_error.as_deref().unwrap_or("unknown");
            write!(f, "  none: {} (the last: {last})", self.errors)?;
        }
        Ok(())
    }
}
