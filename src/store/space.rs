//! Room on the disk: told before it is gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Store;

/// How often it is looked.
const INTERVAL: Duration = Duration::from_secs(10);
/// How often it is said again, as long as there is little room.
const AGAIN: Duration = Duration::from_secs(60 * 60);
/// However small the store is, less than this is little, in bytes.
const LITTLE: u64 = 256 * 1024 * 1024;
/// Little too is less than this part of what the store takes.
const PART: u64 = 10;

/// How much room there is where the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What may still be written, in bytes.
    pub free: u64,
    /// What the store takes, in bytes.
    pub store: u64,
}

impl Space {
    /// Whether somebody should make room: there are less than 256 MiB, or less than a tenth of what the store takes.
    pub fn is_low(self) -> bool {
        self.free < Self::enough(self.store)
    }

    /// From how many free bytes on nobody need make room, where the store takes so many.
    pub(super) fn enough(store: u64) -> u64 {
        LITTLE.max(store / PART)
    }
}

/// Says when there is little room, and when there is enough again, until `stop` is cancelled.
pub async fn watch_space(store: Arc<dyn Store>, stop: CancellationToken) {
    let mut said: Option<Instant> = None;
    loop {
        match store.space().await {
            Ok(Space { free, store }) if (Space { free, store }).is_low() => {
                if said.is_none_or(|said| said.elapsed() >= AGAIN) {
                    tracing::warn!(
                        free,
                        store,
                        "the disk that the store is on is nearly full: when it is, messages are turned away until there is room"
                    );
                    said = Some(Instant::now());
                }
            }
            Ok(Space { free, .. }) => {
                if said.take().is_some() {
                    tracing::info!(free, "the disk that the store is on has room again");
                }
            }
            Err(error) => tracing::debug!(%error, "cannot ask for the room on the disk"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_room_is_told_by_what_the_store_takes() {
        const GIB: u64 = 1024 * 1024 * 1024;
        let is_low = |free, store| Space { free, store }.is_low();
        assert!(is_low(255 * 1024 * 1024, 0));
        assert!(!is_low(GIB, GIB));
        assert!(is_low(GIB, 11 * GIB));
    }
}
