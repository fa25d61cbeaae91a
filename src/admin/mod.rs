//! The admin API: what the daemon tells the administrator of the host, and what it does for them. It is served on a
//! Unix socket, whose file permissions say who may ask; the commands are its client.

pub mod api;
mod client;
mod events;
mod explain;
mod metrics;
mod routes;
mod rules;
mod server;
mod socket;

use std::sync::Arc;

use jiff::Timestamp;

pub use client::{AdminClient, ClientError};
pub use server::serve;
pub use socket::{AdminSocket, SocketError};

use crate::deliver::Deliveries;
use crate::receive::{Acknowledgements, Replay};
use crate::rulebook::Rulebook;
use crate::store::{CommitMetrics, Store};

/// What the admin API looks at and works on.
#[derive(Clone)]
pub struct AdminState {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The delivery workers.
    pub deliveries: Deliveries,
    /// The rules in force, and how others take their place.
    pub rulebook: Rulebook,
    /// The webhooks answered since the start.
    pub received: Arc<Acknowledgements>,
    /// What the committer counts and measures.
    pub commits: CommitMetrics,
    /// Reads stored messages again.
    pub replay: Replay,
    /// The time now.
    pub clock: fn() -> Timestamp,
    /// When the daemon started.
    pub started_at: Timestamp,
}

#[cfg(test)]
pub(crate) mod tests;
