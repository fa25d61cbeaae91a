//! The receiver on real sockets, with a store that the test plays.

mod answers;
mod limits;
mod transport;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rolecall_sink_api::{Secret, Timespan};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::signature::{ID_HEADER, SIGNATURE_HEADER, SignedHeaders, SigningKey, TIMESTAMP_HEADER, Verifier};
use super::*;
use crate::source::{Reading, Scalekit};
use crate::store::{Intake, Receipt, Submission};
use crate::traces::Traces;

const SECRET: &str = "whsec_cm9sZWNhbGwtc2lnbmF0dXJlLXRlc3Qta2V5LTAwMDE=";

/// A message about a user, as Scalekit sends it.
const USER: &str = r#"{"id":"evt_7","type":"organization.directory.user_created","data":{"id":"diruser_1"}}"#;

/// How long a test waits for what must happen before it says that it did not.
const PATIENCE: Duration = Duration::from_secs(20);

fn now() -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap()
}

fn key() -> SigningKey {
    SigningKey::new(&Secret::new(SECRET)).unwrap()
}

/// The configuration of a receiver on a free port, with limits that no test meets by accident.
fn config() -> ListenConfig {
    ListenConfig { address: "127.0.0.1:0".parse().unwrap(), ..ListenConfig::default() }
}

fn source() -> NamedSource {
    NamedSource {
        name: "scalekit".to_owned().try_into().unwrap(),
        verifier: Verifier::new(vec![key()], SignedDuration::from_secs(300)),
        source: Arc::new(Scalekit),
    }
}

/// A receiver that serves.
struct Daemon {
    address: SocketAddr,
    counts: Arc<Acknowledgements>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Daemon {
    /// A receiver whose messages the test takes and answers.
    async fn with_store(config: ListenConfig) -> (Self, mpsc::Receiver<Submission>) {
        let (intake, submissions) = Intake::new(16);
        let receiver = Receiver::new(config, vec![source()], intake, now, Traces::default()).unwrap();
        let counts = receiver.acknowledgements();
        let bound = receiver.bind(None).await.unwrap();
        let address = bound.local_addr();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(bound.serve(stop.clone()));
        (Self { address, counts, stop, serving }, submissions)
    }

    /// A receiver whose messages are all stored at once.
    async fn start(config: ListenConfig) -> Self {
        let (daemon, mut submissions) = Self::with_store(config).await;
        tokio::spawn(async move {
            while let Some(Submission { message, answer }) = submissions.recv().await {
                let _ = answer.send(Ok(receipt(&message.reading)));
            }
        });
        daemon
    }

    /// Sends `body` to the source, signed now.
    async fn send(&self, body: impl Into<Vec<u8>>) -> Heard {
        let body = body.into();
        let headers = key().sign("msg_1", now(), &body);
        self.post("/webhooks/scalekit", &headers, body).await
    }

    async fn post(&self, path: &str, headers: &SignedHeaders, body: Vec<u8>) -> Heard {
        let request = client().post(format!("http://{}{path}", self.address));
        hear(signed(request, headers).header("content-type", "application/json").body(body)).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Stops the receiver and waits until it has.
    async fn stopped(self) {
        self.stop.cancel();
        in_time(self.serving).await.unwrap();
    }
}

/// What the store says of a message that it had not seen before.
fn receipt(reading: &Reading) -> Receipt {
    match reading {
        Reading::Event { .. } => Receipt::Committed,
        Reading::Ignored { .. } => Receipt::Ignored,
        Reading::Unreadable { reason, .. } => Receipt::Unreadable(reason.clone()),
    }
}

/// A response, read to its end.
#[derive(Debug)]
struct Heard {
    status: u16,
    headers: reqwest::header::HeaderMap,
    version: reqwest::Version,
    body: Value,
}

impl Heard {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

fn signed(request: reqwest::RequestBuilder, headers: &SignedHeaders) -> reqwest::RequestBuilder {
    request
        .header(ID_HEADER, &headers.id)
        .header(TIMESTAMP_HEADER, &headers.timestamp)
        .header(SIGNATURE_HEADER, &headers.signature)
}

async fn hear(request: reqwest::RequestBuilder) -> Heard {
    let response = in_time(request.send()).await.unwrap();
    let (status, version) = (response.status().as_u16(), response.version());
    let headers = response.headers().clone();
    let body = in_time(response.bytes()).await.unwrap();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Heard { status, headers, version, body }
}

/// A client that knows no proxy, whatever the environment says.
fn client() -> reqwest::Client {
    client_builder(rustls::RootCertStore::empty(), "http/1.1").build().unwrap()
}

/// A client that trusts `roots` and offers the protocol `alpn` over TLS.
fn client_builder(roots: rustls::RootCertStore, alpn: &str) -> reqwest::ClientBuilder {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.into()];
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls)
}

/// The request of a signed message as it goes over the wire, to be sent piece by piece.
fn wire(headers: &SignedHeaders, body: &str) -> String {
    format!(
        "POST /webhooks/scalekit HTTP/1.1\r\nhost: rolecall\r\ncontent-type: application/json\r\n\
         {ID_HEADER}: {}\r\n{TIMESTAMP_HEADER}: {}\r\n{SIGNATURE_HEADER}: {}\r\ncontent-length: {}\r\n\r\n{body}",
        headers.id,
        headers.timestamp,
        headers.signature,
        body.len()
    )
}

/// All that the other side still says before it closes the connection.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A reset closes it as well.
    let _ = in_time(stream.read_to_end(&mut said)).await;
    String::from_utf8(said).unwrap()
}

async fn write(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it did not happen in time")
}

const fn millis(millis: u64) -> Timespan {
    Timespan::from_millis(millis)
}
