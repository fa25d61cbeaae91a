//! The listening socket: what it accepts, how much at a time, and how it stops.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use rolecall_sink_api::ConfigError;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::answer::Acknowledgements;
use super::body::Held;
use super::client::TrustedProxies;
use super::config::ListenConfig;
use super::connection::{Serving, Stopping};
use super::crowd::Crowd;
use super::refusals::Refusals;
use super::webhooks::{Clock, NamedSource, Webhooks, filter};
use crate::store::Intake;
use crate::tls::{Listener, TlsServer};
use crate::traces::Traces;

/// How long to wait when the system has no descriptor or memory for another connection.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the log is left alone once it was told that all connections are taken.
const QUIET: Duration = Duration::from_secs(60);

/// Receives webhooks: reads, verifies and hands them to the store, and answers once they are on disk.
pub struct Receiver {
    config: ListenConfig,
    serving: Serving,
    tls: Option<TlsServer>,
    counts: Arc<Acknowledgements>,
    crowd: Crowd,
}

impl Receiver {
    /// A receiver of these sources that hands everything authentic to `intake`, and begins each event's trace.
    ///
    /// # Errors
    /// When the configuration cannot be right, or the certificate cannot be used. Paths are relative to the
    /// `listen` section.
    pub fn new(
        config: ListenConfig,
        sources: Vec<NamedSource>,
        intake: Intake,
        clock: Clock,
        traces: Traces,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let tls =
            config.tls.clone().map(|tls| TlsServer::load(tls, Listener::Webhooks, clock)).transpose()?;
        let counts = Arc::new(Acknowledgements::new(sources.iter().map(|source| &source.name)));
        let crowd = Crowd::new();
        let webhooks = Arc::new(Webhooks {
            sources: sources.into_iter().map(|source| (source.name.clone(), source)).collect(),
            intake,
            clock,
            max_body: config.max_body_bytes.get(),
            body_timeout: config.body_timeout.get(),
            answer_timeout: config.answer_timeout.get(),
            held: Held::new(config.max_held_bytes.get()),
            counts: Arc::clone(&counts),
            refusals: Refusals::default(),
            crowd: crowd.clone(),
            traces,
        });
        let serving = Serving::new(
            filter(webhooks),
            tls.clone(),
            TrustedProxies::new(config.trusted_proxies.clone()),
            config.handshake_timeout.get(),
            config.header_timeout.get(),
            crowd.clone(),
        );
        Ok(Self { config, serving, tls, counts, crowd })
    }

    /// How often each answer was given.
    pub fn acknowledgements(&self) -> Arc<Acknowledgements> {
        Arc::clone(&self.counts)
    }

    /// The certificate that it shows, if it has one; somebody must keep it renewed.
    pub fn tls(&self) -> Option<TlsServer> {
        self.tls.clone()
    }

    /// Starts to listen: on the socket that was inherited, else on the configured address. From now on
    /// connections wait in the socket.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(self, inherited: Option<std::net::TcpListener>) -> Result<Bound, BindError> {
        let address = self.config.address;
        let fail = |error| BindError { address, error };
        let listener = match inherited {
            Some(listener) => {
                listener.set_nonblocking(true).map_err(fail)?;
                TcpListener::from_std(listener).map_err(fail)?
            }
            None => TcpListener::bind(address).await.map_err(fail)?,
        };
        let local_addr = listener.local_addr().map_err(fail)?;
        Ok(Bound { receiver: self, listener, local_addr })
    }
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (listen.address): {error}")]
pub struct BindError {
    address: SocketAddr,
    #[source]
    error: io::Error,
}

/// A receiver that listens.
pub struct Bound {
    receiver: Receiver,
    listener: TcpListener,
    local_addr: SocketAddr,
}

impl Bound {
    /// Where it listens; names the port where the configuration left it open (`:0`).
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `stop` is cancelled, then lets what is under way finish within `listen.drain_timeout`.
    /// When it returns, no request is under way. Dropping the future closes every connection at once.
    pub async fn serve(self, stop: CancellationToken) {
        let Receiver { config, serving, crowd, .. } = self.receiver;
        let serving = Arc::new(serving);
        let connections = TaskTracker::new();
        let cut = CancellationToken::new();
        let _cut_when_dropped = cut.clone().drop_guard();
        let stopping = Stopping { drain: stop.clone(), cut: cut.clone() };
        info!(address = %self.local_addr, tls = config.tls.is_some(), "receiving webhooks");
        tokio::select! {
            () = stop.cancelled() => {}
            () = accept(&self.listener, config.max_connections.get(), &crowd, |stream, peer, permit| {
                let (serving, stopping) = (Arc::clone(&serving), stopping.clone());
                connections.spawn(async move {
                    serving.serve(stream, peer, stopping).await;
                    drop(permit);
                });
            }) => {}
        }
        drop(self.listener);
        connections.close();
        if timeout(config.drain_timeout.get(), connections.wait()).await.is_err() {
            warn!(connections = connections.len(), "closed before they were done (listen.drain_timeout)");
            cut.cancel();
            connections.wait().await;
        }
    }
}

/// Accepts connections for ever, at most `most` at a time. Nothing that goes wrong with one of them, and no
/// shortage, ends it.
async fn accept(
    listener: &TcpListener,
    most: u32,
    crowd: &Crowd,
    mut serve: impl FnMut(tokio::net::TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit),
) {
    let slots = Arc::new(Semaphore::new(most as usize));
    let mut said = None::<Instant>;
    loop {
        if slots.available_permits() == 0 {
            crowd.say(true);
        }
        if slots.available_permits() == 0 && said.is_none_or(|said| said.elapsed() > QUIET) {
            said = Some(Instant::now());
            warn!(
                connections = most,
                "all connections are taken; more wait until one is closed, as those are now on which nothing happens (listen.max_connections)"
            );
        }
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let accepted = match listener.accept().now_or_never() {
            Some(accepted) => accepted,
            None => {
                // Nobody waits.
                crowd.say(false);
                listener.accept().await
            }
        };
        match accepted {
            Ok((stream, peer)) => serve(stream, peer, slot),
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                warn!(%error, "cannot accept connections; trying again in {PAUSE:?}");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Whether the connection broke before it was accepted: `accept(2)` reports it in its place.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
