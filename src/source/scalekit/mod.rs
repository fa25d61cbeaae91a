//! Scalekit's directory webhooks.
//!
//! Two shapes are in use: the documented one, and the simpler one of a published guide (`timestamp` for
//! `occurred_at`, `name` for a group's `display_name`, membership told by the group). Both are read, also
//! mixed.

mod facts;
mod payload;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::json::{Object, check_id, read};
use super::{Reading, Source, Verified};
use crate::directory::{Event, EventId, Fact, Stamp};
use payload::{Content, Envelope};

/// How far after its signing an event may say that it happened. The newest fact wins, so one with a time in
/// the far future would win for ever; a sender's clock is off by minutes, not by a day.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// What is older than this was not taken from a clock. Go writes a time that was never set as the year 1, and
/// a fact that old would lose against every other without a word.
const EARLIEST: Timestamp = Timestamp::UNIX_EPOCH;

/// Every type about directories starts so; a new one may well matter to who has access.
const DIRECTORY: &str = "organization.directory";

/// Reads what Scalekit sends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scalekit;

impl Source for Scalekit {
    fn read(&self, message: Verified<'_>) -> Reading {
        let named = |id: Option<String>| EventId::new(id.unwrap_or_else(|| message.message_id.to_owned()));
        let body = match str::from_utf8(message.body) {
            Ok(body) => body,
            Err(_) => {
                let reason = "not JSON: the body is not UTF-8".to_owned();
                return Reading::Unreadable { id: named(None), kind: None, reason };
            }
        };
        let envelope = match read::<Object<Envelope>>(body) {
            Ok(Object(envelope)) => envelope,
            Err(reason) => {
                let (id, kind) = glimpse(body);
                return Reading::Unreadable { id: named(id), kind, reason };
            }
        };
        let id = named(envelope.id.0.clone());
        let Some(kind) = envelope.kind.0.clone() else {
            return Reading::Unreadable { id, kind: None, reason: "type: missing or empty".into() };
        };
        match facts(&kind, body, &envelope) {
            None => Reading::Ignored { id, kind },
            Some(facts) => match facts.and_then(|facts| Ok((facts, time(&envelope, message.signed_at)?))) {
                Ok((facts, at)) => {
                    Reading::Event { event: Event { stamp: Stamp { at, event: id }, facts }, kind }
                }
                Err(reason) => Reading::Unreadable { id, kind: Some(kind), reason },
            },
        }
    }
}

/// The facts of a body, `None` when it does not concern a directory.
fn facts(kind: &str, body: &str, envelope: &Envelope) -> Option<Result<Vec<Fact>, String>> {
    let facts = match kind {
        "organization.directory.user_created" | "organization.directory.user_updated" => {
            data(body).and_then(|user| facts::user(user, envelope))
        }
        "organization.directory.user_deleted" => data(body).and_then(facts::user_gone),
        "organization.directory.group_created" | "organization.directory.group_updated" => {
            data(body).and_then(|group| facts::group(group, envelope))
        }
        "organization.directory.group_deleted" => data(body).and_then(facts::group_gone),
        "organization.directory.group_membership_updated" => data(body).and_then(facts::membership),
        "organization.directory_enabled" => data(body).and_then(|d| facts::directory(d, envelope, true)),
        "organization.directory_disabled" => data(body).and_then(|d| facts::directory(d, envelope, false)),
        _ if kind.starts_with(DIRECTORY) => Err("type: this version knows no such directory event".into()),
        _ => return None,
    };
    Some(facts)
}

fn data<'a, D: Deserialize<'a>>(body: &'a str) -> Result<D, String> {
    read::<Object<Content<D>>>(body).map(|content| content.0.data.0)
}

/// When the event happened: as it says, and else when it was signed.
fn time(envelope: &Envelope, signed_at: Timestamp) -> Result<Timestamp, String> {
    let (key, text) = match (&envelope.occurred_at.0, &envelope.timestamp.0) {
        (Some(text), _) => ("occurred_at", text),
        (None, Some(text)) => ("timestamp", text),
        (None, None) => return Ok(signed_at),
    };
    let at: Timestamp =
        text.parse().map_err(|_| format!("{key}: not a time that RFC 3339 has, up to the year 9999"))?;
    if at < EARLIEST {
        return Err(format!("{key}: a time before 1970, so it was never set"));
    }
    if at.duration_since(signed_at) > MAX_AHEAD {
        return Err(format!("{key}: more than a day after the message was signed"));
    }
    Ok(at)
}

/// The event's id and type from a body that is JSON, but not an event.
fn glimpse(body: &str) -> (Option<String>, Option<String>) {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let text = |key| {
        let text = body.get(key)?.as_str()?;
        (!text.is_empty() && check_id(text).is_ok()).then(|| text.to_owned())
    };
    (text("id"), text("type"))
}
