//! What was done to whom.

use super::{cursor, events, found, page_size, sink_exists};
use crate::admin::AdminState;
use crate::admin::api::{self, ActivityPage, ActivityQuery, LARGEST_PAGE};
use crate::admin::refusal::Refusal;
use crate::admin::route::{Call, Route};
use crate::store::{ActivityFilter, ActivityItem, Consequence};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(api::ACTIVITY, "What was done to whom, where and because of what, newest first", activity)
            .may_miss()
            .may_be_impossible(),
    ]
}

async fn activity(Call { state, params, .. }: Call<ActivityQuery>) -> Result<ActivityPage, Refusal> {
    let ActivityQuery { sink, entity, event, what, since, until, limit, after } = params;
    let (limit, after) = (page_size(limit)?, cursor(after.as_ref())?);
    sink.as_deref().map_or(Ok(()), |sink| sink_exists(&state, sink))?;
    let filter = ActivityFilter { sink, entity, what, since, until };
    if let Some(event) = event {
        return because_of(&state, &event, &filter, limit).await;
    }
    let lines = state.store.activity(&filter, after, limit).await?;
    Ok(found((state.clock)(), lines))
}

/// What an event did is found by whom it speaks of: there are not many, and all of it is one page.
async fn because_of(
    state: &AdminState,
    event: &str,
    filter: &ActivityFilter,
    limit: u32,
) -> Result<ActivityPage, Refusal> {
    let mut items = Vec::new();
    for entry in events::entries(state, event, None).await? {
        let named = events::named_in(state, &entry);
        let lines = state.store.consequences(&entry.id, named, LARGEST_PAGE).await?;
        items.extend(lines.into_iter().map(|line| {
            let Consequence { entity, at, sink, what, detail } = line;
            ActivityItem { entity, at, sink, what, event: Some(event.to_owned()), detail }
        }));
    }
    let wanted = |wanted: &Option<String>, found: Option<&str>| {
        wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
    };
    items.retain(|item| {
        wanted(&filter.sink, item.sink.as_deref())
            && wanted(&filter.entity, Some(item.entity.id()))
            && wanted(&filter.what, Some(&item.what))
            && filter.since.is_none_or(|since| item.at >= since)
            && filter.until.is_none_or(|until| item.at < until)
    });
    items.reverse();
    items.truncate(limit as usize);
    Ok(ActivityPage { now: (state.clock)(), items, next: None })
}
