//! What was done to whom.

use jiff::Timestamp;
use rolecall_sink_api::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Page, PageToken};
use crate::store::ActivityItem;

/// Where `GET` with an [`ActivityQuery`] answers an [`ActivityPage`].
pub const ACTIVITY: &str = "/v1/activity";

/// Which lines of activity to list; a field that is missing matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ActivityQuery {
    /// In one sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Of one user or group, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// Because of one event that the journal still holds, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Of one kind: `created`, `updated`, `dead_letter`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// From then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub since: Option<Timestamp>,
    /// Before then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub until: Option<Timestamp>,
    /// How many at most: 100 when it is missing, never more than [`LARGEST_PAGE`](super::LARGEST_PAGE).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// [`Page::next`] of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<PageToken>,
}

/// One page of activity, newest first. A page may have few or no items although there are more: only so many lines are
/// looked at for one.
pub type ActivityPage = Page<ActivityItem>;
