//! When a commit is on disk.

use tokio::sync::oneshot;

use super::StoreError;

/// A commit on its way to the disk, with everything that was committed before it.
#[derive(Debug)]
pub struct Durability(oneshot::Receiver<Result<(), StoreError>>);

impl Durability {
    /// A commit, and the place where the outcome of the sync goes.
    pub(super) fn pending() -> (oneshot::Sender<Result<(), StoreError>>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }

    /// Waits until the commit is on disk.
    ///
    /// # Errors
    /// When the disk did not take it. Then nothing is known of what was committed lately, and the store takes nothing
    /// more: the process has to start anew, from what is on disk.
    pub async fn reached(self) -> Result<(), StoreError> {
        self.0.await.unwrap_or(Err(StoreError::Closed))
    }
}
