//! What sinks' safeguards hold, and what a person decides of it.

use jiff::Timestamp;
use rolecall_sink_api::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Page, PageToken};
use crate::store::{HeldItem, Hold, HoldId};

/// Where `GET` with a [`HoldsQuery`] answers a [`HoldsPage`].
pub const HOLDS: &str = "/v1/holds";

/// Where `GET` with a [`HoldQuery`] answers a [`HoldDetail`].
pub const HOLD: &str = "/v1/holds/{id}";

/// Where `POST` of [`NothingMore`](super::NothingMore) hands what is held to the sink, and answers [`HoldDecided`].
pub const HOLD_APPROVE: &str = "/v1/holds/{id}/approve";

/// Where `POST` of [`NothingMore`](super::NothingMore) gives up what is held, and answers [`HoldDecided`].
pub const HOLD_REJECT: &str = "/v1/holds/{id}/reject";

/// Which holds to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HoldsQuery {
    /// Of one sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Those too that were decided, or emptied by themselves.
    pub all: bool,
    /// How many at most: 100 when it is missing, never more than [`LARGEST_PAGE`](super::LARGEST_PAGE).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// [`Page::next`] of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<PageToken>,
}

/// One page of holds, newest first.
pub type HoldsPage = Page<Hold>;

/// Which hold is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldPath {
    /// Its number.
    pub id: HoldId,
}

/// Which hold to show, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldQuery {
    /// Its number.
    pub id: HoldId,
    /// How many changes at most: 100 when it is missing, never more than [`LARGEST_PAGE`](super::LARGEST_PAGE).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// [`HoldDetail::next`] of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<PageToken>,
}

/// A hold, and who is in it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HoldDetail {
    /// When the daemon answered, by its own clock.
    #[schemars(with = "Moment")]
    pub now: Timestamp,
    /// The hold.
    pub hold: Hold,
    /// What is in it, in the order in which the users were first heard of, and what each of them would lose.
    pub items: Vec<HeldItem>,
    /// Hand this back as `after` for more of it; none when that is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<PageToken>,
}

/// What became of a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HoldDecided {
    /// The hold as it is now.
    pub hold: Hold,
    /// How many changes were handed to the sink's queue, or given up.
    pub changes: u64,
}
