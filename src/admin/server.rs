//! Serving the admin API on its socket.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{AdminSocket, AdminState, routes};

/// Most connections at a time; more wait in the socket's backlog.
const MOST_CONNECTIONS: usize = 32;
/// How long a client may take to send a request's headers; an idle connection is closed after as long.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// The longest a connection lives, so that none that is stuck holds its place for good.
const CONNECTION_LIFE: Duration = Duration::from_secs(60);
/// How long requests that have begun may take to end when the daemon stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long to wait after the operating system refused a connection, for instance for want of descriptors.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Answers on `socket` until `stop` is cancelled, then ends the requests that have begun.
pub async fn serve(socket: AdminSocket, state: AdminState, stop: CancellationToken) {
    let service = TowerToHyperService::new(warp::service(routes::routes(state)));
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let connections = GracefulShutdown::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, socket.listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accepted => accepted,
        };
        let stream = match stream {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the admin socket could not accept a connection");
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                continue;
            }
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_WITHIN)
            .serve_connection(TokioIo::new(stream), service.clone());
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // A client that hangs up, sends nonsense or is slow is its own trouble.
            match tokio::time::timeout(CONNECTION_LIFE, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a connection to the admin socket ended early"),
                Err(_) => tracing::debug!("a connection to the admin socket took too long"),
            }
            drop(place);
        });
    }
    // From here on a client is told that nobody listens, rather than left waiting.
    drop(socket);
    if tokio::time::timeout(DRAIN, connections.shutdown()).await.is_err() {
        tracing::warn!("requests to the admin socket were cut off");
    }
}
