//! A sink's part in the traces of events.

use jiff::Timestamp;
use rolecall_sink_api::SinkName;

use super::metrics::Outcome;
use crate::store::{Settled, Settlement};
use crate::traces::{Ending, EventTrace, Kind, Traces};

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
