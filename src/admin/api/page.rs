//! What all of the API shares.

use jiff::Timestamp;
use rolecall_sink_api::Moment;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Most items on one page of a listing.
pub const LARGEST_PAGE: u32 = 1000;

/// A body that says nothing more: `{}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NothingMore {}

/// One page of a listing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// When the daemon answered, by its own clock.
    #[schemars(with = "Moment")]
    pub now: Timestamp,
    /// The items.
    pub items: Vec<T>,
    /// Hand this back as `after` for the next page; none on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<PageToken>,
}

/// The end of a page. Opaque: it means something to the daemon that wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PageToken(String);

impl PageToken {
    /// One that is handed back.
    pub fn received(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// To be handed back.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(in crate::admin) fn new(cursor: &impl Serialize) -> Option<Self> {
        serde_json::to_string(cursor).ok().map(Self)
    }

    pub(in crate::admin) fn cursor<C: DeserializeOwned>(&self) -> Option<C> {
        serde_json::from_str(&self.0).ok()
    }
}
