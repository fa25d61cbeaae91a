//! Saying in the log what was not taken as it came, without letting whoever sends it fill the log.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use super::client::Client;

/// How many messages are described in each [`PERIOD`]; of the others only the number is.
const LINES: u32 = 20;
/// How many of them may be of one client, so that one who floods hides nobody else.
const LINES_OF_ONE: u32 = 10;
const PERIOD: Duration = Duration::from_secs(60);

/// How much of a header that somebody unknown sent is shown.
const MAX_SHOWN: usize = 64;

/// What the log is told of messages that were turned away or could not be read.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Period>);

#[derive(Debug, Default)]
struct Period {
    began: Option<Instant>,
    /// How many were described of each client. There are no more clients in it than [`LINES`].
    written: BTreeMap<Option<Client>, u32>,
    left_out: u64,
}

impl Period {
    /// Whether one more of this client may be described at `now`, and how many were not in a period that has just ended.
    fn admit(&mut self, client: Option<Client>, now: Instant) -> (bool, u64) {
        let mut left_out = 0;
        if self.began.is_none_or(|began| now.duration_since(began) >= PERIOD) {
            left_out = self.left_out;
            *self = Period { began: Some(now), ..Period::default() };
        }
        let of_one = self.written.get(&client).copied().unwrap_or(0);
        if of_one < LINES_OF_ONE && self.written.values().sum::<u32>() < LINES {
            self.written.insert(client, of_one + 1);
            (true, left_out)
        } else {
            self.left_out += 1;
            (false, left_out)
        }
    }
}

impl Refusals {
    /// Says what became of a message, unless too much was said lately.
    pub(super) fn warn(
        &self,
        source: &str,
        client: Option<Client>,
        message_id: Option<&[u8]>,
        what: fmt::Arguments<'_>,
    ) {
        let (describe, left_out) =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).admit(client, Instant::now());
        if left_out > 0 {
            warn!(left_out, "more messages were turned away or not readable in the last minute");
        }
        if describe {
            let message_id = show(message_id.unwrap_or_default());
            let client = client.map(tracing::field::display);
            warn!(source, client, message_id, "{what}");
        }
    }
}

/// The header on one line and of bounded length.
fn show(header: &[u8]) -> String {
    let mut shown = header[..header.len().min(MAX_SHOWN)].escape_ascii().to_string();
    if header.len() > MAX_SHOWN {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> Option<Client> {
        Some(Client([192, 0, 2, number].into()))
    }

    #[test]
    fn a_flood_is_described_by_a_few_and_then_by_its_number() {
        let mut period = Period::default();
        let start = Instant::now();
        let described = (0..1000).filter(|n| period.admit(client((n % 200) as u8), start).0).count();
        assert_eq!(described, LINES as usize);
        assert_eq!(period.admit(client(1), start + PERIOD), (true, 1000 - u64::from(LINES)));
        assert_eq!(period.admit(client(1), start + PERIOD), (true, 0));
    }

    #[test]
    fn one_who_floods_hides_nobody_else() {
        let mut period = Period::default();
        let start = Instant::now();
        let described = (0..1000).filter(|_| period.admit(client(1), start).0).count();
        assert_eq!(described, LINES_OF_ONE as usize);
        assert!(period.admit(client(2), start).0);
    }

    #[test]
    fn what_an_unknown_sender_wrote_stays_on_one_short_line() {
        assert_eq!(show(b"msg_1\r\n\x1b[31mWARN"), r"msg_1\r\n\x1b[31mWARN");
        assert_eq!(show(&[b'a'; 200]).chars().count(), MAX_SHOWN + 1);
    }
}
