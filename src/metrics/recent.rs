//! How many there were lately. A counter that only grows is for a system that asks again and again; this is for a person who
//! looks once.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long a stretch of time is that is counted by itself.
const STRETCH: Duration = Duration::from_secs(5);
/// How many of them a minute has.
const A_MINUTE: usize = 12;
/// How many are kept: five minutes, and the one that has begun.
const KEPT: usize = 5 * A_MINUTE + 1;

/// How many there were lately, to within five seconds. What is older is forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recent {
    /// Within the last minute.
    pub last_minute: u64,
    /// Within the last five minutes.
    pub last_5_minutes: u64,
}

/// Counts what happens by when it does. It goes by a clock that nobody sets.
#[derive(Clone, Debug)]
pub struct RecentCounter {
    began: Instant,
    /// The stretch that was counted in last, from the beginning.
    newest: u64,
    /// A ring: the count of stretch `n` is at `n % KEPT`.
    counts: [u64; KEPT],
}

impl RecentCounter {
    /// Nothing happened before `now`.
    pub fn new(now: Instant) -> Self {
        Self { began: now, newest: 0, counts: [0; KEPT] }
    }

    /// Counts so many.
    pub fn add(&mut self, count: u64, now: Instant) {
        let stretch = self.stretch(now);
        // Those in between in which nothing happened hold what was there a turn of the ring ago.
        for passed in (self.newest + 1..=stretch).take(KEPT) {
            self.counts[place(passed)] = 0;
        }
        self.newest = stretch;
        self.counts[place(stretch)] += count;
    }

    /// How many there were.
    pub fn recent(&self, now: Instant) -> Recent {
        let now = self.stretch(now);
        let within = |stretches: usize| {
            let from = now.saturating_sub(stretches as u64);
            let kept = self.newest.saturating_sub(KEPT as u64 - 1);
            (from.max(kept)..=self.newest).map(|stretch| self.counts[place(stretch)]).sum()
        };
        Recent { last_minute: within(A_MINUTE), last_5_minutes: within(5 * A_MINUTE) }
    }

    /// Time does not go back: an instant from before another one that was counted is as that one.
    fn stretch(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.began).as_secs() / STRETCH.as_secs()).max(self.newest)
    }
}

fn place(stretch: u64) -> usize {
    (stretch % KEPT as u64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_happened_counts_for_a_minute_and_for_five() {
        let began = Instant::now();
        let second = |n: u64| began + Duration::from_secs(n);
        let recent = |last_minute, last_5_minutes| Recent { last_minute, last_5_minutes };
        let mut counter = RecentCounter::new(began);
        assert_eq!(counter.recent(second(10)), recent(0, 0));
        counter.add(3, second(0));
        counter.add(4, second(59));
        assert_eq!(counter.recent(second(59)), recent(7, 7));
        assert_eq!(counter.recent(second(66)), recent(4, 7));
        assert_eq!(counter.recent(second(130)), recent(0, 7));
        assert_eq!(counter.recent(second(306)), recent(0, 4));
        assert_eq!(counter.recent(second(3600)), recent(0, 0));
        counter.add(1, second(3600));
        assert_eq!(counter.recent(second(3600)), recent(1, 1));
    }

    proptest! {
        #[test]
        fn it_tells_what_a_list_of_all_would(steps in prop::collection::vec((0_u64..400, 0_u64..5), 0..40)) {
            let began = Instant::now();
            let mut counter = RecentCounter::new(began);
            let (mut now, mut all) = (0, Vec::new());
            for (pause, count) in steps {
                now += pause;
                counter.add(count, began + Duration::from_secs(now));
                all.push((now / 5, count));
                let within = |stretches: u64| {
                    all.iter().filter(|(at, _)| at + stretches >= now / 5).map(|(_, count)| count).sum()
                };
                let recent = counter.recent(began + Duration::from_secs(now));
                prop_assert_eq!(recent, Recent { last_minute: within(12), last_5_minutes: within(60) });
            }
        }
    }
}
