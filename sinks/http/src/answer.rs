//! What an application's answer means.

use std::fmt::Write as _;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use rolecall_sink_api::{Secret, printable};

/// How much of an answer is shown to a person, in characters.
const EXCERPT: usize = 300;
/// The longest wait that is taken over from an application.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// An answer, read as far as allowed.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The body is longer than what was read.
    pub cut: bool,
}

/// What a status means, before it is known which operation it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// 2xx.
    Done,
    /// 404 and 410: there is no such thing.
    Missing,
    /// 409: there is such a thing already.
    Exists,
    /// 408, 425, 5xx: this request, later.
    Later,
    /// 429, 503: any request, later.
    Busy,
    /// 401, 403, and redirects: nothing will work until a person acts.
    Refused,
    /// Any other: this request is wrong, and will be.
    Wrong,
}

impl Meaning {
    /// What `status` means.
    pub fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            200..=299 => Meaning::Done,
            // A redirect is never followed: a write would be repeated as something else, and credentials
            // would go where nobody meant them to. It means that base_url is not where the application is.
            300..=399 | 401 | 403 => Meaning::Refused,
            404 | 410 => Meaning::Missing,
            409 => Meaning::Exists,
            408 | 425 => Meaning::Later,
            429 | 503 => Meaning::Busy,
            500..=599 => Meaning::Later,
            _ => Meaning::Wrong,
        }
    }
}

impl Answer {
    /// What its status means.
    pub fn meaning(&self) -> Meaning {
        Meaning::of(self.status)
    }

    /// The value at a JSON pointer, as the text of an id.
    pub fn id_at(&self, pointer: &str) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        match body.pointer(pointer)? {
            serde_json::Value::String(id) if !id.is_empty() => Some(id.clone()),
            serde_json::Value::Number(id) => Some(id.to_string()),
            _ => None,
        }
    }

    /// How long the application wants to be left alone.
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        retry_after(self.headers.get(RETRY_AFTER)?.to_str().ok()?, now)
    }

    /// The status and the answer's beginning, with `secrets` blotted out: an application may repeat them.
    pub fn excerpt(&self, secrets: &[Secret]) -> String {
        let mut text = self.status.to_string();
        if let Some(location) = self.headers.get(http::header::LOCATION) {
            let _ = write!(text, " to {}", String::from_utf8_lossy(location.as_bytes()));
        }
        let body = String::from_utf8_lossy(&self.body);
        let body = body.trim();
        if !body.is_empty() {
            text.push_str(": ");
            text.push_str(body);
        }
        for secret in secrets {
            text = text.replace(secret.expose(), "[secret]");
        }
        printable(&text, EXCERPT)
    }
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date in one of the three forms of RFC 9110 §5.6.7.
pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Duration::try_from(http_date(value)?.duration_since(now)).unwrap_or(Duration::ZERO),
    };
    Some(wait.min(LONGEST_WAIT))
}

fn http_date(value: &str) -> Option<Timestamp> {
    if let Ok(date) = rfc2822::parse(value) {
        return Some(date.timestamp());
    }
    // The two obsolete forms that a recipient must still read: RFC 850's and asctime's.
    let date = DateTime::strptime("%A, %d-%b-%y %H:%M:%S GMT", value)
        .or_else(|_| DateTime::strptime("%a %b %e %H:%M:%S %Y", value))
        .ok()?;
    TimeZone::UTC.to_timestamp(date).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.into(),
            cut: false,
        }
    }

    #[test]
    fn every_status_has_a_meaning() {
        for (meaning, statuses) in [
            (Meaning::Done, &[200, 201, 202, 204][..]),
            (Meaning::Refused, &[301, 302, 307, 308, 304, 401, 403]),
            (Meaning::Missing, &[404, 410]),
            (Meaning::Exists, &[409]),
            (Meaning::Later, &[408, 425, 500, 502, 504, 599]),
            (Meaning::Busy, &[429, 503]),
            (Meaning::Wrong, &[400, 402, 405, 412, 413, 415, 422, 451]),
        ] {
            for status in statuses {
                assert_eq!(Meaning::of(StatusCode::from_u16(*status).unwrap()), meaning, "{status}");
            }
        }
    }

    #[test]
    fn retry_after_has_two_forms_and_three_dates() {
        let now: Timestamp = "1994-11-06T08:49:07Z".parse().unwrap();
        for (value, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(30)),
            ("Sun Nov  6 08:49:37 1994", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("99999999999", Some(86_400)),
            ("soon", None),
            ("-5", None),
            ("", None),
        ] {
            assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs), "{value:?}");
        }
    }

    #[test]
    fn an_id_is_text_or_a_number() {
        let at = |body: &str| answer(201, body).id_at("/data/id");
        assert_eq!(at(r#"{"data": {"id": "u-1"}}"#).as_deref(), Some("u-1"));
        assert_eq!(at(r#"{"data": {"id": 17}}"#).as_deref(), Some("17"));
        for none in [r#"{"data": {"id": ""}}"#, r#"{"data": {"id": null}}"#, r#"{"data": {}}"#, "<html>", ""]
        {
            assert_eq!(at(none), None, "{none}");
        }
    }

    #[test]
    fn an_excerpt_is_short_one_line_and_without_secrets() {
        let body = format!("\u{1b}[2Jbad token s3cret\n\u{202e}{}", "x".repeat(5000));
        let excerpt = answer(400, &body).excerpt(&[Secret::new("s3cret")]);
        assert!(
            excerpt.starts_with("400 Bad Request: \\u{1b}[2Jbad token [secret] \\u{202e}xxx"),
            "{excerpt}"
        );
        assert!(excerpt.chars().count() < 350 && excerpt.ends_with('…'), "{excerpt}");
    }
}
