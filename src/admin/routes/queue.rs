//! What waits for the sinks, and the dead letters.

use super::{cursor, page, page_size, sink_exists};
use crate::admin::AdminState;
use crate::admin::api::{self, Changed, QueuePage, QueueQuery, Selection};
use crate::admin::refusal::Refusal;
use crate::admin::route::{Call, Route};
use crate::store::QueueFilter;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(api::QUEUE, "What waits for the sinks, and the dead letters", queue)
            .may_miss()
            .may_be_impossible(),
        Route::post(api::QUEUE_RETRY, "Makes items due now, with their attempts forgotten", retry)
            .may_miss()
            .may_be_impossible(),
        Route::post(
            api::QUEUE_DROP,
            "Takes items out of their queues, until their user or group changes again",
            drop_items,
        )
        .may_miss()
        .may_be_impossible(),
    ]
}

async fn queue(Call { state, params, .. }: Call<QueueQuery>) -> Result<QueuePage, Refusal> {
    let QueueQuery { sink, id, state: queued, limit, after } = params;
    let limit = page_size(limit)?;
    let after = cursor(after.as_ref())?;
    sink.as_deref().map_or(Ok(()), |sink| sink_exists(&state, sink))?;
    let filter = QueueFilter { sink, id, state: queued, after };
    // One more than asked for shows whether there is a next page.
    let found = state.store.queue(&filter, limit + 1).await?;
    Ok(page((state.clock)(), found, limit, |item| item.cursor))
}

async fn retry(Call { state, body, .. }: Call<(), Selection>) -> Result<Changed, Refusal> {
    let filter = selected(&state, body)?;
    let items = state.store.retry(&filter).await?;
    state.deliveries.wake();
    state.deliveries.probe();
    let QueueFilter { sink, id, state, .. } = filter;
    tracing::info!(items, sink, id, ?state, "queue items made due by the administrator");
    Ok(Changed { items: items as u64 })
}

async fn drop_items(Call { state, body, .. }: Call<(), Selection>) -> Result<Changed, Refusal> {
    let filter = selected(&state, body)?;
    let items = state.store.drop_items(&filter, (state.clock)()).await?;
    let QueueFilter { sink, id, state, .. } = filter;
    tracing::warn!(items, sink, id, ?state, "queue items dropped by the administrator");
    Ok(Changed { items: items as u64 })
}

fn selected(state: &AdminState, selection: Selection) -> Result<QueueFilter, Refusal> {
    let filter = selection.filter().map_err(Refusal::impossible)?;
    filter.sink.as_deref().map_or(Ok(()), |sink| sink_exists(state, sink))?;
    Ok(filter)
}
