//! Answers that take long: as long as one gets on it may, and one that is stuck is cut off.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::stream;
use http::{HeaderValue, header};
use tokio::io::AsyncReadExt as _;
use warp::Reply as _;
use warp::reply::Response;

use super::refusal::Refusal;
use crate::store::{Snapshot, StoreError};

/// How much of a file is sent at once, in bytes.
const PIECE: usize = 256 * 1024;
/// How often it is said that work goes on.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// Says that a request gets on, though its answer takes long. Each connection has one.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace(Arc<AtomicU64>);

impl Pace {
    /// Grows as long as something gets on.
    pub(super) fn ticks(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn tick(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits for work whose time is bounded by the size of what it is about.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            match tokio::time::timeout(SIGN_OF_LIFE, &mut work).await {
                Ok(done) => return done,
                Err(_) => self.tick(),
            }
        }
    }
}

/// A copy of the store as an answer. It is read as fast as the client takes it.
pub(super) fn download(
    snapshot: Snapshot,
    pace: Pace,
    content_type: &'static str,
) -> Result<Response, Refusal> {
    let file = snapshot.file.try_clone().map_err(|error| StoreError::Failed(error.to_string()))?;
    let (file, bytes) = (tokio::fs::File::from_std(file), snapshot.bytes);
    let pieces = stream::try_unfold((file, snapshot, pace), |(mut file, snapshot, pace)| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = file.read_buf(&mut piece).await?;
        pace.tick();
        Ok::<_, io::Error>((read > 0).then(|| (piece.freeze(), (file, snapshot, pace))))
    });
    let mut response = warp::reply::stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_LENGTH, bytes.into());
    Ok(response)
}
