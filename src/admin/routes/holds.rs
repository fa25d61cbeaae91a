//! What is held until a person decides.

use rolecall_sink_api::SinkName;

use super::{cursor, page, page_size, sink_exists};
use crate::admin::AdminState;
use crate::admin::access::Who;
use crate::admin::api::{
    self, HoldDecided, HoldDetail, HoldPath, HoldQuery, HoldsPage, HoldsQuery, NothingMore, Page,
};
use crate::admin::refusal::Refusal;
use crate::admin::route::{Call, Route};
use crate::store::{Decision, Hold, HoldFilter, HoldId, StoreError};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(api::HOLDS, "What sinks' safeguards hold until a person decides", holds)
            .may_miss()
            .may_be_impossible(),
        Route::get(api::HOLD, "One hold, and who is in it", hold).may_miss().may_be_impossible(),
        Route::post(api::HOLD_APPROVE, "Hands what is held to the sink at once", approve)
            .may_miss()
            .may_be_impossible(),
        Route::post(
            api::HOLD_REJECT,
            "Gives up what is held: the sink keeps those users until they change again",
            reject,
        )
        .may_miss()
        .may_be_impossible(),
    ]
}

async fn holds(Call { state, params, .. }: Call<HoldsQuery>) -> Result<HoldsPage, Refusal> {
    let HoldsQuery { sink, all, limit, after } = params;
    let limit = page_size(limit)?;
    let before = cursor(after.as_ref())?;
    sink.as_deref().map_or(Ok(()), |sink| sink_exists(&state, sink))?;
    let filter = HoldFilter { sink: sink.map(SinkName::new), id: None, open: !all, before };
    // One more than asked for shows whether there is a next page.
    let found = state.store.holds(&filter, limit + 1).await?;
    Ok(page((state.clock)(), found, limit, |hold| hold.id))
}

async fn hold(Call { state, params, .. }: Call<HoldQuery>) -> Result<HoldDetail, Refusal> {
    let HoldQuery { id, limit, after } = params;
    let limit = page_size(limit)?;
    let after = cursor(after.as_ref())?;
    let hold = find(&state, id).await?;
    let now = (state.clock)();
    let found = state.store.held(id, after, limit + 1, now).await?;
    let Page { now, items, next } = page(now, found, limit, |held| held.item.cursor);
    Ok(HoldDetail { now, hold, items, next })
}

async fn approve(
    Call { state, who, params, .. }: Call<HoldPath, NothingMore>,
) -> Result<HoldDecided, Refusal> {
    decide(state, who, params.id, Decision::Approved).await
}

async fn reject(
    Call { state, who, params, .. }: Call<HoldPath, NothingMore>,
) -> Result<HoldDecided, Refusal> {
    decide(state, who, params.id, Decision::Rejected).await
}

async fn decide(state: AdminState, who: Who, id: HoldId, decision: Decision) -> Result<HoldDecided, Refusal> {
    let store = state.store.clone();
    let (by, now) = (Some(who.to_string()), (state.clock)());
    // What was begun is finished, though whoever asked hangs up.
    let done = tokio::spawn(async move { store.decide(id, decision, by, now).await }).await;
    let done = done.map_err(|error| StoreError::Failed(error.to_string()))??;
    let hold = find(&state, id).await?;
    let Some(changes) = done else { return Err(Refusal::impossible(over(&hold))) };
    state.deliveries.wake();
    tracing::warn!(hold = %id, sink = %hold.sink, changes, "what was held is {}", decision.as_str());
    Ok(HoldDecided { hold, changes: changes as u64 })
}

async fn find(state: &AdminState, id: HoldId) -> Result<Hold, Refusal> {
    let filter = HoldFilter { id: Some(id), ..HoldFilter::default() };
    let found = state.store.holds(&filter, 1).await?.pop();
    found.ok_or_else(|| {
        Refusal::missing(format!("there is no hold {id}; `rolecall holds list` shows those there are"))
    })
}

/// Why nothing is left to decide.
fn over(hold: &Hold) -> String {
    let id = hold.id;
    match &hold.decided {
        Some(decided) => {
            let by = decided.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            format!("hold {id} was {} at {}{by}", decided.decision.as_str(), decided.at)
        }
        None => format!("nothing is left in hold {id}: everything in it was released by itself, or dropped"),
    }
}
