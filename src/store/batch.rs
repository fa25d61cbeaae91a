//! What the committer reads from the store and what it writes there.

use std::collections::{BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use jiff::Timestamp;
use rolecall_sink_api::{Entity, GroupId, RoleName, SinkName, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::directory::{Connection, Directory, DirectoryId, EventId, GroupState, UserState};

/// What to load before a batch can be merged.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Events that may be known already, each with its source: ids of different sources have nothing to do with
    /// each other.
    pub events: Vec<(String, EventId)>,
    /// Users the events speak of; the groups each is in are loaded with them.
    pub users: BTreeSet<UserId>,
    /// Groups the events speak of, or put users into.
    pub groups: BTreeSet<GroupId>,
    /// Connections to identity providers the events speak of.
    pub connections: BTreeSet<DirectoryId>,
}

/// What is stored of what was wanted.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Events that are in the journal and were read; an unreadable one counts as not known.
    pub known: HashSet<(String, EventId)>,
    /// The states of the users and groups; one that is missing is not stored.
    pub directory: Directory,
    /// Entities whose stored state cannot be read: a newer version wrote it, or the file is damaged. They must
    /// be left as they are.
    pub damaged: HashSet<Entity>,
    /// What else is stored with each.
    pub rows: HashMap<Entity, Row>,
}

/// What is stored of an entity beside its merged state.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Row {
    /// The store's own key; `None` for an entity that is not stored yet.
    pub key: Option<i64>,
    /// Grows each time the desired document changes, also across the loss of the store; 0 before the first.
    pub generation: u64,
    /// A digest of the desired document; `None` when the entity should not exist.
    pub digest: Option<[u8; 16]>,
    /// Whether a user had access.
    pub status: Status,
    /// The roles the rules granted.
    pub roles: BTreeSet<RoleName>,
    /// When a user must be evaluated again though nothing happens: by then the rules say something else.
    pub evaluate_at: Option<Timestamp>,
}

/// Whether an entity should exist, and whether a user may have access.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Never seen, only heard of, or deleted.
    #[default]
    Absent,
    /// A user who may have access, or a group that exists.
    Active,
    /// A user who exists and must not have access.
    Inactive,
}

/// One transaction's worth of change.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Messages to journal. One whose id is known already from its source replaces it only if that one was unreadable.
    pub journal: Vec<JournalEntry>,
    /// Entities whose stored state changed.
    pub entities: Vec<EntityWrite>,
    /// Groups whose members are to be evaluated again.
    pub stale_members_of: Vec<GroupId>,
    /// Users that were stale and have been evaluated.
    pub evaluated: Vec<UserId>,
    /// How far everybody has been evaluated again, where that is going on.
    pub swept: Option<Swept>,
    /// Connections to identity providers that were announced.
    pub connections: Vec<(DirectoryId, Connection)>,
    /// When the batch was put together.
    pub at: Timestamp,
}

impl Batch {
    /// Nothing yet.
    pub fn new(at: Timestamp) -> Self {
        Self {
            journal: Vec::new(),
            entities: Vec::new(),
            stale_members_of: Vec::new(),
            evaluated: Vec::new(),
            swept: None,
            connections: Vec::new(),
            at,
        }
    }

    /// Whether it puts anything into the queues.
    pub fn queues(&self) -> bool {
        self.entities.iter().any(|write| write.enqueue.is_some())
    }
}

/// Who is to be evaluated again.
#[derive(Clone, Debug, Default)]
pub struct Stale {
    /// Users, and groups where it may be that a sink is given other ones.
    pub entities: Vec<Entity>,
    /// For [`Batch::swept`], when these have been evaluated.
    pub swept: Option<Swept>,
}

/// How far everybody has been evaluated again after other rules came into force. Opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept(pub(super) i64);

/// One message for the journal.
#[derive(Clone, Debug)]
pub struct JournalEntry {
    /// The event's id.
    pub id: EventId,
    /// The source it came through.
    pub source: String,
    /// The sender's id of the message.
    pub message_id: String,
    /// The sender's name for this kind of event, where it could be read.
    pub kind: Option<String>,
    /// The time the event states.
    pub at: Option<Timestamp>,
    /// When the attempt was signed: a replay reads the message as of then.
    pub signed_at: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
    /// What was made of it.
    pub status: JournalStatus,
    /// The message, byte for byte.
    pub body: Bytes,
}

