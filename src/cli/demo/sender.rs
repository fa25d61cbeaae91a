//! Sends events as Scalekit does: as signed webhooks, over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::Value;
use tokio::net::TcpStream;

use super::event::Event;
use crate::receive::signature::{ID_HEADER, SIGNATURE_HEADER, SigningKey, TIMESTAMP_HEADER};

/// How long to wait for an answer: longer than the daemon waits for its store.
const WITHIN: Duration = Duration::from_secs(20);
/// The longest answer that is read, in bytes.
const MOST_ANSWER: usize = 64 * 1024;

/// Sends to one source of one daemon.
#[derive(Debug)]
pub(super) struct Sender {
    address: SocketAddr,
    key: SigningKey,
}

/// What the daemon said to a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) code: StatusCode,
    /// `committed`, `duplicate`, …
    pub(super) status: String,
}

impl Sender {
    pub(super) fn new(address: SocketAddr, key: SigningKey) -> Self {
        Self { address, key }
    }

    /// The same, for somebody who does not know the secret.
    pub(super) fn with_key(&self, key: SigningKey) -> Self {
        Self { key, ..*self }
    }

    /// Sends an event. Sent again, it is another attempt at the same message.
    pub(super) async fn send(&self, event: &Event) -> anyhow::Result<Answer> {
        let answer = tokio::time::timeout(WITHIN, self.exchange(event)).await;
        answer
            .unwrap_or_else(|_| Err(anyhow!("no answer within {} s", WITHIN.as_secs())))
            .with_context(|| format!("cannot send {} to the daemon at {}", event.kind, self.address))
    }

    async fn exchange(&self, event: &Event) -> anyhow::Result<Answer> {
        let body = event.body.to_string();
        let signed = self.key.sign(&event.message_id(), Timestamp::now(), body.as_bytes());
        let request = Request::post("/webhooks/scalekit")
            .header(header::HOST, self.address.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .header(ID_HEADER, signed.id)
            .header(TIMESTAMP_HEADER, signed.timestamp)
            .header(SIGNATURE_HEADER, signed.signature)
            .body(Full::new(Bytes::from(body)))?;
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let answer = async {
            let response = sender.send_request(request).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MOST_ANSWER).collect().await.map_err(anyhow::Error::from_boxed)?;
            let body: Value = serde_json::from_slice(&body.to_bytes())?;
            let status = body["status"].as_str().unwrap_or_default().to_owned();
            Ok(Answer { code: head.status, status })
        };
        tokio::pin!(connection);
        tokio::pin!(answer);
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            // The connection is done with once the answer has been read from it.
            _ = &mut connection => answer.await,
        }
    }
}
