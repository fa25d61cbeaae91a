//! One connection, from its first byte to its last.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::client::TrustedProxies;
use super::crowd::{Crowd, PATIENCE};
use crate::tls::TlsServer;

/// The largest request head, in bytes; a webhook's has some five hundred.
const MAX_HEAD: usize = 32 * 1024;
const MAX_HEADERS: usize = 64;
/// How many requests may be under way on one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;
/// How long the last words of a connection that is closed for idling may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a connection that is new when the listener stops is given to send its first request. Whoever has just
/// connected is about to, and would take a connection that is closed for a refusal.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// How connections are served: all of them alike.
pub(super) struct Serving {
    http: auto::Builder<TokioExecutor>,
    tls: Option<TlsServer>,
    proxies: Arc<TrustedProxies>,
    filter: BoxedFilter<(Response,)>,
    handshake_timeout: Duration,
    header_timeout: Duration,
    crowd: Crowd,
}

/// How a connection learns that the listener is stopping.
#[derive(Clone, Debug)]
pub(super) struct Stopping {
    /// Finish what is under way, take nothing new.
    pub(super) drain: CancellationToken,
    /// Time is up.
    pub(super) cut: CancellationToken,
}

impl Serving {
    pub(super) fn new(
        filter: BoxedFilter<(Response,)>,
        tls: Option<TlsServer>,
        proxies: TrustedProxies,
        handshake_timeout: Duration,
        header_timeout: Duration,
        crowd: Crowd,
    ) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        // The connection's own watch covers what this timeout would, and HTTP/2 as well.
        http.http1().header_read_timeout(None).max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
        http.http2().max_header_list_size(MAX_HEAD as u32).max_concurrent_streams(MAX_STREAMS);
        Self { http, tls, proxies: Arc::new(proxies), filter, handshake_timeout, header_timeout, crowd }
    }

    /// Serves one connection until it ends, idles for too long, or the listener stops.
    pub(super) async fn serve(&self, stream: TcpStream, peer: SocketAddr, stopping: Stopping) {
        // Answers are small and go out whole: waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else { return self.serve_http(stream, peer, stopping).await };
        let handshake = self.crowd.hurry(timeout(self.handshake_timeout, tls.accept(stream)));
        let accepted = tokio::select! {
            accepted = handshake => accepted,
            () = stopping.cut.cancelled() => return,
            () = async { stopping.drain.cancelled().await; sleep(FIRST_REQUEST).await } => return,
        };
        match accepted {
            Some(Ok(Ok(stream))) => self.serve_http(stream, peer, stopping).await,
            Some(Ok(Err(error))) => debug!(%peer, %error, "no TLS connection came about"),
            Some(Err(_)) => debug!(%peer, "the TLS handshake took longer than listen.handshake_timeout"),
            None => debug!(%peer, "the TLS handshake kept others waiting"),
        }
    }

    async fn serve_http<I>(&self, io: I, peer: SocketAddr, stopping: Stopping)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let activity = Arc::new(Activity::new());
        let answering = TowerToHyperService::new(warp::service(self.filter.clone()));
        let service = service_fn({
            let activity = Arc::clone(&activity);
            let proxies = Arc::clone(&self.proxies);
            move |mut request: http::Request<_>| {
                let busy = Busy::new(&activity);
                let client = proxies.client(peer.ip(), request.headers());
                request.extensions_mut().insert(client);
                let answer = answering.call(request);
                async move {
                    let answer = answer.await;
                    drop(busy);
                    answer
                }
            }
        });
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(io), service));
        let mut idle = pin!(activity.idles_for(self.header_timeout, &self.crowd));
        let mut drain = pin!(activity.drains(&stopping.drain));
        let mut draining = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        debug!(%peer, error, "a connection ended early");
                    }
                    return;
                }
                () = stopping.cut.cancelled() => return,
                () = drain.as_mut(), if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = idle.as_mut() => {
                    debug!(%peer, "no request came within listen.header_timeout, or while others waited");
                    connection.as_mut().graceful_shutdown();
                    let _ = timeout(FAREWELL, connection).await;
                    return;
                }
            }
        }
    }
}

/// What goes on on a connection, so that one on which nothing does can be closed: one that never sent a
/// whole request head, that was left open after its last request, or that never reads its answers.
#[derive(Debug)]
struct Activity {
    opened: Instant,
    /// A request has come.
    used: Notify,
    under_way: AtomicUsize,
    /// When the last request was answered, in milliseconds since the connection was opened.
    last: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        Self {
            opened: Instant::now(),
            used: Notify::new(),
            under_way: AtomicUsize::new(0),
            last: AtomicU64::new(0),
        }
    }

    /// Returns once the listener stops and this connection takes no further request: a new one takes its first.
    async fn drains(&self, stop: &CancellationToken) {
        stop.cancelled().await;
        // It returns at once when there was one before.
        let _ = timeout(FIRST_REQUEST, self.used.notified()).await;
    }

    /// Returns once nothing was under way for `limit`, or for less where others wait for a connection.
    async fn idles_for(&self, limit: Duration, crowd: &Crowd) {
        let mut taken = crowd.watch();
        loop {
            let limit = if *taken.borrow_and_update() { limit.min(PATIENCE) } else { limit };
            let now = Instant::now();
            let idle_since = match self.under_way.load(Ordering::Acquire) {
                0 => self.opened + Duration::from_millis(self.last.load(Ordering::Acquire)),
                _ => now,
            };
            let until = idle_since + limit;
            if until <= now {
                return;
            }
            tokio::select! {
                () = sleep_until(until) => {}
                Ok(()) = taken.changed() => {}
            }
        }
    }
}

/// One request under way.
struct Busy(Arc<Activity>);

impl Busy {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.under_way.fetch_add(1, Ordering::AcqRel);
        activity.used.notify_one();
        Self(Arc::clone(activity))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let open = self.0.opened.elapsed().as_millis();
        self.0.last.store(u64::try_from(open).unwrap_or(u64::MAX), Ordering::Release);
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}
