//! The store itself: backups, its size, whether it is sound; and everybody in it, for an export.

use http::StatusCode;
use warp::reply::Response;

use super::{cursor, page_size};
use crate::admin::AdminState;
use crate::admin::api::{self, CheckQuery, ExportQuery, ExportedGroups, ExportedUsers, Page, PageToken};
use crate::admin::refusal::Refusal;
use crate::admin::route::{Call, Route};
use crate::admin::transfer::{Pace, download};
use crate::store::{Backups, CheckStep, StoreSize, desired};

/// What a backup is sent as.
const DATABASE: &str = "application/vnd.sqlite3";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::download(
            api::STORE_BACKUP,
            "The whole store as it is at one moment, as an SQLite database",
            DATABASE,
            backup,
        )
        .refuses(StatusCode::CONFLICT)
        .refuses(StatusCode::INSUFFICIENT_STORAGE),
        Route::get(api::STORE_SIZE, "What takes how much space in the store", size),
        Route::get(api::STORE_CHECK, "Looks whether the store is sound, one step at a time", check)
            .may_be_impossible(),
        Route::get(api::EXPORT_USERS, "Users as every sink should hold them", users).may_be_impossible(),
        Route::get(api::EXPORT_GROUPS, "Groups as every sink should hold them", groups).may_be_impossible(),
    ]
}

async fn backup(state: AdminState, pace: Pace) -> Result<Response, Refusal> {
    let snapshot = pace.during(state.store.snapshot()).await?;
    tracing::info!(bytes = snapshot.bytes, "a backup of the store is sent");
    download(snapshot, pace, DATABASE)
}

async fn size(Call { state, pace, .. }: Call<()>) -> Result<StoreSize, Refusal> {
    let size = pace.during(state.store.size()).await?;
    Ok(StoreSize { backup: state.backups.as_ref().map(Backups::status), ..size })
}

async fn check(Call { state, params, pace, .. }: Call<CheckQuery>) -> Result<CheckStep, Refusal> {
    let wrong = |_| Refusal::impossible("after: hand back `next` of the step before, as it was given");
    let after = params.after.map(|after| after.parse().map_err(wrong)).transpose()?;
    Ok(pace.during(state.store.check(after, (state.clock)())).await?)
}

async fn users(Call { state, params, .. }: Call<ExportQuery>) -> Result<ExportedUsers, Refusal> {
    let limit = page_size(params.limit)?;
    let people = state.store.people(cursor(params.after.as_ref())?, limit).await?;
    let next = people.last().filter(|_| people.len() == limit as usize);
    let next = next.and_then(|last| PageToken::new(&last.cursor));
    let users =
        people.into_iter().filter_map(|one| desired::user(&one.id, &one.state, &one.groups, one.roles));
    Ok(Page { now: (state.clock)(), items: users.collect(), next })
}

async fn groups(Call { state, params, .. }: Call<ExportQuery>) -> Result<ExportedGroups, Refusal> {
    let limit = page_size(params.limit)?;
    let groups = state.store.groups(cursor(params.after.as_ref())?, limit).await?;
    let next = groups.last().filter(|_| groups.len() == limit as usize);
    let next = next.and_then(|last| PageToken::new(&last.cursor));
    let groups = groups.into_iter().filter_map(|one| desired::group(&one.id, &one.state));
    Ok(Page { now: (state.clock)(), items: groups.collect(), next })
}
