//! Latencies, counted so that any number of them takes the same memory.

use std::time::Duration;

/// Each power of two is divided into so many buckets: a percentile is at most 1.6% too high.
const PARTS: u64 = 64;

/// How often each latency was seen, in microseconds.
pub struct Latencies {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; bucket(u64::MAX) + 1], total: 0, max: 0 }
    }
}

impl Latencies {
    /// Counts one.
    pub fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(micros)] += 1;
        self.total += 1;
        self.max = self.max.max(micros);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The highest.
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.max)
    }

    /// The latency that `percent` of all do not exceed; zero when none was counted.
    pub fn percentile(&self, percent: f64) -> Duration {
        let wanted = (self.total as f64 * percent / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_micros(highest_in(bucket).min(self.max));
            }
        }
        self.max()
    }
}

fn bucket(micros: u64) -> usize {
    let mut shift = 0;
    while micros >> shift >= 2 * PARTS {
        shift += 1;
    }
    // From `PARTS` on, each shift has the `PARTS` values from `PARTS` to `2 * PARTS - 1`.
    (shift * PARTS + (micros >> shift)) as usize
}

fn highest_in(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / PARTS).saturating_sub(1);
    let lowest = (bucket - shift * PARTS) << shift;
    lowest + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact_or_a_little_high() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(50.0), Duration::ZERO);
        for micros in 1..=100_000 {
            latencies.record(Duration::from_micros(micros));
        }
        for (percent, exact) in [(0.05, 50_u64), (50.0, 50_000), (90.0, 90_000), (99.9, 99_900)] {
            let found = latencies.percentile(percent).as_micros() as u64;
            assert!((exact..=exact + exact / 64).contains(&found), "{percent}%: {found}, not {exact}");
        }
        assert_eq!(latencies.max(), Duration::from_millis(100));
        assert_eq!(latencies.percentile(100.0), Duration::from_millis(100));
    }

    #[test]
    fn every_value_is_in_a_bucket_that_ends_at_or_after_it_and_begins_after_the_last() {
        let values = (0..5000).chain((13..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit])).chain([u64::MAX]);
        for value in values {
            let bucket = bucket(value);
            assert!(highest_in(bucket) >= value, "{value}");
            assert!(bucket == 0 || highest_in(bucket - 1) < value, "{value}");
        }
    }
}
