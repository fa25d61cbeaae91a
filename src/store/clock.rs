//! The wall clock beside the passing of time.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// How far both may drift apart between two looks without anybody having set the clock.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// Notices when somebody sets the clock.
pub(super) struct ClockWatch {
    wall: Timestamp,
    looked: Instant,
}

impl ClockWatch {
    pub(super) fn new(wall: Timestamp, looked: Instant) -> Self {
        Self { wall, looked }
    }

    /// By how much the clock was set since the last look, forward or back; `None` when it only went on.
    pub(super) fn look(&mut self, wall: Timestamp, looked: Instant) -> Option<SignedDuration> {
        let before = std::mem::replace(self, Self { wall, looked });
        let passed = signed(looked.duration_since(before.looked));
        let step = wall.duration_since(before.wall).saturating_sub(passed);
        (step.abs() > TOLERANCE).then_some(step)
    }
}

/// How late it is as far as there is evidence for it: the newest authentic message was signed then, by a clock that is not
/// this host's, and so much time has passed since. For what cannot be taken back when the clock turns out to be wrong.
pub(super) struct Evidence {
    signed: Timestamp,
    seen: Instant,
}

/// By how much the clocks of both sides may differ, and a message be late.
const DOUBT: SignedDuration = SignedDuration::from_hours(1);

impl Evidence {
    pub(super) fn new(signed: Timestamp, seen: Instant) -> Self {
        Self { signed, seen }
    }

    /// Takes note of the newest message's time.
    pub(super) fn add(&mut self, signed: Timestamp, seen: Instant) {
        if signed > self.at(seen) {
            *self = Self { signed, seen };
        }
    }

    /// The time by the clock, unless that is later than there is evidence for.
    pub(super) fn believe(&self, wall: Timestamp, looked: Instant) -> Timestamp {
        wall.min(self.at(looked).saturating_add(DOUBT).unwrap_or(Timestamp::MAX))
    }

    fn at(&self, looked: Instant) -> Timestamp {
        self.signed.saturating_add(looked.duration_since(self.seen)).unwrap_or(Timestamp::MAX)
    }
}

fn signed(passed: Duration) -> SignedDuration {
    SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn noon() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_clock_that_goes_on_was_not_set_and_one_that_jumps_was() {
        let start = Instant::now();
        let mut watch = ClockWatch::new(noon(), start);
        assert_eq!(watch.look(noon() + DAY, start + DAY), None);
        let late = DAY + Duration::from_secs(3);
        assert_eq!(watch.look(noon() + 2 * DAY, start + DAY + late), None, "it drifts a little");
        let ahead = watch.look(noon() + 9 * DAY, start + DAY + late);
        assert_eq!(ahead, Some(SignedDuration::from_hours(7 * 24)));
        let back = watch.look(noon() + 3 * DAY, start + 2 * DAY + late);
        assert_eq!(back, Some(SignedDuration::from_hours(-7 * 24)));
        assert_eq!(watch.look(noon() + 3 * DAY, start + 2 * DAY + late), None, "each step is told once");
    }

    #[test]
    fn a_clock_ahead_is_believed_as_far_as_messages_and_the_time_that_passed_go() {
        let start = Instant::now();
        let mut evidence = Evidence::new(noon(), start);
        assert_eq!(evidence.believe(noon(), start), noon());
        let year = noon() + 365 * DAY;
        assert_eq!(evidence.believe(year, start), noon() + DOUBT);
        assert_eq!(evidence.believe(year, start + DAY), noon() + DAY + DOUBT);
        evidence.add(noon() - DAY, start);
        assert_eq!(
            evidence.believe(year, start + DAY),
            noon() + DAY + DOUBT,
            "an older message says nothing"
        );
        evidence.add(year, start + DAY);
        assert_eq!(evidence.believe(year, start + DAY), year, "somebody else's clock says so too");
    }

    #[test]
    fn a_clock_behind_is_believed() {
        let start = Instant::now();
        assert_eq!(Evidence::new(noon(), start).believe(noon() - DAY, start), noon() - DAY);
    }
}
