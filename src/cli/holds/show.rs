//! `rolecall holds show`

use std::fmt::Write as _;

use clap::Args;
use jiff::SignedDuration;

use super::{cause, state, what};
use crate::admin::api::{HoldDetail, HoldQuery, LARGEST_PAGE, Page};
use crate::cli::daemon::Daemon;
use crate::cli::output::{answer, width};
use crate::cli::pages::up_to;
use crate::cli::table::Table;
use crate::cli::text::{BAD, HEADING, count, length, moment, plain, relative, styled};
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};
use crate::store::{HeldItem, Hold, HoldId, Loss, QueueState};

/// Show who is in a hold, why, and how to decide
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall holds show 3")]
pub(in crate::cli) struct Show {
    /// The hold, by its number in `rolecall holds list`
    hold: u64,
    /// Most changes to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    daemon: Daemon,
}

impl Show {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let client = self.daemon.client(whom)?;
        let id = HoldId(self.hold);
        let mut hold = None;
        let ask = async |limit, after| {
            let HoldDetail { now, hold: shown, items, next } =
                client.hold(&HoldQuery { id, limit: Some(limit), after }).await?;
            hold.get_or_insert(shown);
            Ok(Page { now, items, next })
        };
        let Page { now, items, next } = up_to(self.limit, LARGEST_PAGE, ask).await?;
        // The daemon was asked at least once.
        let Some(hold) = hold else { return Ok(Exit::Problems) };
        let detail = HoldDetail { now, hold, items, next };
        answer(self.daemon.json, &detail, |detail| render(detail, width()))?;
        Ok(Exit::Done)
    }
}

fn render(detail: &HoldDetail, width: Option<usize>) -> String {
    let HoldDetail { now, hold, items, next } = detail;
    let mut out = String::new();
    let (id, sink) = (hold.id, plain(hold.sink.as_str()));
    let title = format!("Hold {id} of {sink}: {} {}", hold.changes, what(hold));
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}", styled(HEADING, &title));
    let _ = writeln!(out, "  since     {}", moment(*now, hold.since));
    let _ = writeln!(out, "  limit     {}", limit(hold));
    let _ = writeln!(out, "  newest    {}", plain(&cause(hold)));
    match &hold.decided {
        Some(decided) => {
            let by = decided.by.as_ref().map(|by| plain(&format!(", by {by}"))).unwrap_or_default();
            let _ = writeln!(out, "  decided   {} {}{by}", state(hold), moment(*now, decided.at));
        }
        None if hold.closed_at.is_some() => out.push_str("  decided   not: nothing is left in it\n"),
        None => {
            let _ = writeln!(out, "  decided   {}", styled(BAD, "not yet"));
        }
    }
    if !items.is_empty() {
        out.push('\n');
        let mut table = Table::new(["ID", "NAME", "WOULD LOSE", "STATE", "WAITS SINCE", "EVENT"]);
        for HeldItem { item, name, email, loses } in items {
            table.row([
                item.entity.id().into(),
                name.as_deref().or(email.as_deref()).unwrap_or("-").into(),
                loses.as_ref().map_or_else(|| "nothing any more".into(), Loss::to_string).into(),
                if item.state == QueueState::Held { "held" } else { "changed, looked at again" }.into(),
                relative(*now, item.since).into(),
                item.event.as_deref().unwrap_or("-").into(),
            ]);
        }
        out.push_str(&table.render(2, width));
    }
    if next.is_some() {
        out.push_str("  … and more: see them with --limit\n");
    }
    if hold.is_open() {
        let _ = write!(
            out,
            "\nWhoever of them should be there: rolecall explain ID says what the directory knows.\n\
             To let them go now:                rolecall holds approve {id}\n\
             To leave {sink} as it is for them: rolecall holds reject {id}\n"
        );
    }
    out
}

/// The limit that was reached, as a sentence.
fn limit(hold: &Hold) -> String {
    let reached = &hold.reached;
    let within = length(SignedDuration::try_from(reached.within).unwrap_or(SignedDuration::MAX));
    let of = match &reached.organization {
        Some(organization) => format!("whom the sink holds of {}", plain(organization.as_str())),
        None => "whom the sink holds".into(),
    };
    let users = count(reached.of_users, "user", "users");
    format!("{} within {within}, of {users} {of}", reached.allowed)
}

#[cfg(test)]
mod tests {
    use super::super::GOLDEN;
    use super::*;

    fn detail() -> HoldDetail {
        serde_json::from_str(&format!(
            r#"{{"now": "2026-11-24T10:00:00Z", "next": "x", "hold": {GOLDEN}, "items": [
            {{"sink": "ldap", "kind": "user", "id": "diruser_1", "event": "evt_9", "generation": 3,
              "state": "held", "hold": 3, "priority": "leaver", "attempts": 0,
              "since": "2026-11-24T09:48:00Z", "due": "2026-11-24T09:48:00Z", "cursor": [1, 1],
              "name": "Ada Example", "email": "ada@example.com",
              "loses": {{"what": "account", "roles": ["member"], "groups": []}}}}]}}"#
        ))
        .unwrap()
    }

    #[test]
    fn a_hold_says_who_why_and_what_to_do() {
        let expected = "\
Hold 3 of ldap: 150 users removed
  since     2026-11-24T09:48:00Z (12 min ago)
  limit     50 within 1 h, of 300 users whom the sink holds
  newest    event evt_9
  decided   not yet

  ID         NAME         WOULD LOSE            STATE  WAITS SINCE  EVENT
  diruser_1  Ada Example  account; role member  held   12 min ago   evt_9
  … and more: see them with --limit

Whoever of them should be there: rolecall explain ID says what the directory knows.
To let them go now:                rolecall holds approve 3
To leave ldap as it is for them: rolecall holds reject 3
";
        assert_eq!(anstream::adapter::strip_str(&render(&detail(), None)).to_string(), expected);
    }

    #[test]
    fn a_hold_that_is_over_asks_for_nothing() {
        let HoldDetail { now, mut hold, .. } = detail();
        hold.closed_at = Some(now);
        hold.changes = 0;
        let shown = render(&HoldDetail { now, hold, items: Vec::new(), next: None }, None);
        assert!(shown.ends_with("  decided   not: nothing is left in it\n"), "{shown}");
    }
}
