//! Reading stored messages again: what could not be read when it came may be readable after an upgrade.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::NamedSource;
use crate::directory::EventId;
use crate::source::{Reading, Source, SourceName, Verified};
use crate::store::{
    EventCursor, EventFilter, Found, Intake, JournalEntry, JournalStatus, Message, Receipt, Store,
    StoreError, Unavailable, WeakIntake,
};

/// How many messages are read again at a time, and so how many bodies are held at most beside those that are
/// being received.
const BATCH: u32 = 16;
/// How long to wait when a batch could not be stored at the start.
const PAUSE: Duration = Duration::from_secs(30);

/// What became of a message that was read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// A message that was read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayedEvent {
    /// The id under which it was journalled.
    pub id: String,
    /// The source it came through.
    pub source: String,
    /// What became of it.
    #[serde(flatten)]
    pub replayed: Replayed,
}

/// Some messages that were read again.
#[derive(Clone, Debug, Default)]
pub struct ReplayedBatch {
    /// Each.
    pub events: Vec<ReplayedEvent>,
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

    /// What this version makes of a journalled message. Changes nothing.
    pub fn read(&self, entry: &JournalEntry) -> Reading {
        let Some(source) = self.sources.get(entry.source.as_str()) else {
            return Reading::Unreadable {
                id: entry.id.clone(),
                kind: entry.kind.clone(),
                reason: format!("no source is named {} any more (sources)", entry.source),
            };
        };
        source.read(Verified { message_id: &entry.message_id, signed_at: entry.signed_at, body: &entry.body })
    }

    /// Reads a journalled message again and stores what it says.
    ///
    /// # Errors
    /// When the store fails or the daemon is stopping.
    pub async fn event(&self, entry: JournalEntry) -> Result<ReplayedEvent, ReplayError> {
        let (id, source) = (entry.id.as_str().to_owned(), entry.source.clone());
        Ok(ReplayedEvent { id, source, replayed: self.again(entry).await? })
    }

    async fn again(&self, entry: JournalEntry) -> Result<Replayed, ReplayError> {
        if !matches!(entry.status, JournalStatus::Unreadable(_)) {
            return Ok(Replayed::Known);
        }
        let reading = self.read(&entry);
        if let Reading::Unreadable { reason, .. } = reading {
            return Ok(Replayed::Unreadable { reason });
        }
        let (id, source) = (entry.id, entry.source);
        let read_as = reading.id().clone();
        let message = Message {
            source: source.clone(),
            message_id: entry.message_id,
            signed_at: entry.signed_at,
            received_at: entry.received_at,
            reading,
            body: entry.body,
        };
        let intake = self.intake.upgrade().ok_or_else(|| Unavailable("the daemon is stopping".into()))?;
        let receipt = intake.submit(message).await?;
        if read_as != id {
            // It was journalled under the message's id, since its own could not be read.
            self.store.forget_unreadable(&id, &source).await?;
        }
        Ok(match receipt {
            Receipt::Committed => Replayed::Merged,
            Receipt::Ignored => Replayed::Ignored,
            Receipt::Duplicate => Replayed::Known,
            Receipt::Unreadable(reason) => Replayed::Unreadable { reason },
        })
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
        let Found { items, next } = self.store.events(&EventFilter::unreadable(source), after, BATCH).await?;
        // At once, so that they share transactions.
        let read = items.into_iter().map(|item| async move {
            // It may have been read, or sent again, meanwhile.
            let entry = self.store.event(&EventId::new(item.id), Some(&item.source)).await?.pop();
            match entry {
                Some(entry) => self.event(entry).await.map(Some),
                None => Ok::<_, ReplayError>(None),
            }
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
                    for event in &batch.events {
                        match event.replayed {
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
