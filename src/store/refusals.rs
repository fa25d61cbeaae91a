//! Telling that messages are turned away, without a line for each of them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::StoreError;

/// How often it is said, as long as it goes on: senders send again, and more come.
const AGAIN: Duration = Duration::from_secs(60);

/// What was said of messages that could not be stored.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Option<Said>>);

#[derive(Debug)]
struct Said {
    at: Instant,
    /// Messages that were turned away since it began.
    messages: usize,
}

impl Refusals {
    /// So many messages were turned away.
    pub(super) fn add(&self, error: &StoreError, messages: usize) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let so_far = said.as_ref().map_or(0, |said| said.messages) + messages;
        let at = match said.as_ref() {
            Some(said) if said.at.elapsed() < AGAIN => said.at,
            _ => {
                tracing::error!(%error, messages = so_far, "messages could not be stored; their sender will send them again");
                Instant::now()
            }
        };
        *said = Some(Said { at, messages: so_far });
    }

    /// Messages are stored.
    pub(super) fn over(&self) {
        if let Some(Said { messages, .. }) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            tracing::info!(turned_away = messages, "messages are stored again");
        }
    }
}
