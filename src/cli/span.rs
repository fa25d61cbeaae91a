//! A stretch of time, as a listing is narrowed down to.

use clap::Args;
use jiff::Timestamp;
use rolecall_sink_api::Timespan;

/// From when on, and before when.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Span {
    /// From then on: a time (`2026-11-24T10:00:00Z`), or how long ago (`2h`)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) since: Option<Timestamp>,
    /// Before then
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) until: Option<Timestamp>,
}

fn time(text: &str) -> Result<Timestamp, String> {
    time_by(text, Timestamp::now())
}

fn time_by(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let wrong = || "write a time as 2026-11-24T10:00:00Z, or how long ago it was as 30m, 2h, 7d".to_owned();
    let ago: Timespan = text.parse().map_err(|_| wrong())?;
    now.checked_sub(ago.get()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_point_or_how_long_ago_it_was() {
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        let at = |text| time_by(text, now).map(|at| at.to_string());
        assert_eq!(at("2026-11-24T11:30:00+02:00"), Ok("2026-11-24T09:30:00Z".into()));
        assert_eq!(at("1d"), Ok("2026-11-23T10:00:00Z".into()));
        assert!(at("yesterday").unwrap_err().contains("2h"));
    }
}
