//! `rolecall events show`

use std::fmt::Write as _;

use clap::Args;

use crate::admin::api::{EventBody, EventDetail, EventQuery};
use crate::cli::daemon::Daemon;
use crate::cli::output::{answer, width};
use crate::cli::table::Table;
use crate::cli::text::{BAD, GOOD, HEADING, exact, moment, plain, styled};
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};
use crate::store::EventStatus;

/// Show one message with its body, and what became of it
///
/// The body says of people whatever the sender says of them: mind where you paste it.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall events show evt_42")]
pub(in crate::cli) struct Show {
    /// The event's id, as `rolecall events list`, `explain` and the log name it
    id: String,
    /// The source that sent it, where several sent one of this id
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    #[command(flatten)]
    daemon: Daemon,
}

impl Show {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let query = EventQuery { id: self.id, source: self.source };
        let event = self.daemon.client(whom)?.event(&query).await?;
        answer(self.daemon.json, &event, |event| render(event, width()))?;
        Ok(Exit::Done)
    }
}

fn render(event: &EventDetail, width: Option<usize>) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}", styled(HEADING, &plain(&event.id)));
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "  {name:<14}{value}");
    };
    line("kind", &plain(event.kind.as_deref().unwrap_or("-")));
    line("source", &plain(&event.source));
    line("message", &plain(&event.message_id));
    if let Some(at) = event.at {
        line("as of", &exact(at));
    }
    line("signed", &exact(event.signed_at));
    line("received", &moment(event.now, event.received_at));
    let status = match event.status {
        EventStatus::Merged => styled(GOOD, "merged"),
        EventStatus::Ignored => "ignored: it has nothing to do with a directory".to_owned(),
        EventStatus::Unreadable => styled(BAD, "unreadable"),
    };
    line("status", &status);
    if let Some(reason) = &event.reason {
        line("reason", &plain(reason));
    }
    if event.status == EventStatus::Merged {
        let _ = writeln!(out, "\n{}", styled(HEADING, "What became of it"));
        if event.consequences.is_empty() {
            out.push_str("  nothing changed, or it is past its retention (store.retention.activity)\n");
        } else {
            out.push_str(&consequences(event, width));
        }
    }
    let _ = writeln!(out, "\n{}", styled(HEADING, "Body"));
    out.push_str(&body(&event.body));
    out
}

fn consequences(event: &EventDetail, width: Option<usize>) -> String {
    let mut table = Table::new(["AT", "KIND", "ID", "WHERE", "WHAT", "DETAIL"]);
    for line in &event.consequences {
        table.row([
            exact(line.at).into(),
            line.entity.kind().as_str().into(),
            line.entity.id().into(),
            line.sink.as_deref().unwrap_or("directory").into(),
            line.what.replace('_', " ").into(),
            line.detail.as_deref().unwrap_or_default().into(),
        ]);
    }
    table.render(2, width)
}

/// The body for a person: JSON with a line for each key, and nothing that a terminal would obey.
fn body(body: &EventBody) -> String {
    let text = match body {
        EventBody::Base64(text) => return format!("  not text; in Base64:\n  {}\n", plain(text)),
        EventBody::Text(text) => text,
    };
    let json = serde_json::from_str::<serde_json::Value>(text);
    let pretty = json.ok().and_then(|json| serde_json::to_string_pretty(&json).ok());
    let mut out = String::new();
    for line in pretty.as_deref().unwrap_or(text).lines() {
        let _ = writeln!(out, "  {}", plain(line));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer as programs know it.
    const GOLDEN: &str = r#"{
        "now": "2026-11-24T10:00:00Z", "id": "evt_2", "source": "scalekit", "message_id": "msg_9",
        "kind": "organization.directory.user_created", "at": "2026-11-24T09:47:00Z",
        "signed_at": "2026-11-24T09:47:59Z", "received_at": "2026-11-24T09:48:00Z", "status": "merged",
        "consequences": [
            {"kind": "user", "id": "diruser_1", "at": "2026-11-24T09:48:00Z", "what": "created",
             "detail": "roles +member"},
            {"kind": "user", "id": "diruser_1", "at": "2026-11-24T09:49:00Z", "sink": "ldap",
             "what": "dead_letter", "detail": "no such\nparent"}],
        "body": {"text": "{\"id\":\"evt_2\",\"data\":{\"email\":\"a@example.com\"}}"}
    }"#;

    fn event() -> EventDetail {
        serde_json::from_str(GOLDEN).unwrap()
    }

    fn shown(event: &EventDetail) -> String {
        anstream::adapter::strip_str(&render(event, None)).to_string()
    }

    #[test]
    fn the_answer_keeps_its_shape() {
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(serde_json::to_value(event()).unwrap(), golden);
    }

    #[test]
    fn an_event_is_shown_with_what_became_of_it_and_its_body() {
        let expected = r#"evt_2
  kind          organization.directory.user_created
  source        scalekit
  message       msg_9
  as of         2026-11-24T09:47:00Z
  signed        2026-11-24T09:47:59Z
  received      2026-11-24T09:48:00Z (12 min ago)
  status        merged

What became of it
  AT                    KIND  ID         WHERE      WHAT         DETAIL
  2026-11-24T09:48:00Z  user  diruser_1  directory  created      roles +member
  2026-11-24T09:49:00Z  user  diruser_1  ldap       dead letter  no such parent

Body
  {
    "data": {
      "email": "a@example.com"
    },
    "id": "evt_2"
  }
"#;
        assert_eq!(shown(&event()), expected);
    }

    #[test]
    fn an_unreadable_event_says_why_and_its_body_cannot_write_elsewhere_on_the_screen() {
        let event = EventDetail {
            status: EventStatus::Unreadable,
            reason: Some("not JSON".into()),
            consequences: Vec::new(),
            body: EventBody::Text("\u{1b}[2J no\nJSON".into()),
            ..event()
        };
        let shown = shown(&event);
        let end = "  status        unreadable\n  reason        not JSON\n\nBody\n  \u{fffd}[2J no\n  JSON\n";
        assert!(shown.ends_with(end), "{shown}");
        assert_eq!(body(&EventBody::Base64("/wA=".into())), "  not text; in Base64:\n  /wA=\n");
    }
}
