//! When to try again. Pure but for the jitter.

use std::time::Duration;

use tokio_retry::strategy::{ExponentialBackoff, jitter};

/// The longest that a target can ask us to wait, for one change or as a whole: a quarter of an hour, since leavers wait too.
/// Whoever asks for more is asked again before.
const MAX_ASKED: Duration = Duration::from_secs(15 * 60);

/// The longest wait after the attempt with this number, from 1: `initial`, doubled with each further attempt, at
/// most `max`.
pub(super) fn ceiling(attempt: u32, initial: Duration, max: Duration) -> Duration {
    // The strategy starts at base¹ × factor, so half the initial wait makes the first one whole.
    let half = u64::try_from(initial.as_millis() / 2).unwrap_or(u64::MAX).max(1);
    let mut waits = ExponentialBackoff::from_millis(2).factor(half).max_delay(max);
    // Beyond the 64th doubling any maximum is reached.
    waits.nth(attempt.saturating_sub(1).min(64) as usize).unwrap_or(max)
}

/// How long to wait after the attempt with this number: random up to the ceiling, so that what failed together
/// does not come back together, but no shorter than the target asked for.
pub(super) fn wait(attempt: u32, initial: Duration, max: Duration, asked: Option<Duration>) -> Duration {
    let random = jitter(ceiling(attempt, initial, max));
    asked.map_or(random, |asked| asked.min(MAX_ASKED) + random.min(initial))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_ceiling_doubles_up_to_its_maximum() {
        let ceilings: Vec<u64> =
            [1, 2, 3, 10, 11, 100, u32::MAX].map(|n| ceiling(n, SECOND, 600 * SECOND).as_secs()).into();
        assert_eq!(ceilings, [1, 2, 4, 512, 600, 600, 600]);
    }

    #[test]
    fn a_wait_is_spread_over_the_whole_ceiling() {
        let waits: Vec<Duration> = (0..200).map(|_| wait(5, SECOND, 600 * SECOND, None)).collect();
        assert!(waits.iter().all(|wait| *wait <= 16 * SECOND), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait < 4 * SECOND), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait > 12 * SECOND), "{waits:?}");
    }

    #[test]
    fn what_the_target_asks_for_is_the_least_and_bounded() {
        for _ in 0..100 {
            let asked = wait(1, SECOND, 600 * SECOND, Some(90 * SECOND));
            assert!((90 * SECOND..=91 * SECOND).contains(&asked), "{asked:?}");
        }
        assert!(wait(1, SECOND, SECOND, Some(Duration::MAX)) <= MAX_ASKED + SECOND);
    }
}
