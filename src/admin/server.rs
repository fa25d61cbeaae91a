//! Serving the admin API: on its socket, and at an address where one is configured.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::access::Peer;
use super::transfer::Pace;
use super::{AdminSocket, AdminState, router};
use crate::tls::{TlsServer, client_names};

/// Most connections at a time to the socket, and as many to the address; more wait in the backlog.
const MOST_CONNECTIONS: usize = 32;
/// How long a client may take to shake hands for TLS, and then to send a request's headers; an idle connection is closed after as long.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// The largest request head, in bytes.
const MOST_HEAD: usize = 32 * 1024;
/// The longest a connection lives without getting on with something long, so that none that is stuck holds its place for
/// good.
const CONNECTION_LIFE: Duration = Duration::from_secs(60);
/// How long requests that have begun may take to end when the daemon stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long to wait after the operating system refused a connection, for instance for want of descriptors.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Listens at the address of `admin.listen`.
pub struct AdminListener {
    listener: TcpListener,
    local_addr: SocketAddr,
    tls: Option<TlsServer>,
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (admin.listen.address): {error}")]
pub struct ListenError {
    address: SocketAddr,
    #[source]
    error: io::Error,
}

impl AdminListener {
    /// Starts to listen, for HTTPS where there is a certificate, else for plain HTTP: from now on connections wait.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(address: SocketAddr, tls: Option<TlsServer>) -> Result<Self, ListenError> {
        let fail = |error| ListenError { address, error };
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let local_addr = listener.local_addr().map_err(fail)?;
        Ok(Self { listener, local_addr, tls })
    }

    /// Where it listens; names the port where the configuration left it open (`:0`).
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

/// What has paths of its own beside the API's.
pub trait Pages: Send + Sync {
    /// Whether requests for this path are for it.
    fn answers(&self, path: &str) -> bool;

    /// Answers a request that came over a connection from `peer`.
    fn answer(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> BoxFuture<'static, Response>;
}

/// Answers on `socket` and at the address until `stop` is cancelled, then ends the requests that have begun.
pub async fn serve(
    socket: AdminSocket,
    address: Option<AdminListener>,
    state: AdminState,
    pages: Option<Arc<dyn Pages>>,
    stop: CancellationToken,
) {
    let served = Served { filter: router::filter(state), pages };
    let at_address = async {
        if let Some(AdminListener { listener, local_addr, tls }) = address {
            tracing::info!(address = %local_addr, tls = tls.is_some(), "the admin API is served");
            serve_at(listener, tls, served.clone(), stop.clone()).await;
        }
    };
    tokio::join!(serve_at(socket, None, served.clone(), stop.clone()), at_address);
}

/// What there is to be asked for.
#[derive(Clone)]
struct Served {
    filter: BoxedFilter<(Response,)>,
    pages: Option<Arc<dyn Pages>>,
}

/// What connections come in by.
trait Accept {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    async fn accept(&self) -> io::Result<(Self::Stream, Peer)>;
}

impl Accept for AdminSocket {
    type Stream = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<(Self::Stream, Peer)> {
        let (stream, _) = UnixListener::accept(&self.listener).await?;
        let uid = stream.peer_cred().ok().map(|process| process.uid());
        Ok((stream, Peer::Process { uid }))
    }
}

impl Accept for TcpListener {
    type Stream = tokio::net::TcpStream;

    async fn accept(&self) -> io::Result<(Self::Stream, Peer)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // Answers are small and go out whole: waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        Ok((stream, Peer::Network { address: peer, certificate: None }))
    }
}

async fn serve_at<L: Accept>(listener: L, tls: Option<TlsServer>, served: Served, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let connections = GracefulShutdown::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        match (place, accepted) {
            (Ok(place), Ok((stream, peer))) => {
                let (tls, served, stop) = (tls.clone(), served.clone(), stop.clone());
                let watcher = connections.watcher();
                tokio::spawn(async move {
                    match tls {
                        None => served.converse(stream, peer, watcher).await,
                        Some(tls) => served.converse_in_private(&tls, stream, peer, watcher, stop).await,
                    }
                    drop(place);
                });
            }
            // The semaphore is never closed.
            (Err(_), _) => break,
            (Ok(_), Err(error)) => {
                tracing::warn!(%error, "the admin API could not accept a connection");
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
    // From here on a client is told that nobody listens, rather than left waiting.
    drop(listener);
    if tokio::time::timeout(DRAIN, connections.shutdown()).await.is_err() {
        tracing::warn!("requests to the admin API were cut off");
    }
}

impl Served {
    /// Shakes hands with whoever has connected, and serves them.
    async fn converse_in_private<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        tls: &TlsServer,
        stream: S,
        mut peer: Peer,
        watcher: Watcher,
        stop: CancellationToken,
    ) {
        let handshake = tokio::time::timeout(HEADERS_WITHIN, tls.accept(stream));
        let stream = match stop.run_until_cancelled(handshake).await {
            Some(Ok(Ok(stream))) => stream,
            Some(Ok(Err(error))) => {
                return tracing::debug!(%peer, %error, "no TLS connection to the admin API came about");
            }
            Some(Err(_)) => return tracing::debug!(%peer, "a TLS handshake with the admin API took too long"),
            None => return,
        };
        if let Peer::Network { certificate, .. } = &mut peer {
            *certificate = client_names(&stream);
        }
        self.converse(stream, peer, watcher).await;
    }

    /// Serves one connection.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        stream: S,
        peer: Peer,
        watcher: Watcher,
    ) {
        let answering = TowerToHyperService::new(warp::service(self.filter));
        let pace = Pace::default();
        let service = service_fn({
            let (peer, pace, pages) = (peer.clone(), pace.clone(), self.pages);
            move |mut request: Request<Incoming>| {
                if let Some(pages) = pages.as_ref().filter(|pages| pages.answers(request.uri().path())) {
                    return Arc::clone(pages).answer(request, peer.clone()).map(Ok).left_future();
                }
                request.extensions_mut().insert(peer.clone());
                request.extensions_mut().insert(pace.clone());
                answering.call(request).right_future()
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_WITHIN)
            .max_buf_size(MOST_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        // A client that hangs up, sends nonsense or is slow is its own trouble.
        let mut connection = std::pin::pin!(watcher.watch(connection));
        let mut seen = pace.ticks();
        loop {
            match tokio::time::timeout(CONNECTION_LIFE, &mut connection).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => {
                    tracing::debug!(%peer, %error, "a connection to the admin API ended early");
                    break;
                }
                // What takes long and gets on may.
                Err(_) if pace.ticks() != seen => seen = pace.ticks(),
                Err(_) => {
                    tracing::debug!(%peer, "a connection to the admin API took too long");
                    break;
                }
            }
        }
    }
}
