//! Whether the daemon is well, and what it is doing.

use http::StatusCode;

use super::{rules, sinks};
use crate::admin::api::{self, ConnectionStatus, DaemonStatus, Health, ListenStatus, Readiness, StoreStatus};
use crate::admin::refusal::Refusal;
use crate::admin::route::{Call, Route};
use crate::admin::{AdminState, openapi};
use crate::store::Backups;
use crate::tls::{Listener, TlsServer};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::open(api::HEALTH, "Whether the daemon is alive", health),
        Route::open(api::READY, "Whether webhooks can be received and stored", ready),
        Route::get(api::STATUS, "What the daemon is doing, in numbers", status),
        Route::text(api::OPENAPI, "This document", "application/json", document),
    ]
}

async fn health(_: AdminState) -> Result<Health, Refusal> {
    Ok(Health { alive: true })
}

async fn ready(state: AdminState) -> Result<Readiness, Refusal> {
    let obstacles = state.readiness.obstacles().await;
    if obstacles.is_empty() {
        return Ok(Readiness { ready: true });
    }
    tracing::warn!(because = obstacles.join("; "), "not ready to receive webhooks");
    // Anybody may ask.
    Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not ready: the log and /v1/status say why"))
}

async fn document(_: AdminState) -> Result<String, Refusal> {
    Ok(openapi::document(&super::all()).to_string())
}

async fn status(Call { state, .. }: Call<()>) -> Result<DaemonStatus, Refusal> {
    let store = state.store.overview().await?;
    let low_on_space = store.is_low_on_space();
    let sinks = sinks::statuses(&state, store.sinks);
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
    let listen = |listener| {
        let tls = state.tls.iter().find(|tls| tls.listener() == listener);
        ListenStatus { tls: tls.map(TlsServer::status) }
    };
    Ok(DaemonStatus {
        version: env!("CARGO_PKG_VERSION").into(),
        started_at: state.started_at,
        now: (state.clock)(),
        not_ready: state.readiness.obstacles().await,
        received: state.received.iter().map(|(answer, times)| (answer.as_str().to_owned(), times)).collect(),
        recent: state.received.recent(),
        last_event: store.last_event,
        listen: listen(Listener::Webhooks),
        admin: listen(Listener::Admin),
        store: StoreStatus {
            active_users: store.active_users,
            inactive_users: store.inactive_users,
            groups: store.groups,
            stale_users: store.stale,
            unreadable_events: store.unreadable,
            bytes: store.bytes,
            free_bytes: store.free_bytes,
            low_on_space,
            backup: state.backups.as_ref().map(Backups::status),
        },
        connections,
        sinks,
        rules: rules::status(&state).await?,
    })
}
