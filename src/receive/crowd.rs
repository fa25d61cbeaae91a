//! What a connection may take its time for while others wait for one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// How long a connection may keep others waiting without getting on. Whoever means it sends a message in a fraction of that;
/// and of the ten seconds after which a sender gives up there must be some left.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Whether all connections are taken, so that more may be waiting. Whoever opens many and says nothing on them would keep
/// out everybody else for as long as each of them may take.
#[derive(Clone, Debug)]
pub(super) struct Crowd(Arc<watch::Sender<bool>>);

impl Crowd {
    /// Nobody waits yet.
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Notes whether all connections are taken.
    pub(super) fn say(&self, taken: bool) {
        self.0.send_if_modified(|was| std::mem::replace(was, taken) != taken);
    }

    /// Whether all connections are taken, and when that changes.
    pub(super) fn watch(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }

    /// What comes of `work`; `None` when all connections are taken and it has not ended [`PATIENCE`] later.
    pub(super) async fn hurry<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut watch = self.watch();
        let impatient = async {
            if watch.wait_for(|taken| *taken).await.is_err() {
                std::future::pending::<()>().await;
            }
            sleep(PATIENCE).await;
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = impatient => None,
        }
    }
}
