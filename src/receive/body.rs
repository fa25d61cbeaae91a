//! Reading a request's body: bounded in size, in time, and in what all bodies take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use tokio::time::timeout;

/// How much of a body that is too large is read to its end, in multiples of what is allowed: a sender that
/// is cut off while it still sends may never see the answer that says why.
const READ_ON: usize = 4;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoBody {
    #[error("its body is larger than {0} bytes (listen.max_body_bytes)")]
    TooLarge(usize),
    #[error("its body did not arrive within {0:?} (listen.body_timeout)")]
    Slow(Duration),
    #[error("its body did not arrive while others waited for a connection (listen.max_connections)")]
    Crowded,
    #[error("its sender stopped in the middle of the body")]
    Broken,
    #[error("messages of {0} bytes are being held already (listen.max_held_bytes)")]
    Full(usize),
}

/// The memory that all bodies share.
#[derive(Debug)]
pub(super) struct Held {
    bytes: AtomicUsize,
    max: usize,
}

impl Held {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { bytes: AtomicUsize::new(0), max })
    }
}

/// A part of the shared memory; given back when dropped.
#[derive(Debug)]
struct Share {
    of: Arc<Held>,
    bytes: usize,
}

impl Share {
    fn grow(&mut self, by: usize) -> Result<(), NoBody> {
        let before = self.of.bytes.fetch_add(by, Ordering::Relaxed);
        self.bytes += by;
        if before + by > self.of.max { Err(NoBody::Full(self.of.max)) } else { Ok(()) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A whole body, and its share of the memory.
struct HeldBody {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for HeldBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body to its end. Its share of the memory goes where the body goes, and is given back with the last
/// of it: a message may wait for the store long after its sender was told to send it again.
pub(super) async fn read<S, B, E>(
    stream: S,
    max: usize,
    within: Duration,
    held: &Arc<Held>,
) -> Result<Bytes, NoBody>
where
    S: Stream<Item = Result<B, E>>,
    B: Buf,
{
    timeout(within, collect(stream, max, held)).await.unwrap_or(Err(NoBody::Slow(within)))
}

async fn collect<S, B, E>(stream: S, max: usize, held: &Arc<Held>) -> Result<Bytes, NoBody>
where
    S: Stream<Item = Result<B, E>>,
    B: Buf,
{
    let mut stream = std::pin::pin!(stream);
    let mut share = Share { of: Arc::clone(held), bytes: 0 };
    // Most bodies arrive in one piece, which is kept as it is.
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let mut chunk = chunk.map_err(|_| NoBody::Broken)?;
        let length = chunk.remaining();
        if share.bytes + length > max {
            drop((first, rest, share));
            read_on(stream, max.saturating_mul(READ_ON)).await;
            return Err(NoBody::TooLarge(max));
        }
        share.grow(length)?;
        if first.is_empty() {
            first = chunk.copy_to_bytes(length);
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&chunk.copy_to_bytes(length));
        }
    }
    let bytes = if rest.is_empty() { first } else { rest.freeze() };
    Ok(Bytes::from_owner(HeldBody { bytes, _share: share }))
}

/// Throws away what still comes, up to `most` bytes.
async fn read_on<S, B, E>(mut stream: std::pin::Pin<&mut S>, most: usize)
where
    S: Stream<Item = Result<B, E>>,
    B: Buf,
{
    let mut seen = 0;
    while seen < most {
        match stream.next().await {
            Some(Ok(chunk)) => seen += chunk.remaining(),
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream::iter;

    use super::*;

    async fn read_chunks(chunks: &[&'static str], max: usize, held: &Arc<Held>) -> Result<Bytes, NoBody> {
        let chunks = chunks.iter().map(|chunk| Ok::<_, Infallible>(Bytes::from_static(chunk.as_bytes())));
        read(iter(chunks), max, Duration::from_secs(60), held).await
    }

    #[tokio::test]
    async fn a_body_is_whole_however_it_arrives() {
        let held = Held::new(100);
        for chunks in [&["hello world"][..], &["hello", " ", "world"], &["", "hello", "", " world"]] {
            assert_eq!(read_chunks(chunks, 11, &held).await.unwrap(), "hello world");
        }
        assert_eq!(read_chunks(&[], 11, &held).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_byte_too_many_is_too_large() {
        let held = Held::new(100);
        assert_eq!(read_chunks(&["hello", " world"], 10, &held).await.unwrap_err(), NoBody::TooLarge(10));
    }

    #[tokio::test]
    async fn all_bodies_share_one_memory_and_give_it_back() {
        let held = Held::new(10);
        let first = read_chunks(&["eight by"], 8, &held).await.unwrap();
        assert_eq!(read_chunks(&["abc"], 8, &held).await.unwrap_err(), NoBody::Full(10));
        let second = read_chunks(&["ab"], 8, &held).await.unwrap();
        let part = first.slice(2..4);
        drop((first, second));
        assert_eq!(held.bytes.load(Ordering::Relaxed), 8);
        drop(part);
        assert_eq!(held.bytes.load(Ordering::Relaxed), 0);
        assert!(read_chunks(&["eight by"], 8, &held).await.is_ok());
    }
}
