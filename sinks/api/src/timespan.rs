//! Lengths of time as people write them in a configuration.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time in a configuration, written with its unit: `500ms`, `30s`, `5m`, `12h`, `30d`, `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timespan(Duration);

impl Timespan {
    /// A whole number of milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// A whole number of seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A whole number of days of 24 hours.
    pub const fn from_days(days: u64) -> Self {
        Self::from_secs(days * 24 * 60 * 60)
    }

    /// The length.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Timespan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hint = "write a number and its unit, such as 500ms, 30s, 5m, 12h or 30d";
        let span: Span = text.parse().map_err(|_| format!("{text:?} is not a length of time: {hint}"))?;
        let duration = span
            .to_duration(SpanRelativeTo::days_are_24_hours())
            .map_err(|_| format!("{text:?}: months and years have no fixed length: {hint}"))?;
        Duration::try_from(duration).map(Self).map_err(|_| format!("{text:?} is less than nothing: {hint}"))
    }
}

impl fmt::Display for Timespan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duration = SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX);
        write!(f, "{duration:#}")
    }
}

impl<'de> Deserialize<'de> for Timespan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Written)
    }
}

struct Written;

impl Visitor<'_> for Written {
    type Value = Timespan;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time with its unit, such as 500ms, 30s, 5m, 12h or 30d")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Timespan, E> {
        text.parse().map_err(E::custom)
    }
}

impl Serialize for Timespan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Timespan {
    fn schema_name() -> Cow<'static, str> {
        "Timespan".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A length of time with its unit: 500ms, 30s, 5m, 12h, 30d, 1h 30m.",
            "examples": ["500ms", "30s", "5m", "12h", "30d"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_units() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h 30m", 5_400_000),
            ("30d", 2_592_000_000),
            ("0s", 0),
        ] {
            assert_eq!(text.parse::<Timespan>().unwrap().get(), Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn what_is_no_length_says_what_would_be() {
        for text in ["30", "", "soon", "-5s", "1 month"] {
            let error = text.parse::<Timespan>().unwrap_err();
            assert!(error.contains("30s"), "{text}: {error}");
        }
    }

    #[test]
    fn a_number_alone_is_told_to_have_a_unit() {
        let error = serde_json::from_str::<Timespan>("30").unwrap_err().to_string();
        assert!(error.contains("with its unit, such as 500ms, 30s"), "{error}");
    }

    #[test]
    fn it_prints_as_it_is_written() {
        let text = Timespan::from_secs(5400).to_string();
        assert_eq!(text.parse::<Timespan>().unwrap(), Timespan::from_secs(5400), "{text}");
    }
}