/// What was made of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalStatus {
    /// Its facts are in the directory.
    Merged,
    /// It has nothing to do with a directory.
    Ignored,
    /// It could not be read, and why.
    Unreadable(String),
}

/// An entity to write.
#[derive(Clone, Debug)]
pub struct EntityWrite {
    /// Which.
    pub entity: Entity,
    /// The merged state.
    pub state: EntityState,
    /// The rest of its row, as it shall be.
    pub row: Row,
    /// Its status so far.
    pub was: Status,
    /// Whether [`Row::evaluate_at`] is another one than before.
    pub rescheduled: bool,
    /// Changes of the index from groups to their members.
    pub memberships: Vec<MembershipChange>,
    /// The event that last touched it; `None` when the rules did.
    pub event: Option<EventId>,
    /// How urgently every sink must bring it up to date, where one must.
    pub enqueue: Option<Priority>,
    /// Sinks that are not given it, by their scope: there it must go.
    pub withheld_from: Vec<SinkName>,
    /// What became of it, for people.
    pub activity: Option<Activity>,
}

/// The merged facts of an entity.
#[derive(Clone, Debug, PartialEq)]
pub enum EntityState {
    /// A user's.
    User(UserState),
    /// A group's.
    Group(GroupState),
}

/// One entry of the index from groups to users: every membership that is stated of a user, whether it holds
/// or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipChange {
    /// The user's state now speaks of this group.
    Add(GroupId),
    /// The user's state no longer speaks of this group.
    Remove(GroupId),
}

/// The order in which a queue is worked off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// A user who lost access.
    Leaver = 0,
    /// A user who stays, and lost a role or left a group.
    Revocation = 1,
    /// A group that should exist: before its members.
    Group = 2,
    /// A user who has access, or never had.
    User = 3,
    /// A user without access who had none before either: as urgent as what already waits for them.
    Inactive = 4,
    /// A group that must go: after its members.
    GroupRemoval = 5,
}

impl Priority {
    /// All, most urgent first.
    pub const ALL: [Priority; 6] = [
        Priority::Leaver,
        Priority::Revocation,
        Priority::Group,
        Priority::User,
        Priority::Inactive,
        Priority::GroupRemoval,
    ];
}

impl Priority {
    /// The priority as a lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Priority::Leaver => "leaver",
            Priority::Revocation => "revocation",
            Priority::Group => "group",
            Priority::User => "user",
            Priority::Inactive => "inactive",
            Priority::GroupRemoval => "group_removal",
        }
    }
}

/// Something that became of somebody in the directory, for people who ask later. What sinks did is noted when
/// it is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// What.
    pub what: Happening,
    /// Roles that the user was granted.
    pub granted: Vec<RoleName>,
    /// Roles that the user lost.
    pub revoked: Vec<RoleName>,
}

/// What became of an entity in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// It was not there, and now is.
    Created,
    /// Something about it changed.
    Updated,
    /// The user may no longer have access.
    Deactivated,
    /// The user may have access again.
    Reactivated,
    /// It is gone.
    Deleted,
}

impl Happening {
    /// What an entity's way from one status to another is.
    pub fn between(before: Status, after: Status) -> Self {
        match (before, after) {
            (Status::Absent, Status::Active | Status::Inactive) => Happening::Created,
            (_, Status::Absent) => Happening::Deleted,
            (Status::Active, Status::Inactive) => Happening::Deactivated,
            (Status::Inactive, Status::Active) => Happening::Reactivated,
            (Status::Active, Status::Active) | (Status::Inactive, Status::Inactive) => Happening::Updated,
        }
    }

    /// The happening as a lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Happening::Created => "created",
            Happening::Updated => "updated",
            Happening::Deactivated => "deactivated",
            Happening::Reactivated => "reactivated",
            Happening::Deleted => "deleted",
        }
    }
}
