//! The admin API: what the daemon tells the administrator of the host, and what it does for them. It is served on a
//! Unix socket, whose file permissions say who may ask, and where it is configured over the network, to whoever has a
//! token or a certificate; the commands are its client.

mod access;
pub mod api;
mod body;
mod client;
mod explain;
mod metrics;
mod openapi;
mod readiness;
mod refusal;
mod route;
mod router;
mod routes;
mod server;
mod socket;
mod transfer;
mod within;

use std::sync::Arc;

use jiff::Timestamp;

pub use access::{Credential, Gate, Peer, Tokens, Who};
pub use client::{Address, AdminClient, AdminUrl, ClientError, Download, Plaintext, Remote, RemoteError};
pub use readiness::Readiness;
pub use server::{AdminListener, ListenError, Pages, serve};
pub use socket::{AdminSocket, SocketError};
pub use within::Within;

use crate::alerts::Alerts;
use crate::deliver::Deliveries;
use crate::receive::{Acknowledgements, Replay};
use crate::rulebook::Rulebook;
use crate::store::{Backups, CommitMetrics, Store};
use crate::tls::TlsServer;
use crate::traces::Traces;

/// What the admin API looks at and works on.
#[derive(Clone)]
pub struct AdminState {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The delivery workers.
    pub deliveries: Deliveries,
    /// The rules in force, and how others take their place.
    pub rulebook: Rulebook,
    /// Whether webhooks can be received.
    pub readiness: Readiness,
    /// Who is let in.
    pub gate: Arc<Gate>,
    /// The webhooks answered since the start.
    pub received: Arc<Acknowledgements>,
    /// What the committer counts and measures.
    pub commits: CommitMetrics,
    /// Backups that are made by themselves, where any are.
    pub backups: Option<Backups>,
    /// The certificates of the listeners that speak TLS.
    pub tls: Vec<TlsServer>,
    /// Where spans go.
    pub traces: Traces,
    /// Reads stored messages again.
    pub replay: Replay,
    /// What needs a person, and who is told.
    pub alerts: Alerts,
    /// The time now.
    pub clock: fn() -> Timestamp,
    /// When the daemon started.
    pub started_at: Timestamp,
}

#[cfg(test)]
pub(crate) mod tests;
