//! A sink's part in the traces of events.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rolecall_sink_api::SinkName;

use super::metrics::Outcome;
use crate::store::{ActivityFilter, ActivityItem, Settled, Settlement, Store};
use crate::traces::{Ending, EventTrace, Kind, Traces};

/// How many of the latest things that were done to somebody are looked through for events that were overtaken.
const LOOKED_THROUGH: u32 = 100;

/// Adds to each event's trace what the sink made of it, in the time from the first to the second. A change that no event
/// made necessary is in no trace, and one that was overtaken meanwhile goes on in that of the newer event.
pub(super) fn applied(
    traces: &Traces,
    sink: &SinkName,
    settlements: &[Settlement],
    settled: &[Settled],
    (began, ended): (Timestamp, Timestamp),
) {
    traces.record(|| {
        // Both are in one order.
        let mut settled = settled.iter().peekable();
        let spans = settlements.iter().filter_map(|settlement| {
            let waited = settled.next_if(|waited| waited.entity == settlement.entity)?;
            let trace = EventTrace::of(waited.event.as_ref()?);
            let outcome = Outcome::of(&settlement.resolution)?;
            let ending = match outcome {
                Outcome::Applied(_) => Ending::Well,
                Outcome::Retried | Outcome::Dead => Ending::Failed,
            };
            let span = trace.child("apply", began, ended).kind(Kind::Client).ending(ending);
            Some(
                span.with("rolecall.sink", sink.as_str())
                    .with("rolecall.entity.kind", settlement.entity.kind().as_str())
                    .with("rolecall.entity.id", settlement.entity.id())
                    .with("rolecall.priority", waited.priority.as_str())
                    .with("rolecall.outcome", outcome.as_str())
                    .with("rolecall.action", outcome.action())
                    .with("rolecall.attempts", settlement.attempts),
            )
        });
        spans.collect::<Vec<_>>()
    });
}

/// Adds to the traces of events that were overtaken while they waited for the sink which event did that: what the sink was
/// handed had both in it. Only somebody who left the queue by it is looked at.
pub(super) async fn overtaken(
    traces: &Traces,
    store: &dyn Store,
    sink: &SinkName,
    settlements: &[Settlement],
    settled: &[Settled],
    (began, ended): (Timestamp, Timestamp),
) {
    if !traces.are_wanted() {
        return;
    }
    // Both are in one order.
    let mut settled = settled.iter().peekable();
    for settlement in settlements {
        let Some(waited) = settled.next_if(|waited| waited.entity == settlement.entity) else { continue };
        let (Some(newest), Some(Outcome::Applied(_) | Outcome::Dead)) =
            (&waited.event, Outcome::of(&settlement.resolution))
        else {
            continue;
        };
        let filter = ActivityFilter {
            entity: Some(settlement.entity.id().to_owned()),
            since: Some(waited.since),
            ..ActivityFilter::default()
        };
        let lines = match store.activity(&filter, None, LOOKED_THROUGH).await {
            Ok(found) => found.items,
            Err(error) => {
                tracing::debug!(%sink, %error, "which events were overtaken cannot be told to their traces");
                return;
            }
        };
        traces.record(|| {
            let overtaken = before(&lines, newest).into_iter().map(|event| {
                let span = EventTrace::of(event).child("superseded", began, ended);
                span.linked(EventTrace::of(newest))
                    .with("rolecall.sink", sink.as_str())
                    .with("rolecall.entity.kind", settlement.entity.kind().as_str())
                    .with("rolecall.entity.id", settlement.entity.id())
                    .with("rolecall.superseded_by", newest.as_str())
            });
            overtaken.collect::<Vec<_>>()
        });
    }
}

/// The events that changed somebody in the directory before this one did, of what was done to them, newest first.
fn before<'a>(lines: &'a [ActivityItem], newest: &str) -> BTreeSet<&'a str> {
    let in_directory = lines.iter().filter(|line| line.sink.is_none());
    let events = in_directory.filter_map(|line| line.event.as_deref());
    events.skip_while(|event| *event != newest).filter(|event| *event != newest).collect()
}

#[cfg(test)]
mod tests {
    use rolecall_sink_api::{Entity, UserId};

    use super::*;

    #[test]
    fn what_came_before_an_event_was_overtaken_by_it_and_what_came_after_was_not() {
        let line = |sink: Option<&str>, event: Option<&str>| ActivityItem {
            entity: Entity::User(UserId::new("u1")),
            at: Timestamp::UNIX_EPOCH,
            sink: sink.map(str::to_owned),
            what: "updated".into(),
            event: event.map(str::to_owned),
            detail: None,
        };
        let lines = [
            line(None, Some("later")),
            line(None, Some("newest")),
            line(Some("crm"), Some("only in a sink")),
            line(None, None),
            line(None, Some("second")),
            line(None, Some("first")),
        ];
        assert_eq!(before(&lines, "newest"), BTreeSet::from(["first", "second"]));
        assert_eq!(before(&lines, "forgotten"), BTreeSet::new());
    }
}
