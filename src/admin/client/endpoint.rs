//! Where a daemon is asked, and how a request gets there.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

use super::error::ClientError;
use super::remote::{AdminUrl, Connected, Remote};

/// Where a daemon is asked.
#[derive(Clone, Debug)]
pub(super) enum Endpoint {
    /// On this host.
    Socket(PathBuf),
    /// On the network.
    Network(Remote),
}

/// Where a daemon is asked, as people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The socket's path.
    Socket(PathBuf),
    /// An address on the network.
    Url(AdminUrl),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Socket(path) => path.display().fmt(f),
            Address::Url(url) => url.fmt(f),
        }
    }
}

/// An answer as far as its head, with what reads the rest of it.
pub(super) type Opened = (Response<Incoming>, AbortOnDropHandle<()>);

impl Endpoint {
    pub(super) fn address(&self) -> Address {
        match self {
            Endpoint::Socket(path) => Address::Socket(path.clone()),
            Endpoint::Network(remote) => Address::Url(remote.url().clone()),
        }
    }

    /// Sends the request over a connection of its own.
    pub(super) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Opened, ClientError> {
        match self {
            Endpoint::Socket(path) => {
                request.headers_mut().insert(header::HOST, HeaderValue::from_static("rolecall"));
                let stream = UnixStream::connect(path)
                    .await
                    .map_err(|error| ClientError::Unreachable { at: self.address(), error })?;
                self.exchange(stream, request).await
            }
            Endpoint::Network(remote) => {
                remote.say_who_asks(request.headers_mut());
                match remote.connect().await? {
                    Connected::Plain(stream) => self.exchange(stream, request).await,
                    Connected::Tls(stream) => self.exchange(stream, request).await,
                }
            }
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        request: Request<Full<Bytes>>,
    ) -> Result<Opened, ClientError> {
        // A server that does not take a client's certificate says so only when it is asked something (RFC 8446 §4.6.2).
        let failed = |error: hyper::Error| {
            let otherwise = || ClientError::Odd { at: self.address(), what: error.to_string() };
            ClientError::of_tls(self.address(), &error).unwrap_or_else(otherwise)
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        // How the connection ended is seen by what was read from it.
        let connection = tokio::spawn(async move { drop(connection.await) });
        let connection = AbortOnDropHandle::new(connection);
        let response = sender.send_request(request).await.map_err(failed)?;
        Ok((response, connection))
    }
}
