//! The sinks.

use std::collections::BTreeMap;

use rolecall_sink_api::SinkName;

use super::sink_exists;
use crate::admin::AdminState;
use crate::admin::api::{self, SinkDetail, SinkQuery, SinkStatus, Sinks};
use crate::admin::refusal::Refusal;
use crate::admin::route::{Call, Route};
use crate::store::SinkState;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(api::SINKS, "Every sink: what waits for it, and how its deliveries go", sinks),
        Route::get(api::SINK, "One sink: what waits for it, and how its deliveries go", sink).may_miss(),
    ]
}

async fn sinks(Call { state, .. }: Call<()>) -> Result<Sinks, Refusal> {
    let queues = state.store.overview().await?.sinks;
    Ok(Sinks { now: (state.clock)(), sinks: statuses(&state, queues) })
}

async fn sink(Call { state, params, .. }: Call<SinkQuery>) -> Result<SinkDetail, Refusal> {
    sink_exists(&state, &params.name)?;
    let queues = state.store.overview().await?.sinks;
    let found = statuses(&state, queues).remove_entry(params.name.as_str());
    let (name, sink) = found.ok_or_else(|| Refusal::missing("it is not configured any more"))?;
    Ok(SinkDetail { now: (state.clock)(), name, sink })
}

/// How each sink is that has such a queue.
pub(super) fn statuses(
    state: &AdminState,
    queues: BTreeMap<SinkName, SinkState>,
) -> BTreeMap<SinkName, SinkStatus> {
    let mut deliveries = state.deliveries.status();
    let status = |(name, queue): (SinkName, SinkState)| {
        let delivery = deliveries.remove(&name);
        (name, SinkStatus::new(queue, delivery))
    };
    queues.into_iter().map(status).collect()
}
