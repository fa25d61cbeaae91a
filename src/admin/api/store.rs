//! The store: backups, its size, whether it is sound; and everybody in it, for an export.

use rolecall_sink_api::{Group, User};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Page, PageToken};

/// Where `GET` answers the whole store, as one SQLite database, as it is at one moment.
pub const STORE_BACKUP: &str = "/v1/store/backup";
/// Where `GET` answers a [`StoreSize`](crate::store::StoreSize).
pub const STORE_SIZE: &str = "/v1/store/size";
/// Where `GET` with a [`CheckQuery`] answers a [`CheckStep`](crate::store::CheckStep).
pub const STORE_CHECK: &str = "/v1/store/check";
/// Where `GET` with an [`ExportQuery`] answers a page of users.
pub const EXPORT_USERS: &str = "/v1/export/users";
/// Where `GET` with an [`ExportQuery`] answers a page of groups.
pub const EXPORT_GROUPS: &str = "/v1/export/groups";

/// Which step of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckQuery {
    /// [`CheckStep::next`](crate::store::CheckStep::next) of the step before; the first one without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Which page of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExportQuery {
    /// How many at most: 100 when it is missing, never more than [`LARGEST_PAGE`](super::LARGEST_PAGE).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// [`Page::next`] of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<PageToken>,
}

/// Users who exist, as every sink should hold them, in the order in which they were first heard of. A page may have fewer
/// items than asked for, and still be followed by another.
pub type ExportedUsers = Page<User>;

/// Groups that exist, as every sink should hold them, in the order in which they were first heard of.
pub type ExportedGroups = Page<Group>;
