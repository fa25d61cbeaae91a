//! Reading an HTTP/1.1 response, as little as the driver needs.
//!
//! The driver shares two cores with the daemon that it measures, so whatever it spends is missing there. A request is
//! one write of a buffer that is ready, a response is usually one read, and all that matters of it is the status and
//! where it ends. A general client would allocate, parse and copy for every message.

use anyhow::{Context, bail};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest response that is read.
const MAX_RESPONSE: usize = 64 * 1024;

/// What the driver wants to know of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Whether another request may follow on the connection.
    pub keep_alive: bool,
}

/// Reads responses, one after another; what it holds is at most one.
#[derive(Default)]
pub struct Responses {
    buffer: Vec<u8>,
}

impl Responses {
    /// Reads the next response, body included.
    ///
    /// # Errors
    /// When the connection ends early, or what comes is not a response with `Content-Length` (or without a body).
    pub async fn next_response(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<Response> {
        self.buffer.clear();
        let mut searched = 0;
        let head = loop {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection ended before the answer");
            }
            let found = self.buffer[searched..].windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(at) = found {
                break searched + at + 4;
            }
            if self.buffer.len() > MAX_RESPONSE {
                bail!("the answer's head is longer than {MAX_RESPONSE} bytes");
            }
            searched = self.buffer.len().saturating_sub(3);
        };
        let (response, length) = parse(&self.buffer[..head])?;
        if length > MAX_RESPONSE {
            bail!("the answer's body is longer than {MAX_RESPONSE} bytes");
        }
        while self.buffer.len() < head + length {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection ended within the answer's body");
            }
        }
        if self.buffer.len() > head + length {
            bail!("more came than was asked for");
        }
        Ok(response)
    }
}

/// A response's head, and the length of the body that follows it.
fn parse(head: &[u8]) -> anyhow::Result<(Response, usize)> {
    let head = std::str::from_utf8(head).context("the answer's head is not text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let status = status.context("the answer does not begin with an HTTP/1.1 status")?;
    let (mut length, mut keep_alive) = (0, true);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().context("the answer's Content-Length is no number")?;
        } else if name.eq_ignore_ascii_case("connection") {
            keep_alive = !value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            bail!("the answer has no Content-Length");
        }
    }
    Ok((Response { status, keep_alive }, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut bytes: &[u8]) -> anyhow::Result<Response> {
        Responses::default().next_response(&mut bytes).await
    }

    #[tokio::test]
    async fn a_response_ends_where_its_length_says_however_it_is_cut() {
        let (mut near, mut far) = tokio::io::duplex(3);
        let sent = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        let mut responses = Responses::default();
        for _ in 0..2 {
            let sending = tokio::io::AsyncWriteExt::write_all(&mut far, sent);
            let (response, sent) = tokio::join!(responses.next_response(&mut near), sending);
            sent.unwrap();
            assert_eq!(response.unwrap(), Response { status: 200, keep_alive: true });
        }
    }

    #[tokio::test]
    async fn closing_and_nonsense_are_noticed() {
        let closing =
            read(b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        assert_eq!(closing, Response { status: 503, keep_alive: false });
        for wrong in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx",
            b"SSH-2.0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            assert!(read(wrong).await.is_err(), "{:?}", String::from_utf8_lossy(wrong));
        }
    }
}
