//! The application's connections.

use std::fs;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;

use super::resources::Answer;
use super::{Fault, Recorded, Shared};

/// How long a port that is ours may seem taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// Listens on a port of 127.0.0.1 that nobody else may have.
///
/// It can seem taken for a moment all the same: a process that another thread is just starting has a copy of every
/// socket of ours, also of the one that found the port free, until it becomes another program.
pub(crate) async fn listen(port: u16) -> TcpListener {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return listener,
            Err(e) if e.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                sleep(Duration::from_millis(10)).await;
            }
            Err(e) => panic!("cannot listen on 127.0.0.1:{port}: {e}"),
        }
    }
}

/// TLS with the certificate that an authority put into `directory`; where it is asked for, only for clients who have one
/// from the same authority.
pub(super) fn acceptor(directory: &Path, client_certificates: bool) -> TlsAcceptor {
    let read = |name| fs::read(directory.join(name)).expect("the authority wrote it");
    let certificate = CertificateDer::from_pem_slice(&read("server.pem")).expect("the authority writes PEM");
    let key = PrivateKeyDer::from_pem_slice(&read("server.key")).expect("the authority writes PEM");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(&read("ca.pem")).expect("the authority writes PEM");
    roots.add(authority).expect("it is an authority's certificate");
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the protocols' ciphers")
        .with_client_cert_verifier(match client_certificates {
            true => verifier.expect("there is an authority"),
            false => WebPkiClientVerifier::no_client_auth(),
        })
        .with_single_cert(vec![certificate], key)
        .expect("key and certificate belong together");
    TlsAcceptor::from(Arc::new(config))
}

/// Serves until it is dropped, and its connections with it.
pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            match tls {
                None => converse(stream, shared).await,
                // A client that does not trust the certificate ends the handshake; it will say so itself.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        converse(stream, shared).await;
                    }
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(|request| answer(request, Arc::clone(&shared)));
    // An error is a client that went away, or a connection that was closed because a fault said so.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Told to close the connection: what hyper does when a service fails.
#[derive(Debug, thiserror::Error)]
#[error("told to close the connection")]
struct Closed;

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Closed> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let json: Option<Value> = serde_json::from_slice(&body).ok();
    let mut recorded = Recorded {
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: match &json {
            Some(json) => json.clone(),
            None if body.is_empty() => Value::Null,
            None => String::from_utf8_lossy(&body).into(),
        },
        status: None,
    };
    let fault = shared.take_fault();
    let answer = match &fault {
        Some(Fault::Hang | Fault::Close) => None,
        Some(Fault::Answer { status, headers, body }) => {
            Some(Answer { status: *status, headers: headers.clone(), body: Some(body.clone()) })
        }
        None | Some(Fault::LoseAnswer) => Some(shared.answer(&recorded, json.as_ref())),
    };
    let answer = answer.filter(|_| fault != Some(Fault::LoseAnswer));
    recorded.status = answer.as_ref().map(|answer| answer.status);
    shared.requests.send_modify(|requests| requests.push(recorded));

    match answer {
        Some(answer) => Ok(respond(answer)),
        None if fault == Some(Fault::Hang) => std::future::pending().await,
        None => Err(Closed),
    }
}

impl Shared {
    /// What the application says when nothing is told to fail.
    fn answer(&self, request: &Recorded, body: Option<&Value>) -> Answer {
        if let Some(token) = &self.bearer
            && request.header("authorization") != Some(&format!("Bearer {token}"))
        {
            let mut answer = Answer::error(401, "show the bearer token");
            answer.headers.push(("WWW-Authenticate".to_owned(), "Bearer".to_owned()));
            return answer;
        }
        if self.is_too_fast() {
            let mut answer = Answer::error(429, "one at a time");
            answer.headers.push(("Retry-After".to_owned(), "1".to_owned()));
            return answer;
        }
        self.state().resources.handle(&request.method, &request.path, body)
    }
}

fn respond(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    let body = match answer.body {
        Some(body) => {
            response = response.header("Content-Type", "application/json");
            Bytes::from(body.to_string())
        }
        None => Bytes::new(),
    };
    response.body(Full::new(body)).expect("the test gave a status and headers that HTTP has")
}
