//! What waits for the sinks, and the dead letters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Page, PageToken};
use crate::store::{QueueFilter, QueueItem, QueueState};

/// Where `GET` with a [`QueueQuery`] answers a [`QueuePage`].
pub const QUEUE: &str = "/v1/queue";

/// Where `POST` of a [`Selection`] makes items due now and answers [`Changed`].
pub const QUEUE_RETRY: &str = "/v1/queue/retry";

/// Where `POST` of a [`Selection`] takes items out of their queues and answers [`Changed`].
pub const QUEUE_DROP: &str = "/v1/queue/drop";

/// Which queue items to list; a field that is missing matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueueQuery {
    /// Of one sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Of one user or group, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Waiting, or dead letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<QueueState>,
    /// How many at most: 100 when it is missing, never more than [`LARGEST_PAGE`].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// [`Page::next`] of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<PageToken>,
}

/// One page of queue items: by sink, and within it in the order in which the entities were first heard of.
pub type QueuePage = Page<QueueItem>;

/// Which queue items to change: those that match every field given, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// Of one sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Of one user or group, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Waiting, or dead letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<QueueState>,
    /// Every item of every sink: said in so many words, and without any other field.
    pub all: bool,
}

impl Selection {
    /// The filter that selects these items.
    ///
    /// # Errors
    /// When it is not said which items are meant.
    pub fn filter(self) -> Result<QueueFilter, &'static str> {
        let Selection { sink, id, state, all } = self;
        let narrowed = sink.is_some() || id.is_some() || state.is_some();
        match (narrowed, all) {
            (true, false) | (false, true) => Ok(QueueFilter { sink, id, state, ..QueueFilter::default() }),
            (false, false) => Err("say which items: by sink, id or state, or all of them with all"),
            (true, true) => Err(
                "all means every item of every sink; leave it out where sink, id or state narrow them down",
            ),
        }
    }
}

/// How many queue items were changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// How many.
    pub items: u64,
}
