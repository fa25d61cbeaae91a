//! Requests at no more than a certain rate.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Gives each request its turn, one after the other at equal distances. What was not used is not saved up.
pub(crate) struct Pace {
    distance: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    /// So many a second.
    pub(crate) fn per_second(rate: NonZeroU32) -> Self {
        Self { distance: Duration::from_secs(1) / rate.get(), next: Mutex::new(Instant::now()) }
    }

    /// Waits until it is the caller's turn.
    pub(crate) async fn turn(&self) {
        tokio::time::sleep_until(self.take(Instant::now())).await;
    }

    fn take(&self, now: Instant) -> Instant {
        // Nothing here panics while it holds the lock.
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = now.max(*next);
        *next = turn + self.distance;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_apart_and_none_is_saved_up() {
        let pace = Pace::per_second(NonZeroU32::new(4).unwrap());
        let start = Instant::now() + Duration::from_secs(1);
        let at = |millis: u64| start + Duration::from_millis(millis);
        for (asked, turn) in [(0, 0), (0, 250), (100, 500), (740, 750), (5000, 5000), (5001, 5250)] {
            assert_eq!(pace.take(at(asked)), at(turn), "asked for after {asked} ms");
        }
    }
}
