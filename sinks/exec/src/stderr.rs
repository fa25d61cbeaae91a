//! What a plugin writes to its standard error goes to our log, under the sink's name.

use std::time::Duration;

use rolecall_sink_api::{SinkName, printable};
use tokio::io::AsyncRead;
use tokio::time::Instant;

use crate::lines::{Line, Lines};

/// The longest line that is logged, in bytes; the rest of a longer one is dropped.
const MAX_LINE: usize = 4096;
/// How many lines may come at once.
const BURST: u32 = 100;
/// How often one more may come after that.
const INTERVAL: Duration = Duration::from_millis(100);

/// Logs each line until the program closes its standard error, and returns the last one that says anything.
pub(crate) async fn log(stderr: impl AsyncRead + Unpin, sink: SinkName) -> Option<String> {
    let mut lines = Lines::new(stderr, MAX_LINE);
    let mut allowance = Allowance::new(Instant::now());
    let (mut last, mut cut) = (None, false);
    loop {
        // An error ends it as the end does: there is nobody to tell.
        let (line, whole) = match lines.next().await.unwrap_or(Line::End(Vec::new())) {
            Line::Whole(line) => (line, true),
            Line::TooLong(line) => (line, false),
            Line::End(line) if line.is_empty() => break,
            Line::End(line) => (line, true),
        };
        // What follows the beginning of a long line is the rest of it.
        let rest = std::mem::replace(&mut cut, !whole);
        let line = String::from_utf8_lossy(&line);
        if rest || line.trim().is_empty() {
            continue;
        }
        let line = printable(line.trim_end(), MAX_LINE);
        match allowance.take(Instant::now()) {
            Some(0) => tracing::info!(%sink, "plugin: {line}"),
            Some(missed) => tracing::info!(%sink, missed, "plugin, after lines too many to log: {line}"),
            None => {}
        }
        last = Some(line);
    }
    if allowance.missed > 0 {
        tracing::info!(%sink, missed = allowance.missed, "plugin: lines too many to log");
    }
    last
}

/// How many lines may be logged now.
struct Allowance {
    left: u32,
    since: Instant,
    missed: u64,
}

impl Allowance {
    fn new(now: Instant) -> Self {
        Self { left: BURST, since: now, missed: 0 }
    }

    /// Whether a line may be logged, and then how many before it were not.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let earned = now.duration_since(self.since).as_millis() / INTERVAL.as_millis();
        let earned = u32::try_from(earned).unwrap_or(BURST);
        self.since += INTERVAL * earned;
        self.left = self.left.saturating_add(earned).min(BURST);
        if self.left == 0 {
            self.missed += 1;
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.missed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_down_and_said_to_be() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        let logged = (0..1000).filter(|_| allowance.take(start).is_some()).count();
        assert_eq!(logged, BURST as usize);
        assert_eq!(
            allowance.take(start + INTERVAL),
            Some(900),
            "one more, which says how many were left out"
        );
        assert_eq!(allowance.take(start + INTERVAL), None);
    }

    #[test]
    fn whoever_was_silent_for_long_may_not_say_more_at_once() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        let later = start + Duration::from_secs(3600);
        let logged = (0..1000).filter(|_| allowance.take(later).is_some()).count();
        assert_eq!(logged, BURST as usize);
    }

    #[tokio::test]
    async fn the_last_line_that_says_anything_is_kept_for_the_reason() {
        let text = "Traceback:\nKeyError: 'x\u{1b}[31m'\n\n";
        let last = log(text.as_bytes(), SinkName::new("hr")).await;
        assert_eq!(last.as_deref(), Some("KeyError: 'x\\u{1b}[31m'"));
    }
}
