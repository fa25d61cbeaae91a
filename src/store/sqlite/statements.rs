//! The statements of a batch that are run for every message or entity.
//!
//! Looked up once a batch: the cache they come from is searched by their text, which costs as much as some of them do.

use rusqlite::{CachedStatement, Connection};

use super::activity;
use crate::store::StoreError;

pub(super) struct Statements<'c> {
    /// (id, source, message id, kind, at, signed at, received at, status, reason, body, the code of unreadable)
    pub(super) journal: CachedStatement<'c>,
    /// (kind, id, state, roles, user name, email, status, generation, digest, absent since, evaluate at)
    pub(super) insert_user: CachedStatement<'c>,
    pub(super) insert_group: CachedStatement<'c>,
    /// (key, state)
    pub(super) restate: CachedStatement<'c>,
    /// (key, state, roles, user name, email, status, generation, digest, whether absent, now, evaluate at)
    pub(super) update: CachedStatement<'c>,
    /// (user's key, group's id)
    pub(super) add_membership: CachedStatement<'c>,
    /// (sink, entity, generation, priority, since, the code of waiting, event, the codes of inactive, dead, user and
    /// revocation)
    pub(super) enqueue: CachedStatement<'c>,
    /// (entity, at, sink, what, event, detail)
    pub(super) note: CachedStatement<'c>,
}

impl<'c> Statements<'c> {
    pub(super) fn prepare(connection: &'c Connection) -> Result<Self, StoreError> {
        Ok(Self {
            journal: connection.prepare_cached(JOURNAL)?,
            insert_user: connection.prepare_cached(INSERT_USER)?,
            insert_group: connection.prepare_cached(INSERT_GROUP)?,
            restate: connection.prepare_cached(RESTATE)?,
            update: connection.prepare_cached(UPDATE)?,
            add_membership: connection.prepare_cached(ADD_MEMBERSHIP)?,
            enqueue: connection.prepare_cached(ENQUEUE)?,
            note: connection.prepare_cached(activity::NOTE)?,
        })
    }
}

/// A message whose id is known already from its source is put in its place only if that one was unreadable.
const JOURNAL: &str = "
    INSERT INTO event (id, source, message_id, kind, at, signed_at, received_at, status, reason, body)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
    ON CONFLICT (id, source) DO UPDATE SET seq = (SELECT 1 + max(seq) FROM event),
        message_id = excluded.message_id, kind = excluded.kind, at = excluded.at,
        signed_at = excluded.signed_at, received_at = excluded.received_at, status = excluded.status,
        reason = excluded.reason, body = excluded.body
    WHERE event.status = ?11";

/// Groups have the keys below 2⁴⁰, users those from there on. So groups, which nearly every batch writes, lie
/// together on few pages, and new users are still appended at the end.
const INSERT_GROUP: &str = "
    INSERT INTO entity
        (key, kind, id, state, roles, user_name, email, status, generation, digest, absent_since, evaluate_at)
    VALUES (1 + coalesce((SELECT max(key) FROM entity WHERE key < 1 << 40), 0),
        ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
const INSERT_USER: &str = "
    INSERT INTO entity
        (key, kind, id, state, roles, user_name, email, status, generation, digest, absent_since, evaluate_at)
    VALUES (1 + coalesce((SELECT max(key) FROM entity WHERE key >= 1 << 40), 1 << 40),
        ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// For an entity of which nothing but stamps changed: the most frequent write of all, for every user who comes names
/// their groups.
const RESTATE: &str = "UPDATE entity SET state = ?2 WHERE key = ?1";

const UPDATE: &str = "
    UPDATE entity SET state = ?2, roles = ?3, user_name = ?4, email = ?5, status = ?6, generation = ?7,
        digest = ?8, absent_since = CASE WHEN ?9 THEN coalesce(absent_since, ?10) END, evaluate_at = ?11
    WHERE key = ?1";

const ADD_MEMBERSHIP: &str = "INSERT OR IGNORE INTO membership_new (user, group_id) VALUES (?1, ?2)";

/// What already waited keeps its turn. Who has lost access stays as urgent as they were; and who has it back, or has lost
/// something of it, still holds in the sink what they are to lose, until it has confirmed that.
const ENQUEUE: &str = "
    INSERT INTO queue (sink, entity, generation, priority, since, due, attempts, state, error, event)
    VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, ?6, NULL, ?7)
    ON CONFLICT (sink, entity) DO UPDATE SET
        generation = excluded.generation,
        priority = CASE WHEN excluded.priority = ?8 AND queue.priority < ?8 THEN queue.priority
            WHEN excluded.priority = ?10 AND queue.priority <= ?11 THEN ?11
            ELSE excluded.priority END,
        since = CASE queue.state WHEN ?9 THEN excluded.since ELSE queue.since END,
        due = excluded.due, attempts = 0, state = ?6, event = excluded.event";
