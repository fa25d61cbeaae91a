//! The store: what survives. The journal, the directory, the queues, what every sink confirmed, and what was
//! done to whom.
//!
//! [`Store`] is shaped by the domain and knows nothing of SQL; [`SqliteStore`] is the embedded implementation. The
//! [`Committer`] is the only one who changes the directory: it takes whatever messages arrived while the last
//! batch was being synced, merges them with what is stored, and commits the result as one transaction.

mod backup;
mod batch;
mod check;
mod clock;
mod committer;
pub mod desired;
mod draft;
mod durability;
mod events;
mod held;
mod hold;
mod in_force;
mod intake;
mod metrics;
mod refusals;
mod retention;
mod scheduled;
mod search;
mod size;
mod space;
mod sqlite;
#[cfg(test)]
mod tests;
mod transaction;
mod version;
mod view;
mod work;

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rolecall_sink_api::{Attempted, Entity, GroupId, SinkName, UserId};

use crate::directory::EventId;

pub use backup::{BackupContents, Restored, Snapshot};
pub use batch::{
    Activity, Batch, EntityState, EntityWrite, Happening, JournalEntry, JournalStatus, Loaded,
    MembershipChange, Priority, Row, Stale, Status, Swept, Wanted,
};
pub use check::{CheckPlace, CheckStep, Finding, NoPlace, Remedy};
pub use committer::Committer;
pub use durability::Durability;
pub use events::{Consequence, EventCursor, EventFilter, EventItem, EventStatus};
pub use held::{HeldItem, Losing, Loss};
pub use hold::{
    Counted, Decided, Decision, Guarded, Held, HeldBecause, Hold, HoldFilter, HoldId, Lately, Pause, Reached,
    Tally, Withdrawal, Withdrawn,
};
pub use in_force::RulesInForce;
pub use intake::{Intake, Message, Receipt, Submission, Unavailable, WeakIntake};
pub use metrics::{CommitMetrics, RoleCounters};
pub use retention::Retention;
pub use scheduled::{BackupSchedule, BackupStatus, Backups, FailedBackup, KeptBackup};
pub use search::{
    ActivityCursor, ActivityFilter, ActivityItem, EntityFilter, Found, GroupItem, GroupView, UserItem,
};
pub use size::{StoreSize, TableSize};
pub use space::{Space, watch_space};
pub use sqlite::{SqliteStore, StoppedStore, verify_backup};
pub use version::{Adopted, NewRules, RulesOrigin, RulesVersion};
pub use view::{
    ActivityView, AppliedView, Cursor, EventView, PersonView, QueueFilter, QueueItem, QueueState, SinkState,
    SinkView, StatedGroup, StoreView, UserView,
};
pub use work::{Due, HeldIn, Resolution, Settled, Settlement};

/// From when on what is kept for people to look at is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutoffs {
    /// Journal entries received before this may go.
    pub journal: Timestamp,
    /// Activity before this may go.
    pub activity: Timestamp,
    /// Users and groups deleted before this may be forgotten, once every sink has removed them.
    pub tombstones: Timestamp,
}

/// Something that reads the directory and writes to it what follows from that.
pub trait Transaction: Send {
    /// What must be loaded. Called once, when its turn has come.
    fn wanted(&mut self) -> Wanted;

    /// What is to be written, made of what was loaded. Waits for nothing.
    fn batch(self: Box<Self>, loaded: Loaded) -> Batch;
}

