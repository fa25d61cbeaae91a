//! `rolecall events replay`

use std::fmt::Write as _;

use clap::{ArgGroup, Args};
use serde::Serialize;

use crate::admin::AdminClient;
use crate::admin::api::{EventQuery, ReplayRequest, UnreadableEvents};
use crate::cli::daemon::Daemon;
use crate::cli::output::answer;
use crate::cli::progress::Bar;
use crate::cli::text::{BAD, count, plain, styled};
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};
use crate::receive::{Replayed, ReplayedEvent};

/// How many messages that stay unreadable are named one by one.
const NAMED: usize = 20;

/// Read messages again that could not be read when they came
///
/// Those that this version can read are merged as if they had come now; their facts keep the time that they state,
/// so that what is newer stays. The daemon does this by itself at every start.
///
/// The exit code is 1 when one stays unreadable.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true).args(["id", "unreadable"]))]
#[command(after_help = "Example:\n  rolecall events replay --unreadable")]
pub(in crate::cli) struct ReplayEvents {
    /// The event's id
    id: Option<String>,
    /// All that could not be read
    #[arg(long)]
    unreadable: bool,
    /// Only what came through this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    #[command(flatten)]
    daemon: Daemon,
}

impl ReplayEvents {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let client = self.daemon.client(whom)?;
        let outcome = match self.id {
            Some(id) => {
                let event = ReplayRequest::Event(EventQuery { id, source: self.source });
                Outcome::of(client.replay(&event).await?.events)
            }
            None => all(&client, self.source).await?,
        };
        answer(self.daemon.json, &outcome, render)?;
        Ok(if outcome.unreadable == 0 { Exit::Done } else { Exit::Problems })
    }
}

/// All unreadable messages, a few at a time.
async fn all(client: &AdminClient, source: Option<String>) -> Result<Outcome, Failure> {
    let mut events = Vec::new();
    let mut next = UnreadableEvents { source, after: None };
    let bar = Bar::counted(client.status().await?.store.unreadable_events);
    loop {
        let page = client.replay(&ReplayRequest::Unreadable(next.clone())).await?;
        bar.advance(page.events.len() as u64);
        events.extend(page.events);
        if page.next.is_none() {
            return Ok(Outcome::of(events));
        }
        next.after = page.next;
    }
}

/// What became of all of them.
#[derive(Debug, Serialize)]
struct Outcome {
    merged: u64,
    ignored: u64,
    known: u64,
    unreadable: u64,
    events: Vec<ReplayedEvent>,
}

impl Outcome {
    fn of(events: Vec<ReplayedEvent>) -> Self {
        let mut outcome = Self { merged: 0, ignored: 0, known: 0, unreadable: 0, events };
        for event in &outcome.events {
            *match event.replayed {
                Replayed::Merged => &mut outcome.merged,
                Replayed::Ignored => &mut outcome.ignored,
                Replayed::Known => &mut outcome.known,
                Replayed::Unreadable { .. } => &mut outcome.unreadable,
            } += 1;
        }
        outcome
    }
}

fn render(outcome: &Outcome) -> String {
    let mut out = String::new();
    if outcome.events.is_empty() {
        return "nothing to read again: no message is unreadable\n".into();
    }
    for (n, what) in [
        (outcome.merged, "merged, and in every sink's queue"),
        (outcome.ignored, "read: nothing to do with a directory"),
        (outcome.known, "known already: nothing changed"),
    ] {
        if n > 0 {
            // Writing to a string does not fail.
            let _ = writeln!(out, "{}: {what}", count(n, "message", "messages"));
        }
    }
    if outcome.unreadable > 0 {
        let n = count(outcome.unreadable, "message", "messages");
        let _ = writeln!(out, "{}", styled(BAD, &format!("{n}: still unreadable")));
        let still = outcome.events.iter().filter_map(|event| match &event.replayed {
            Replayed::Unreadable { reason } => Some((&event.id, reason)),
            _ => None,
        });
        for (id, reason) in still.take(NAMED) {
            let _ = writeln!(out, "  {}: {}", plain(id), plain(reason));
        }
        if outcome.unreadable > NAMED as u64 {
            out.push_str("  … and more: rolecall events list --unreadable\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::admin::tests::Daemon;
    use crate::cli::Cli;

    fn replayed(id: &str, replayed: Replayed) -> ReplayedEvent {
        ReplayedEvent { id: id.into(), source: "scalekit".into(), replayed }
    }

    fn shown(events: Vec<ReplayedEvent>) -> String {
        anstream::adapter::strip_str(&render(&Outcome::of(events))).to_string()
    }

    #[test]
    fn it_is_always_said_what_is_read_again() {
        let accepts =
            |arguments: &str| Cli::try_parse_from(format!("rolecall events {arguments}").split(' ')).is_ok();
        assert!(accepts("replay evt_1"));
        assert!(accepts("replay evt_1 --source scalekit"));
        assert!(accepts("replay --unreadable --source scalekit"));
        assert!(!accepts("replay"));
        assert!(!accepts("replay evt_1 --unreadable"));
        assert!(!accepts("replay --source scalekit"));
    }

    #[test]
    fn the_outcome_keeps_its_shape() {
        let unreadable = Replayed::Unreadable { reason: "type: missing".into() };
        let outcome = Outcome::of(vec![replayed("evt_1", Replayed::Merged), replayed("evt_2", unreadable)]);
        let golden = serde_json::json!({
            "merged": 1, "ignored": 0, "known": 0, "unreadable": 1, "events": [
                {"id": "evt_1", "source": "scalekit", "outcome": "merged"},
                {"id": "evt_2", "source": "scalekit", "outcome": "unreadable", "reason": "type: missing"}]
        });
        assert_eq!(serde_json::to_value(outcome).unwrap(), golden);
    }

    #[test]
    fn what_stays_unreadable_is_named_with_its_reason() {
        let mut events = vec![replayed("evt_0", Replayed::Merged), replayed("evt_1", Replayed::Known)];
        for n in 2..23 {
            events.push(replayed(&format!("evt_{n}"), Replayed::Unreadable { reason: "no\nidea".into() }));
        }
        let shown = shown(events);
        let start = "1 message: merged, and in every sink's queue\n1 message: known already: nothing changed\n\
                     21 messages: still unreadable\n  evt_2: no idea\n";
        assert!(shown.starts_with(start), "{shown}");
        assert!(
            shown.ends_with("evt_21: no idea\n  … and more: rolecall events list --unreadable\n"),
            "{shown}"
        );
    }

    #[tokio::test]
    async fn all_that_is_unreadable_is_read_again_and_what_stays_so_is_a_problem() {
        let daemon = Daemon::with_ada_and_grace().await;
        assert_eq!(all(&daemon.client, None).await.unwrap().events, []);
        for n in 0..20 {
            daemon.unreadable(&format!("msg_{n}"), "scalekit", b"no JSON").await;
        }
        let outcome = all(&daemon.client, None).await.unwrap();
        assert_eq!((outcome.unreadable, outcome.merged, outcome.events.len()), (20, 0, 20));
        assert!(all(&daemon.client, Some("other".into())).await.unwrap().events.is_empty());
    }
}
