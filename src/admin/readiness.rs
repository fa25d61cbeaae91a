//! Whether the daemon is ready to receive webhooks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::progress::Progress;
use crate::store::Store;

/// How late the committer may be.
const TOLERANCE: Duration = Duration::from_secs(10);
/// How long the store may take to write something.
const STORE_WITHIN: Duration = Duration::from_secs(5);
/// For how long an answer holds: whoever asks makes the store write no more often than this.
const HOLDS: Duration = Duration::from_secs(2);

/// What receiving webhooks takes. Cheap to clone.
#[derive(Clone)]
pub struct Readiness {
    store: Arc<dyn Store>,
    committer: Progress,
    /// Cancelled when no more webhooks are received.
    stopping: CancellationToken,
    known: Arc<Mutex<Option<Known>>>,
}

/// How writing to the store went, and when.
struct Known {
    at: Instant,
    failure: Option<String>,
}

impl Readiness {
    /// Of a daemon with this store and this committer, that receives webhooks until `stopping` is cancelled.
    pub fn new(store: Arc<dyn Store>, committer: Progress, stopping: CancellationToken) -> Self {
        Self { store, committer, stopping, known: Arc::default() }
    }

    /// Why webhooks cannot be received now; nothing while they can.
    pub(super) async fn obstacles(&self) -> Vec<String> {
        let stopping = self.stopping.is_cancelled().then(|| "the daemon is stopping".to_owned());
        let overdue = self.committer.overdue();
        let overdue = (overdue > TOLERANCE).then(|| {
            format!("the committer has not got on for {} s: does the disk hang?", overdue.as_secs())
        });
        [stopping, overdue, self.store_fails().await].into_iter().flatten().collect()
    }

    async fn store_fails(&self) -> Option<String> {
        let mut known = self.known.lock().await;
        if let Some(Known { at, failure }) = &*known
            && at.elapsed() < HOLDS
        {
            return failure.clone();
        }
        let failure = match timeout(STORE_WITHIN, self.store.can_write()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("the store did not write anything within {} s", STORE_WITHIN.as_secs())),
        };
        *known = Some(Known { at: Instant::now(), failure: failure.clone() });
        failure
    }
}
