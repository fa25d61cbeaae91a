//! Whether a part of the daemon gets on. It says again and again when it will be heard of next; whoever watches sees that
//! it was not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When a part is heard of again. The part has one, and whoever watches it a clone.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    /// Of a part that begins now.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// Says that the part gets on, and is heard of again after at most this time, unless something hangs.
    pub fn within(&self, time: Duration) {
        *self.lock() = Instant::now() + time;
    }

    /// For how long the part should have been heard of; nothing while all is well.
    pub fn overdue(&self) -> Duration {
        self.lock().elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_heard_of_is_overdue_only_after_the_time_they_named() {
        let progress = Progress::new();
        let watched = progress.clone();
        progress.within(Duration::from_secs(3600));
        assert_eq!(watched.overdue(), Duration::ZERO);
        progress.within(Duration::ZERO);
        while watched.overdue().is_zero() {
            std::thread::yield_now();
        }
    }
}
