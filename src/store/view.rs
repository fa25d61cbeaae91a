//! What people see of the store.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rolecall_sink_api::{Action, Entity, GroupId, Moment, RemoteId, RoleName, SinkName, User, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HoldId, Priority, Space, Status};
use crate::directory::{Connection, GroupState, UserState};

/// The store in numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StoreView {
    /// Users who may have access.
    pub active_users: u64,
    /// Users who exist and must not have access.
    pub inactive_users: u64,
    /// Groups that exist.
    pub groups: u64,
    /// Journalled messages that could not be read.
    pub unreadable: u64,
    /// Users to be evaluated again.
    pub stale: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes that the file system of the store still has for it, where it says so.
    #[serde(default)]
    pub free_bytes: Option<u64>,
    /// When the newest message arrived.
    #[serde(default)]
    pub last_event: Option<Timestamp>,
    /// Connections to identity providers, as last announced.
    #[serde(default)]
    pub connections: BTreeMap<String, Connection>,
    /// Every sink's queue.
    pub sinks: BTreeMap<SinkName, SinkState>,
}

impl StoreView {
    /// Whether somebody should make room on the disk.
    pub fn is_low_on_space(&self) -> bool {
        self.free_bytes.is_some_and(|free| Space { free, store: self.bytes }.is_low())
    }
}

/// A sink's queue in numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SinkState {
    /// Entities waiting, dead letters not counted.
    pub waiting: u64,
    /// Of those, users who lost access.
    pub leavers: u64,
    /// Dead letters.
    pub dead: u64,
    /// Changes that the safeguard holds until a person decides; not counted among those waiting.
    #[serde(default)]
    pub held: u64,
    /// Since when the oldest hold is open.
    #[serde(default)]
    pub held_since: Option<Timestamp>,
    /// Entities the sink has confirmed.
    pub applied: u64,
    /// Since when the longest waiting entity waits.
    #[serde(default)]
    pub oldest: Option<Timestamp>,
    /// Since when the longest waiting user who lost access waits.
    #[serde(default)]
    pub oldest_leaver: Option<Timestamp>,
}

/// Which queue items are meant; a field that is `None` matches all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueFilter {
    /// Of one sink.
    pub sink: Option<String>,
    /// Of one user or group, by its id.
    pub id: Option<String>,
    /// Waiting, held, or dead letters.
    pub state: Option<QueueState>,
    /// Of one hold, also those that are to be looked at again because something newer came.
    pub hold: Option<HoldId>,
    /// Only items behind the one with this [`QueueItem::cursor`], where the call lists.
    pub after: Option<Cursor>,
}

/// A place in a listing of queue items. Opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cursor(pub(super) i64, pub(super) i64);

/// Whether an item will be tried again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueState {
    /// It waits for its turn or for its next attempt.
    Waiting,
    /// It was rejected for good, or is out of attempts.
    Dead,
    /// The safeguard holds it until a person decides, or something newer makes it needless.
    Held,
}

/// One item of a sink's queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueItem {
    /// Whose queue.
    pub sink: SinkName,
    /// Who or what.
    #[serde(flatten)]
    pub entity: Entity,
    /// The event that made it necessary; none when the rules did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The generation to bring the target up to.
    pub generation: u64,
    /// Waiting, held, or dead.
    pub state: QueueState,
    /// The hold that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldId>,
    /// How urgent it is.
    pub priority: Priority,
    /// How often it was tried.
    pub attempts: u32,
    /// Since when it waits.
    #[schemars(with = "Moment")]
    pub since: Timestamp,
    /// When it is tried next; in the past when it is due.
    #[schemars(with = "Moment")]
    pub due: Timestamp,
    /// Why the last attempt did not work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Hand this back as `after` to go on behind this item.
    pub cursor: Cursor,
}

/// All that is known of one user.
#[derive(Clone, Debug)]
pub struct UserView {
    /// The id.
    pub id: UserId,
    /// The merged facts.
    pub state: UserState,
    /// The groups of which something is stated.
    pub groups: BTreeMap<GroupId, GroupState>,
    /// The user as sinks should hold them; `None` when they must go.
    pub user: Option<User>,
    /// The roles as they were last evaluated.
    pub roles: Vec<RoleName>,
    /// Whether they exist and may have access.
    pub status: Status,
    /// The generation of the desired document.
    pub generation: u64,
    /// What each configured sink confirmed, and what it still has to do.
    pub sinks: BTreeMap<SinkName, SinkView>,
    /// What was done, newest first.
    pub activity: Vec<ActivityView>,
    /// The journalled events that the facts and the activity name; those past retention are missing.
    pub events: BTreeMap<String, EventView>,
}

/// A user as rules are tried on them.
#[derive(Clone, Debug)]
pub struct PersonView {
    /// The id.
    pub id: UserId,
    /// The merged facts.
    pub state: UserState,
    /// The groups of which something is stated.
    pub groups: BTreeMap<GroupId, GroupState>,
    /// The roles as they were last evaluated.
    pub roles: BTreeSet<RoleName>,
    /// The place of this user.
    pub cursor: Cursor,
}

/// A group, as it was stated.
#[derive(Clone, Debug)]
pub struct StatedGroup {
    /// The id.
    pub id: GroupId,
    /// The merged facts.
    pub state: GroupState,
    /// The place of this group.
    pub cursor: Cursor,
}

/// A user's state in one sink.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SinkView {
    /// What the sink last confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<AppliedView>,
    /// What it still has to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<QueueItem>,
}

/// What a sink last confirmed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AppliedView {
    /// Which generation.
    pub generation: u64,
    /// When.
    #[schemars(with = "Moment")]
    pub at: Timestamp,
    /// What had to be done.
    pub action: Action,
    /// The target's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteId>,
    /// Whether the entity is there; `false` after a removal.
    pub present: bool,
}

/// One line of what was done.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ActivityView {
    /// When.
    #[schemars(with = "Moment")]
    pub at: Timestamp,
    /// In which sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// What.
    pub what: String,
    /// The event behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The particulars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A journalled event, without its body.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// The event's id.
    pub id: String,
    /// The sender's name for its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The time it states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub at: Option<Timestamp>,
    /// When it arrived.
    #[schemars(with = "Moment")]
    pub received_at: Timestamp,
}
