//! The sinks: how they are, and pausing, resuming and probing one.

use std::collections::BTreeMap;

use rolecall_sink_api::SinkName;

use super::sink_exists;
use crate::admin::AdminState;
use crate::admin::api::{
    self, NothingMore, PauseRequest, SinkDetail, SinkPath, SinkPaused, SinkStatus, Sinks,
};
use crate::admin::refusal::Refusal;
use crate::admin::route::{Call, Route};
use crate::deliver::Probed;
use crate::store::{Pause, SinkState};

/// The longest reason for a pause, in characters.
const MOST_REASON: usize = 500;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(api::SINKS, "Every sink: what waits for it, and how its deliveries go", sinks),
        Route::get(api::SINK, "One sink: what waits for it, and how its deliveries go", sink).may_miss(),
        Route::post(api::SINK_PAUSE, "Has a sink handed nothing any more, leavers neither", pause)
            .may_miss()
            .may_be_impossible(),
        Route::post(api::SINK_RESUME, "Goes on with what waits for a sink", resume).may_miss(),
        Route::post(api::SINK_PROBE, "Asks a sink whether it can be worked with", probe).may_miss(),
    ]
}

async fn sinks(Call { state, .. }: Call<()>) -> Result<Sinks, Refusal> {
    let queues = state.store.overview().await?.sinks;
    Ok(Sinks { now: (state.clock)(), sinks: statuses(&state, queues) })
}

async fn sink(Call { state, params, .. }: Call<SinkPath>) -> Result<SinkDetail, Refusal> {
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

async fn pause(
    Call { state, who, params, body, .. }: Call<SinkPath, PauseRequest>,
) -> Result<SinkPaused, Refusal> {
    let sink = named(&state, params)?;
    let reason = body.reason.filter(|reason| !reason.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > MOST_REASON) {
        return Err(Refusal::impossible(format!("reason: at most {MOST_REASON} characters are kept")));
    }
    let pause = Pause { since: (state.clock)(), reason, by: Some(who.to_string()) };
    state.deliveries.pause(&sink, pause.clone()).await?.ok_or_else(gone)?;
    tracing::warn!(%sink, "paused by the administrator: nothing is delivered to it, leavers neither");
    Ok(SinkPaused { sink, paused: Some(pause) })
}

async fn resume(Call { state, params, .. }: Call<SinkPath, NothingMore>) -> Result<SinkPaused, Refusal> {
    let sink = named(&state, params)?;
    state.deliveries.resume(&sink).await?.ok_or_else(gone)?;
    tracing::info!(%sink, "resumed by the administrator");
    Ok(SinkPaused { sink, paused: None })
}

async fn probe(Call { state, params, .. }: Call<SinkPath, NothingMore>) -> Result<Probed, Refusal> {
    let sink = named(&state, params)?;
    state.deliveries.probe_now(&sink).await.ok_or_else(gone)
}

fn named(state: &AdminState, SinkPath { name }: SinkPath) -> Result<SinkName, Refusal> {
    sink_exists(state, &name)?;
    Ok(SinkName::new(name))
}

fn gone() -> Refusal {
    Refusal::missing("this sink is not configured")
}
