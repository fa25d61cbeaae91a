//! Points in time as they are written.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A point in time: a day (`2026-03-31`), which stands for its first moment in UTC, or a time with its offset
/// (`2026-03-31T18:00:00+02:00`, RFC 3339).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

impl Moment {
    /// What a text says, if it is one of both. Later than the last moment there is counts as that one: directories write
    /// 9999-12-31 for *never*.
    pub fn read(text: &str) -> Option<Self> {
        // A date would also be found in a longer text.
        if text.len() == "2026-03-31".len() {
            let day: Date = text.parse().ok()?;
            return Some(Self(TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).unwrap_or(last())));
        }
        text.parse().ok().or_else(|| is_beyond(text).then(last)).map(Self)
    }
}

/// The last moment, in whole seconds, as the store keeps it too.
fn last() -> Timestamp {
    Timestamp::from_second(Timestamp::MAX.as_second()).unwrap_or(Timestamp::MAX)
}

/// Whether a text that is no moment is a time with its offset on the last day.
fn is_beyond(text: &str) -> bool {
    Pieces::parse(text).is_ok_and(|pieces| {
        pieces.date() == Date::MAX && pieces.time().is_some() && pieces.to_numeric_offset().is_some()
    })
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MomentVisitor;

        impl Visitor<'_> for MomentVisitor {
            type Value = Moment;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a day such as 2026-03-31, or a time with its offset such as 2026-03-31T18:00:00Z",
                )
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Moment, E> {
                Moment::read(value)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Other("something else"), &self))
            }
        }

        deserializer.deserialize_str(MomentVisitor)
    }
}

impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A day, which stands for its first moment in UTC, or a time with its offset (RFC 3339).",
            "pattern": r"^\d{4}-\d{2}-\d{2}([Tt ].+)?$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_first_moment_and_a_time_needs_an_offset() {
        let read = |text| Moment::read(text).map(|moment| moment.0.to_string());
        assert_eq!(read("2026-03-31").as_deref(), Some("2026-03-31T00:00:00Z"));
        assert_eq!(read("2026-03-31T18:00:00+02:00").as_deref(), Some("2026-03-31T16:00:00Z"));
        for never in ["9999-12-31", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.9999999+00:00"] {
            assert_eq!(read(never).as_deref(), Some("9999-12-30T22:00:00Z"), "{never}");
        }
        for wrong in [
            "2026-02-30",
            "2026-03-31T18:00:00",
            "9999-12-31T23:59:59",
            "tomorrow",
            "",
            "2026-3-1",
            "26-03-2026",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