/// Durable state. All methods may be called at the same time from many tasks.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Makes `sinks` the configured ones. A sink that was not configured before gets every entity that it has
    /// not confirmed in its present state; the queue of one that is no longer configured is dropped with its holds and
    /// its pause, what it confirmed is kept.
    async fn configure(&self, sinks: &[SinkName], now: Timestamp) -> Result<(), StoreError>;

    /// Loads what a transaction wants, hands it over, and commits the batch that is made of it, with nothing in
    /// between. Everybody sees the batch when this returns, and it survives the end of the process; it survives the
    /// end of the machine once what is returned says so.
    async fn transact(&self, transaction: Box<dyn Transaction>) -> Result<Durability, StoreError>;

    /// Who may be out of date, at most `limit`: because a group changed, because their time has come, or because other
    /// rules came into force. They stay until a batch names them in [`Batch::evaluated`], or has swept over them.
    async fn stale(&self, now: Timestamp, limit: u32) -> Result<Stale, StoreError>;

    /// When the next user is to be evaluated again though nothing happens; `None`: never.
    async fn next_evaluation(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Notes how late it is. When that was noted to be later already, by more than a minute, the clock went back: then
    /// whoever may have been evaluated for a time that has not come is stale, and what waited for another attempt is due.
    /// Returns by how much it went back.
    async fn note_time(&self, now: Timestamp) -> Result<Option<SignedDuration>, StoreError>;

    /// Puts rules and sinks' scopes into force: keeps the rules as a version, unless they are the newest one already,
    /// and has everybody evaluated again whose roles, or place in a sink, may be others by them. All of it or nothing.
    async fn use_rules(&self, rules: NewRules) -> Result<Adopted, StoreError>;

    /// The versions of the rules that were in force, newest first, without their texts; at most `limit`.
    async fn rules_versions(&self, limit: u32) -> Result<Vec<RulesVersion>, StoreError>;

    /// One version of the rules with its text, by its number; the newest without one.
    async fn rules_version(&self, number: Option<u64>) -> Result<Option<RulesVersion>, StoreError>;

    /// Users behind `after` in the order in which they were first heard of, at most `limit`, each with the groups of which
    /// something is stated, their roles as last evaluated, and the place to go on behind. Who cannot be read is passed over, as by an
    /// evaluation.
    async fn people(&self, after: Option<Cursor>, limit: u32) -> Result<Vec<PersonView>, StoreError>;

    /// Groups behind `after` in the order in which they were first heard of, at most `limit`, those that are gone too. Those
    /// that cannot be read are passed over.
    async fn groups(&self, after: Option<Cursor>, limit: u32) -> Result<Vec<StatedGroup>, StoreError>;

    /// What is due for a sink now: leavers first, then whoever loses a role or a group, groups that should exist, users, and
    /// groups that must go; within each the longest waiting first. What is returned has groups before those who stay. Changes
    /// nothing: one worker owns a sink's deliveries.
    async fn due(&self, sink: &SinkName, now: Timestamp, limit: u32) -> Result<Vec<Due>, StoreError>;

    /// When the next entity of a sink becomes due; `None` when nothing waits.
    async fn next_due(&self, sink: &SinkName) -> Result<Option<Timestamp>, StoreError>;

    /// Notes, in one transaction and in place of what was noted of the same entities, what a sink that does not read
    /// its target may leave there by what it is about to be handed. It comes back as
    /// [`Change::attempted`](rolecall_sink_api::Change::attempted), also when the entity changes meanwhile or its
    /// place in the queue is dropped, until the sink confirms the entity.
    async fn attempting(&self, sink: &SinkName, attempts: Vec<Attempted>) -> Result<(), StoreError>;

    /// Notes what became of delivered changes, in one transaction. A change whose entity has a newer
    /// generation by now is noted as applied and stays due. Returns those that have none: for what they had stood in the
    /// queue is settled.
    async fn settle(
        &self,
        sink: &SinkName,
        settlements: Vec<Settlement>,
        now: Timestamp,
    ) -> Result<Vec<Settled>, StoreError>;

    /// What a sink was told to withdraw after `since`, counted together with each of `asked`: from all of its users, and
    /// from those of each one's organization.
    async fn withdrawn_lately(
        &self,
        sink: &SinkName,
        asked: Vec<Withdrawn>,
        since: Timestamp,
    ) -> Result<Lately, StoreError>;

    /// Notes, in one transaction, what the safeguard says of changes that are due: what passes counts from now on, and
    /// what is held leaves the queue's order until a person decides. A change that has a newer generation by now is
    /// not held, and one that goes back to a hold which was decided meanwhile is not either: both are due as they were.
    /// Returns the holds that were opened by it.
    async fn guard(&self, sink: &SinkName, guarded: Guarded, now: Timestamp)
    -> Result<Vec<Hold>, StoreError>;

    /// Holds that are kept, newest first, at most `limit`.
    async fn holds(&self, filter: &HoldFilter, limit: u32) -> Result<Vec<Hold>, StoreError>;

    /// What is in a hold, in an order that stays, with what each would lose; at most `limit`, behind the place `after`.
    async fn held(
        &self,
        hold: HoldId,
        after: Option<Cursor>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<HeldItem>, StoreError>;

    /// Does with what is in a hold as a person decided, and returns how many changes that were; `None` when no hold of
    /// this number is open, nor left half done with the same decision. Approved changes are due at once, removals as leavers, and what passed before no longer
    /// counts; rejected ones leave the queue until their user changes again. In portions, as
    /// [`retry`](Store::retry); what was decided stays decided, and what a crash left over is done at the next start.
    async fn decide(
        &self,
        hold: HoldId,
        decision: Decision,
        by: Option<String>,
        now: Timestamp,
    ) -> Result<Option<usize>, StoreError>;

    /// Notes that a sink is paused, or with `None` that it no longer is. It stays so over restarts.
    async fn pause(&self, sink: &SinkName, pause: Option<Pause>) -> Result<(), StoreError>;

    /// The configured sinks that are paused.
    async fn pauses(&self) -> Result<BTreeMap<SinkName, Pause>, StoreError>;

    /// Forgets what is older than the cutoffs, at most some hundred rows a call; a message that could not be read
    /// is never forgotten. Returns how many went; 0 when nothing is left to do, or when a good many were looked at
    /// and all must stay: the next call goes on behind them.
    async fn prune(&self, cutoffs: Cutoffs) -> Result<usize, StoreError>;

    /// When the newest journalled message was signed, by its sender's clock.
    async fn last_signed(&self) -> Result<Option<Timestamp>, StoreError>;

    /// How much room there is on the disk.
    async fn space(&self) -> Result<Space, StoreError>;

    /// Numbers for `status`.
    async fn overview(&self) -> Result<StoreView, StoreError>;

    /// Queue items and dead letters, sink by sink, in an order that stays; at most `limit`.
    async fn queue(&self, filter: &QueueFilter, limit: u32) -> Result<Vec<QueueItem>, StoreError>;

    /// Makes matching items due now, with their attempts forgotten; held ones stay held. Returns how many. Many are handled in portions, so
    /// that nothing waits for all of them; when one fails, those before it are done.
    async fn retry(&self, filter: &QueueFilter) -> Result<usize, StoreError>;

    /// Gives up on matching items: they leave the queue until their entity changes again. Returns how many. In
    /// portions, as [`retry`](Store::retry).
    async fn drop_items(&self, filter: &QueueFilter, now: Timestamp) -> Result<usize, StoreError>;

    /// Users whose id, user name or email is `name`, with all that is known of each; at most ten.
    async fn users(&self, name: &str) -> Result<Vec<UserView>, StoreError>;

    /// All that is known of one user.
    async fn user(&self, id: &UserId) -> Result<Option<UserView>, StoreError>;

    /// Users in the order in which they were first heard of, at most `limit`, behind the place `after`.
    async fn find_users(
        &self,
        filter: &EntityFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Found<UserItem, Cursor>, StoreError>;

    /// Groups in the order in which they were first heard of, at most `limit`, behind the place `after`.
    async fn find_groups(
        &self,
        filter: &EntityFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Found<GroupItem, Cursor>, StoreError>;

    /// All that is known of one group but its members.
    async fn group(&self, id: &GroupId) -> Result<Option<GroupView>, StoreError>;

    /// Who is in a group, in the order in which they were first heard of, at most `limit`, behind the place `after`.
    async fn members(
        &self,
        id: &GroupId,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Found<UserItem, Cursor>, StoreError>;

    /// What was done to whom, in the directory and in the sinks, newest first; at most `limit` lines, behind the one with
    /// the cursor `after`.
    async fn activity(
        &self,
        filter: &ActivityFilter,
        after: Option<ActivityCursor>,
        limit: u32,
    ) -> Result<Found<ActivityItem, ActivityCursor>, StoreError>;

    /// Whether something can be written now: something is.
    async fn can_write(&self) -> Result<(), StoreError>;

    /// Journalled messages, newest first, without their bodies; at most `limit`, behind the one with the cursor
    /// `after`.
    async fn events(
        &self,
        filter: &EventFilter,
        after: Option<EventCursor>,
        limit: u32,
    ) -> Result<Found<EventItem, EventCursor>, StoreError>;

    /// The journalled messages of this id, whole: one for each source that sent one, or that of `source` alone; at
    /// most ten. None when it never came or is past retention.
    async fn event(&self, id: &EventId, source: Option<&str>) -> Result<Vec<JournalEntry>, StoreError>;

    /// What was done to these entities because of an event, in the directory and in the sinks, oldest first; at most
    /// `limit` lines.
    async fn consequences(
        &self,
        id: &EventId,
        entities: Vec<Entity>,
        limit: u32,
    ) -> Result<Vec<Consequence>, StoreError>;

    /// A copy of the whole store as it is at one moment. It is made while others write; one at a time.
    ///
    /// # Errors
    /// When there is not enough space where the store is, or another copy is under way.
    async fn snapshot(&self) -> Result<Snapshot, StoreError>;

    /// A copy of the whole store as it is at one moment, under this name: looked through, and on disk when this returns.
    /// What had the name is replaced then, and not before. It is made while others write; one at a time.
    ///
    /// # Errors
    /// When there is not enough space there, for the store to go on too if it is on the same disk; when another copy is
    /// under way; when it cannot be written or is not whole. Then nothing is left of it.
    async fn backup(&self, name: &Path) -> Result<BackupContents, StoreError>;

    /// What takes how much space. Reads the whole store, seconds for a million users.
    async fn size(&self) -> Result<StoreSize, StoreError>;

    /// The next step of looking whether all is well in the store; the first without a place. Changes nothing.
    async fn check(&self, after: Option<CheckPlace>, now: Timestamp) -> Result<CheckStep, StoreError>;

    /// What was last noted under this name by [`remember`](Store::remember).
    async fn remembered(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Notes something that is to outlive a restart, in place of what was noted under the name. Names are one for each
    /// part of the daemon, and the text is short.
    async fn remember(&self, name: &str, text: &str) -> Result<(), StoreError>;

    /// Takes an unreadable message of a source out of the journal: for one that has been read since, and is
    /// journalled under the id that was found in it. Returns whether it was there; one that was read stays.
    async fn forget_unreadable(&self, id: &EventId, source: &str) -> Result<bool, StoreError>;
}

/// Why the store could not do something.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error(
        "the store {path} is in use by another process{holder}; stop it first, or give this one a store of its own (store.path)"
    )]
    InUse {
        /// The store's path.
        path: String,
        /// ` (process 123)`, when it is known.
        holder: String,
    },
    /// The store was written by a newer version.
    #[error(
        "the store {path} has schema version {found}, and this rolecall knows versions up to {known}: it was written by a newer rolecall; start that one, or go back by `rolecall store restore` with a backup made before the upgrade: {path}.before-v{} is the one that the upgrade made, unless the disk had no room for it", .known + 1
    )]
    Newer {
        /// The store's path.
        path: String,
        /// Its schema version.
        found: u32,
        /// The newest version this binary knows.
        known: u32,
    },
    /// The store cannot be opened at all.
    #[error("cannot open the store {path}: {message}")]
    Open {
        /// The store's path.
        path: String,
        /// What went wrong and what to do.
        message: String,
    },
    /// What was to be restored, or was made as a backup, is no whole store.
    #[error("{path} is no backup of a store that can be used: {why}")]
    NoStore {
        /// The file.
        path: String,
        /// What it is instead.
        why: String,
    },
    /// There is not enough space for a copy of the store; nothing was begun.
    #[error(
        "not enough space for {path}: {needed} bytes are needed, with some for messages that go on arriving, and {free} are free"
    )]
    NoRoom {
        /// What was to be made.
        path: String,
        /// How much it takes.
        needed: u64,
        /// How much there is.
        free: u64,
    },
    /// Somebody else is at it.
    #[error("{0}")]
    Busy(String),
    /// No space left: nothing was changed, and it will work again when there is space.
    #[error("the disk is full: {0}")]
    Full(String),
    /// Anything else the database said.
    #[error("the store failed: {0}")]
    Failed(String),
    /// The disk did not take what was written. The store takes nothing more.
    #[error("the disk did not take what was written ({0}): check it and start anew")]
    Lost(String),
    /// The store has been closed: the daemon is stopping.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether nothing will work again before the process starts anew.
    pub fn is_final(&self) -> bool {
        matches!(self, StoreError::Lost(_) | StoreError::Closed)
    }
}
