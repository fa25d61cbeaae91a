//! How a user or group stands in each sink, and what was done to them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use rolecall_sink_api::SinkName;

use super::table::Table;
use super::text::{BAD, FAINT, GOOD, HEADING, exact, moment, plain, relative, styled};
use crate::admin::api::{Because, SinkExplanation};
use crate::deliver::Breaker;
use crate::store::{ActivityView, AppliedView, QueueItem, QueueState};

/// How many lines of what was done are shown.
const RECENT: usize = 10;

/// A section with how a user or group, whichever `noun` says, stands in each sink.
pub(super) fn in_sinks(
    out: &mut String,
    noun: &str,
    sinks: &BTreeMap<SinkName, SinkExplanation>,
    generation: u64,
    now: Timestamp,
) {
    heading(out, "Sinks");
    if sinks.is_empty() {
        out.push_str(
            "  none is configured
",
        );
    }
    let longest = sinks.keys().map(|sink| sink.as_str().len()).max().unwrap_or(0);
    for (name, sink) in sinks {
        for (at, line) in in_sink(noun, name, sink, generation, now).iter().enumerate() {
            let name = if at == 0 { name.as_str() } else { "" };
            // Writing to a string does not fail.
            let _ = writeln!(out, "  {name:<longest$}  {line}");
        }
    }
}

fn in_sink(
    noun: &str,
    name: &SinkName,
    sink: &SinkExplanation,
    generation: u64,
    now: Timestamp,
) -> Vec<String> {
    let mut lines = Vec::new();
    if sink.out_of_scope {
        lines.push(styled(FAINT, &format!("not given this {noun}: the sink's scope (only) leaves them out")));
    }
    match (&sink.view.queued, &sink.view.applied) {
        (Some(item), _) => lines.extend(queued(item, now)),
        (None, Some(applied)) if applied.generation >= generation => {
            lines.push(styled(GOOD, "up to date"));
        }
        (None, Some(_)) => {
            lines.push(styled(BAD, "behind, and nothing waits: it was dropped from the queue"))
        }
        (None, None) if sink.out_of_scope => {}
        (None, None) => lines.push(styled(FAINT, "never confirmed, and nothing waits")),
    }
    if let (Some(_), Some(pause)) = (&sink.view.queued, &sink.paused) {
        let since = moment(now, pause.since);
        let resume = format!("to go on: rolecall sinks resume {}", plain(name.as_str()));
        lines.push(styled(BAD, &format!("the sink is PAUSED since {since}; {resume}")));
    }
    if let (Some(_), Some(Breaker::Open { since, reason, .. })) = (&sink.view.queued, &sink.breaker) {
        lines
            .push(styled(BAD, &format!("the sink is down since {}: {}", moment(now, *since), plain(reason))));
    }
    if let Some(applied) = &sink.view.applied {
        lines.push(confirmed(applied, now));
    }
    lines
}

fn queued(item: &QueueItem, now: Timestamp) -> Vec<String> {
    let since = moment(now, item.since);
    let attempts = item.attempts;
    let first = match item.state {
        QueueState::Dead => format!("{} since {since}, after attempt {attempts}", styled(BAD, "dead letter")),
        QueueState::Held => {
            let held = styled(BAD, "held");
            let which = item.hold.map_or_else(|| "list".to_owned(), |hold| format!("show {hold}"));
            format!("{held}, waiting since {since}: rolecall holds {which} says why and what to do")
        }
        QueueState::Waiting if attempts == 0 => format!("waiting since {since}"),
        QueueState::Waiting => {
            format!("waiting since {since}, tried {attempts} times, again {}", relative(now, item.due))
        }
    };
    let error = item.error.as_deref().map(|error| styled(BAD, &plain(error)));
    [Some(first), error].into_iter().flatten().collect()
}

fn confirmed(applied: &AppliedView, now: Timestamp) -> String {
    let presence = if applied.present { "" } else { ", not there any more" };
    let remote = applied.remote.as_ref().map_or(String::new(), |id| plain(&format!(", as {id}")));
    let (action, at, generation) = (applied.action, moment(now, applied.at), applied.generation);
    format!("confirmed {at}: {action}, generation {generation}{remote}{presence}")
}

/// A section with what was done lately.
pub(super) fn recent(out: &mut String, activity: &[ActivityView], width: Option<usize>) {
    heading(out, "Recent");
    if activity.is_empty() {
        out.push_str("  nothing, or longer ago than activity is kept\n");
        return;
    }
    let mut table = Table::new(["WHEN", "WHERE", "WHAT", "EVENT", "DETAIL"]);
    for line in activity.iter().take(RECENT) {
        table.row([
            exact(line.at).into(),
            line.sink.as_deref().unwrap_or("directory").into(),
            line.what.as_str().into(),
            line.event.as_deref().unwrap_or("-").into(),
            line.detail.as_deref().unwrap_or_default().into(),
        ]);
    }
    out.push_str(&table.render(2, width));
    if activity.len() > RECENT {
        let _ = writeln!(out, "  {}", styled(FAINT, "… and more: --json shows it"));
    }
}

/// A section begins.
pub(super) fn heading(out: &mut String, title: &str) {
    let _ = writeln!(out, "\n{}", styled(HEADING, title));
}

/// Since when, and by which event.
pub(super) fn since(because: &Because, now: Timestamp) -> String {
    let kind = because.kind.as_deref().unwrap_or("no longer in the journal");
    format!("since {}, event {}", moment(now, because.at), plain(&format!("{} ({kind})", because.event)))
}
