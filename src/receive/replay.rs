//! Reading stored messages again: what could not be read when it came may be readable after an upgrade.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::NamedSource;
use crate::directory::EventId;
use crate::source::{Reading, Source, SourceName, Verified};
use crate::store::{
    EventCursor, EventFilter, EventStatus, Intake, JournalStatus, Message, Receipt, Store, StoreError,
    Unavailable, WeakIntake,
};

/// How many messages are read again at a time, and so how many bodies are held at most beside those that are
/// being received.
const BATCH: u32 = 16;
/// How long to wait when a batch could not be stored at the start.
const PAUSE: Duration = Duration::from_secs(30);

/// What became of a message that was read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Replayed {
    /// Its facts are in the directory now, and in every sink's queue.
    Merged,
    /// It has nothing to do with a directory.
    Ignored,
    /// The event was read before; nothing changed.
    Known,
    /// This version cannot read it either.
    Unreadable {
        /// Why.
        reason: String,
    },
}

/// Some messages that were read again.
#[derive(Clone, Debug, Default)]
pub struct ReplayedBatch {
    /// What became of each, by the id under which it was journalled.
    pub events: Vec<(EventId, Replayed)>,
    /// Where to go on; `None` when these were the last.
    pub next: Option<EventCursor>,
}

/// Why messages could not be read again now. Those that were stay so, and to read one twice does no harm.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The journal could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was read could not be stored.
    #[error("what was read again could not be stored: {0}")]
    Unavailable(#[from] Unavailable),
}

/// Reads stored messages again, with the sources of this version. What can be read goes the way of a message that
/// has just been received. Cloning is cheap.
#[derive(Clone)]
pub struct Replay {
    store: Arc<dyn Store>,
    sources: Arc<BTreeMap<SourceName, Arc<dyn Source>>>,
    intake: WeakIntake,
}

impl Replay {
    /// A replay of what came through `sources`. It does not keep the committer behind `intake` from ending.
    pub fn new(store: &Arc<dyn Store>, sources: &[NamedSource], intake: &Intake) -> Self {
        let named = |source: &NamedSource| (source.name.clone(), Arc::clone(&source.source));
        Self {
            store: Arc::clone(store),
            sources: Arc::new(sources.iter().map(named).collect()),
            intake: intake.downgrade(),
        }
    }

    /// Reads one message again; `None` when the journal does not hold it.
    ///
    /// # Errors
    /// When the store fails or the daemon is stopping.
    pub async fn event(&self, id: &EventId) -> Result<Option<Replayed>, ReplayError> {
        let Some(entry) = self.store.event(id).await? else { return Ok(None) };
        if !matches!(entry.status, JournalStatus::Unreadable(_)) {
            return Ok(Some(Replayed::Known));
        }
        let Some(source) = self.sources.get(entry.source.as_str()) else {
            let reason = format!("no source is named {} any more (sources)", entry.source);
            return Ok(Some(Replayed::Unreadable { reason }));
        };
        let verified =
            Verified { message_id: &entry.message_id, signed_at: entry.signed_at, body: &entry.body };
        let reading = source.read(verified);
        if let Reading::Unreadable { reason, .. } = reading {
            return Ok(Some(Replayed::Unreadable { reason }));
        }
        let read_as = reading.id().clone();
        let message = Message {
            source: entry.source,
            message_id: entry.message_id,
            signed_at: entry.signed_at,
            received_at: entry.received_at,
            reading,
            body: entry.body,
        };
        let intake = self.intake.upgrade().ok_or_else(|| Unavailable("the daemon is stopping".into()))?;
        let receipt = intake.submit(message).await?;
        if read_as != *id {
            // It was journalled under the message's id, since its own could not be read.
            self.store.forget_unreadable(id).await?;
        }
        Ok(Some(match receipt {
            Receipt::Committed => Replayed::Merged,
            Receipt::Ignored => Replayed::Ignored,
            Receipt::Duplicate => Replayed::Known,
            Receipt::Unreadable(reason) => Replayed::Unreadable { reason },
        }))
    }

    /// Reads the next unreadable messages again, newest first: of one source or of all, behind `after`.
    ///
    /// # Errors
    /// When the store fails or the daemon is stopping.
    pub async fn unreadable(
        &self,
        source: Option<String>,
        after: Option<EventCursor>,
    ) -> Result<ReplayedBatch, ReplayError> {
        let filter = EventFilter { status: Some(EventStatus::Unreadable), source, after };
        let items = self.store.events(&filter, BATCH).await?;
        let next = items.last().filter(|_| items.len() == BATCH as usize).map(|item| item.cursor);
        // At once, so that they share transactions.
        let read = items.into_iter().map(|item| async move {
            let id = EventId::new(item.id);
            let replayed = self.event(&id).await?;
            Ok::<_, ReplayError>(replayed.map(|replayed| (id, replayed)))
        });
        let read = join_all(read).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(ReplayedBatch { events: read.into_iter().flatten().collect(), next })
    }

    /// Reads all unreadable messages again, as after an upgrade, and ends when `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        // In a task of its own: a message that brings its reader down must not end every start of the daemon.
        let everything = {
            let stop = stop.clone();
            tokio::spawn(async move { self.everything(&stop).await })
        };
        if everything.await.is_err() {
            error!("reading unreadable messages again broke off: a bug; the others are left as they are");
        }
        stop.cancelled().await;
    }

    /// Reads all unreadable messages again, once; ends early when `stop` is cancelled.
    pub async fn everything(&self, stop: &CancellationToken) {
        let (mut read, mut unreadable) = (0_u64, 0_u64);
        let mut after = None;
        while !stop.is_cancelled() {
            match self.unreadable(None, after).await {
                Ok(batch) => {
                    for (_, replayed) in &batch.events {
                        match replayed {
                            Replayed::Unreadable { .. } => unreadable += 1,
                            Replayed::Merged | Replayed::Ignored | Replayed::Known => read += 1,
                        }
                    }
                    after = batch.next;
                    if after.is_none() {
                        break;
                    }
                }
                Err(error) => {
                    warn!(%error, "unreadable messages could not be read again; trying again in {PAUSE:?}");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = sleep(PAUSE) => {}
                    }
                }
            }
        }
        if read > 0 {
            info!(read, "messages that could not be read when they came have been read now");
        }
        if unreadable > 0 {
            warn!(unreadable, "messages are kept that cannot be read: rolecall events list --unreadable");
        }
    }
}
