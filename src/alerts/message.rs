//! News as they are written down: for programs, and for people.

use std::fmt::Write as _;

use jiff::{Timestamp, Unit};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::ledger::{News, Notice};
use crate::config::AlertFormat;

/// The type of a message with alerts; one that was asked for to see whether messages arrive ends in `.test`.
const TYPE: &str = "rolecall.alerts";

/// A message, ready to be signed and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The same for the same content, so that whoever gets it twice can tell.
    pub(super) id: String,
    pub(super) body: String,
}

impl Message {
    /// Of news from this host.
    pub(super) fn of(notices: &[Notice], host: &str, format: AlertFormat) -> Self {
        let body = match format {
            AlertFormat::Json => {
                let at = notices.iter().map(|notice| notice.at).max().unwrap_or(Timestamp::UNIX_EPOCH);
                let alerts: Vec<Value> = notices.iter().map(written).collect();
                json!({"type": TYPE, "timestamp": at, "data": {"host": host, "alerts": alerts}})
            }
            AlertFormat::Slack => json!({"text": text(notices, host)}),
        };
        Self::with(body)
    }

    /// One that only shows that messages arrive.
    pub(super) fn test(host: &str, at: Timestamp, format: AlertFormat) -> Self {
        Self::with(match format {
            AlertFormat::Json => {
                json!({"type": format!("{TYPE}.test"), "timestamp": at, "data": {"host": host, "alerts": []}})
            }
            AlertFormat::Slack => {
                let text = format!("rolecall on {host}: a test at {}. Alerts would arrive here.", moment(at));
                json!({"text": escaped(&text)})
            }
        })
    }

    fn with(body: Value) -> Self {
        let body = body.to_string();
        let mut id = "msg_".to_owned();
        for byte in Sha256::digest(&body).iter().take(16) {
            // Writing to a String cannot fail.
            let _ = write!(id, "{byte:02x}");
        }
        Self { id, body }
    }
}

fn written(notice: &Notice) -> Value {
    let mut written = json!({
        "kind": notice.subject.kind,
        "state": notice.news,
        "since": notice.since,
        "at": notice.at,
        "text": notice.text,
        "command": notice.subject.command(),
    });
    if let (Some(sink), Some(fields)) = (&notice.subject.sink, written.as_object_mut()) {
        fields.insert("sink".into(), sink.as_str().into());
    }
    if let (Some(listener), Some(fields)) = (notice.subject.listener, written.as_object_mut()) {
        fields.insert("listener".into(), listener.as_str().into());
    }
    written
}

fn text(notices: &[Notice], host: &str) -> String {
    let mut text = escaped(&format!("rolecall on {host}:"));
    for notice in notices {
        let said = escaped(&notice.text);
        let (since, at) = (moment(notice.since), moment(notice.at));
        let command = notice.subject.command();
        // Writing to a String cannot fail.
        let _ = match notice.news {
            News::Began => write!(text, "\n• {said}, since {since} (`{command}`)"),
            News::GoesOn => write!(text, "\n• still: {said}, since {since} (`{command}`)"),
            News::Ended => write!(text, "\n• over at {at}: {said} (since {since})"),
        };
    }
    text
}

/// To the second, in UTC.
fn moment(at: Timestamp) -> String {
    at.round(Unit::Second).unwrap_or(at).to_string()
}

/// The three characters that mean something in Slack's texts.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
