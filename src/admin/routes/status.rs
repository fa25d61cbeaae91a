//! Whether the daemon is well, and what it is doing.

use super::rules;
use crate::admin::api::{
    self, ConnectionStatus, DaemonStatus, Health, ListenStatus, SinkStatus, StoreStatus,
};
use crate::admin::refusal::Refusal;
use crate::admin::route::{Call, Route};
use crate::admin::{AdminState, openapi};
use crate::tls::TlsServer;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::open(api::HEALTH, "Whether the daemon answers and can read its store", health),
        Route::get(api::STATUS, "What the daemon is doing, in numbers", status),
        Route::text(api::OPENAPI, "This document", "application/json", document),
    ]
}

async fn health(state: AdminState) -> Result<Health, Refusal> {
    // The cheapest question that only a working store can answer.
    state.store.next_evaluation().await?;
    Ok(Health { version: env!("CARGO_PKG_VERSION").into() })
}

async fn document(_: AdminState) -> Result<String, Refusal> {
    Ok(openapi::document(&super::all()).to_string())
}

async fn status(Call { state, .. }: Call<()>) -> Result<DaemonStatus, Refusal> {
    let store = state.store.overview().await?;
    let low_on_space = store.is_low_on_space();
    let mut deliveries = state.deliveries.status();
    let sinks = store
        .sinks
        .into_iter()
        .map(|(name, queue)| {
            let delivery = deliveries.remove(&name);
            (name, SinkStatus::new(queue, delivery))
        })
        .collect();
    let connections = store
        .connections
        .into_iter()
        .map(|(id, connection)| ConnectionStatus {
            id,
            organization: connection.organization,
            provider: connection.provider,
            enabled: connection.enabled,
            since: connection.stamp.at,
        })
        .collect();
    Ok(DaemonStatus {
        version: env!("CARGO_PKG_VERSION").into(),
        started_at: state.started_at,
        now: (state.clock)(),
        received: state.received.iter().map(|(answer, times)| (answer.as_str().to_owned(), times)).collect(),
        last_event: store.last_event,
        listen: ListenStatus { tls: state.tls.as_ref().map(TlsServer::status) },
        store: StoreStatus {
            active_users: store.active_users,
            inactive_users: store.inactive_users,
            groups: store.groups,
            stale_users: store.stale,
            unreadable_events: store.unreadable,
            bytes: store.bytes,
            free_bytes: store.free_bytes,
            low_on_space,
        },
        connections,
        sinks,
        rules: rules::status(&state).await?,
    })
}
