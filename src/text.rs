//! Text for people: what others wrote made harmless, times and amounts made readable.

use jiff::{SignedDuration, Timestamp};

/// What somebody else wrote, on one line and without anything that would move the cursor, change a colour or turn the
/// direction of the text around it: a name or an error may hold what it likes.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            c => harmless(c),
        })
        .collect()
}

/// What somebody else wrote over several lines: as [`plain`], but the lines stay.
pub fn plain_lines(text: &str) -> String {
    text.chars()
        .filter(|c| *c != '\r')
        .map(|c| match c {
            '\n' | '\t' => c,
            c => harmless(c),
        })
        .collect()
}

fn harmless(c: char) -> char {
    if c.is_control() || is_direction(c) { char::REPLACEMENT_CHARACTER } else { c }
}

/// Characters that turn the direction of the text around them.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// A point in time and how long ago that is: `2026-11-24T09:48:00Z (12 min ago)`.
pub fn moment(now: Timestamp, at: Timestamp) -> String {
    format!("{} ({})", exact(at), relative(now, at))
}

/// A point in time, to the second, as RFC 3339 has it.
pub fn exact(at: Timestamp) -> String {
    format!("{at:.0}")
}

/// How long ago something was, or how soon it will be.
pub fn relative(now: Timestamp, at: Timestamp) -> String {
    let ago = now.duration_since(at);
    match ago.as_secs() {
        0 => "now".into(),
        1.. => format!("{} ago", length(ago)),
        _ => format!("in {}", length(ago.abs())),
    }
}

/// A length of time, in the two units that say most about it.
pub fn length(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |large: i64, unit: &str, small: i64, part: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {part}"),
    };
    match (days, hours, minutes) {
        (1.., ..) => two(days, "d", hours, "h"),
        (_, 1.., _) => two(hours, "h", minutes, "min"),
        (_, _, 1..) => format!("{minutes} min"),
        _ => format!("{seconds} s"),
    }
}

/// An amount of storage.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    // Precision is not what it is for.
    #[allow(clippy::cast_precision_loss)]
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}

/// How many a second so many within a minute are.
pub fn per_second(in_a_minute: u64) -> String {
    match in_a_minute {
        0 => "0".into(),
        1..6 => "under 0.1".into(),
        n => format!("{}.{}", n / 60, n % 60 / 6),
    }
}

/// `1 item`, `2 items`.
pub fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_told_in_what_matters() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (119, "1 min"),
            (3600, "1 h"),
            (3660, "1 h 1 min"),
            (86_400 * 4 + 3 * 3600 + 59, "4 d 3 h"),
        ] {
            assert_eq!(length(SignedDuration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn the_past_was_and_the_future_will_be() {
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        assert_eq!(moment(now, now - SignedDuration::from_mins(12)), "2026-11-24T09:48:00Z (12 min ago)");
        assert_eq!(relative(now, now + SignedDuration::from_secs(8)), "in 8 s");
        assert_eq!(relative(now, now + SignedDuration::from_millis(8)), "now");
    }

    #[test]
    fn a_hostile_name_cannot_write_elsewhere_on_the_screen() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\u{202e}d"), "a\u{fffd}[2Jb c\u{fffd}d");
        assert_eq!(plain("Zoë 李"), "Zoë 李");
        assert_eq!(plain_lines("a\u{1b}[2Jb\r\n\tc\u{202e}d"), "a\u{fffd}[2Jb\n\tc\u{fffd}d");
    }

    #[test]
    fn a_pace_is_told_to_a_tenth() {
        assert_eq!([0, 5, 6, 59, 60, 759].map(per_second), ["0", "under 0.1", "0.1", "0.9", "1.0", "12.6"]);
    }

    #[test]
    fn storage_is_told_in_units() {
        assert_eq!([bytes(3), bytes(1536), bytes(5 << 40)], ["3 bytes", "1.5 KiB", "5.0 TiB"]);
    }
}
