//! What the committer writes: one transaction a batch.

use std::collections::BTreeMap;

use rolecall_sink_api::{Entity, EntityKind};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::activity::note;
use super::convert::{
    DEAD, UNREADABLE, WAITING, journal_code, kind_code, micros, print, priority_code, signed, status_code,
};
use super::membership;
use super::rules;
use super::sinks::SinkKeys;
use crate::directory::EventId;
use crate::store::{Activity, Batch, EntityState, EntityWrite, JournalEntry, Priority, Status, StoreError};

pub(super) fn commit(connection: &mut Connection, sinks: &SinkKeys, batch: &Batch) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for entry in &batch.journal {
        journal(&transaction, entry)?;
    }
    // Before the batch's own memberships: its users were evaluated with what it says of their groups.
    for group in &batch.stale_members_of {
        membership::mark_members_stale(&transaction, group)?;
    }
    // Before they are written: those whose time had come, and who cannot be read, are not asked about for ever.
    for user in &batch.evaluated {
        let mut done = transaction.prepare_cached(
            "UPDATE entity SET evaluate_at = NULL WHERE kind = 0 AND id = ?1 AND evaluate_at <= ?2",
        )?;
        done.execute(params![user.as_str(), micros(batch.at)])?;
    }
    let mut counts = BTreeMap::new();
    for write in &batch.entities {
        entity(&transaction, sinks, write, micros(batch.at))?;
        let kind = kind_code(write.entity.kind());
        if write.row.key.is_some() {
            *counts.entry((kind, status_code(write.was))).or_insert(0) -= 1;
        }
        *counts.entry((kind, status_code(write.row.status))).or_insert(0) += 1;
    }
    for ((kind, status), change) in counts.into_iter().filter(|(_, change)| *change != 0) {
        count(&transaction, kind, status, change)?;
    }
    membership::gather(&transaction)?;
    for user in &batch.evaluated {
        let mut done = transaction.prepare_cached(
            "DELETE FROM stale WHERE user = (SELECT key FROM entity WHERE kind = 0 AND id = ?1)",
        )?;
        done.execute([user.as_str()])?;
    }
    if let Some(to) = batch.swept {
        rules::swept(&transaction, to)?;
    }
    for (id, connection) in &batch.connections {
        let mut write =
            transaction.prepare_cached("INSERT OR REPLACE INTO connection (id, state) VALUES (?1, ?2)")?;
        write.execute(params![id.0, print(connection)?])?;
    }
    transaction.commit()?;
    Ok(())
}

fn journal(transaction: &Transaction<'_>, entry: &JournalEntry) -> Result<(), StoreError> {
    let (status, reason) = journal_code(&entry.status);
    let mut insert = transaction.prepare_cached(
        "INSERT INTO event (id, source, message_id, kind, at, signed_at, received_at, status, reason, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (id, source) DO UPDATE SET seq = (SELECT 1 + max(seq) FROM event), message_id = excluded.message_id,
             kind = excluded.kind, at = excluded.at, signed_at = excluded.signed_at,
             received_at = excluded.received_at, status = excluded.status, reason = excluded.reason,
             body = excluded.body
         WHERE event.status = ?11",
    )?;
    insert.execute(params![
        entry.id.as_str(),
        entry.source,
        entry.message_id,
        entry.kind,
        entry.at.map(micros),
        micros(entry.signed_at),
        micros(entry.received_at),
        status,
        reason,
        &entry.body[..],
        UNREADABLE,
    ])?;
    Ok(())
}

fn entity(
    transaction: &Transaction<'_>,
    sinks: &SinkKeys,
    write: &EntityWrite,
    now: i64,
) -> Result<(), StoreError> {
    let key = row(transaction, write, now)?;
    for change in &write.memberships {
        membership::change(transaction, key, change)?;
    }
    if let Some(priority) = write.enqueue {
        for sink in sinks.keys() {
            enqueue(transaction, sink, key, write, priority, now)?;
        }
    }
    if let Some(activity) = &write.activity {
        let event = write.event.as_ref().map(EventId::as_str);
        let detail = role_changes(activity);
        note(transaction, None, key, activity.what.as_str(), event, detail.as_deref(), now)?;
    }
    Ok(())
}

/// Writes the entity's own row and returns its key.
fn row(transaction: &Transaction<'_>, write: &EntityWrite, now: i64) -> Result<i64, StoreError> {
    let (state, profile) = match &write.state {
        EntityState::User(user) => (print(user)?, user.profile()),
        EntityState::Group(group) => (print(group)?, None),
    };
    if let Some(key) = write.row.key
        && write.enqueue.is_none()
        && !write.rescheduled
    {
        // What is desired is as it was, and with it everything but the stamps: the most frequent write of all, for
        // every user who comes names their groups.
        let mut update = transaction.prepare_cached("UPDATE entity SET state = ?2 WHERE key = ?1")?;
        return there(update.execute(params![key, state])?, key, write);
    }
    let user_name = profile.and_then(|p| p.user_name.as_deref());
    let email = profile.and_then(|p| p.email.as_deref());
    let roles = print(&write.row.roles)?;
    let (status, generation) = (status_code(write.row.status), signed(write.row.generation));
    let absent = write.row.status == Status::Absent;
    let evaluate_at = write.row.evaluate_at.map(micros);
    if let Some(key) = write.row.key {
        let mut update = transaction.prepare_cached(
            "UPDATE entity SET state = ?2, roles = ?3, user_name = ?4, email = ?5, status = ?6, generation = ?7,
                 digest = ?8, absent_since = CASE WHEN ?9 THEN coalesce(absent_since, ?10) END, evaluate_at = ?11
             WHERE key = ?1",
        )?;
        let updated = update.execute(params![
            key,
            state,
            roles,
            user_name,
            email,
            status,
            generation,
            write.row.digest,
            absent,
            now,
            evaluate_at
        ])?;
        return there(updated, key, write);
    }
    let kind = write.entity.kind();
    let mut insert = transaction.prepare_cached(match kind {
        EntityKind::User => INSERT_USER,
        EntityKind::Group => INSERT_GROUP,
    })?;
    Ok(insert.insert(params![
        kind_code(kind),
        write.entity.id(),
        state,
        roles,
        user_name,
        email,
        status,
        generation,
        write.row.digest,
        absent.then_some(now),
        evaluate_at,
    ])?)
}

/// The key of an entity whose row was updated, unless there was none: it was forgotten since it was loaded.
fn there(updated: usize, key: i64, write: &EntityWrite) -> Result<i64, StoreError> {
    if updated == 0 {
        return Err(StoreError::Failed(format!("{} was forgotten meanwhile", write.entity)));
    }
    Ok(key)
}

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

fn count(transaction: &Transaction<'_>, kind: i64, status: i64, change: i64) -> Result<(), StoreError> {
    let mut add = transaction.prepare_cached(
        "INSERT INTO entity_count (kind, status, n) VALUES (?1, ?2, ?3)
         ON CONFLICT (kind, status) DO UPDATE SET n = n + excluded.n",
    )?;
    add.execute(params![kind, status, change])?;
    Ok(())
}

/// Puts an entity into a sink's queue, or renews its place: a newer desired state is due at once (0, so that a
/// clock that is put back does not hold it up), and a dead letter lives again. What already waited keeps its turn,
/// and who has lost access stays as urgent as they were.
fn enqueue(
    transaction: &Transaction<'_>,
    sink: i64,
    entity: i64,
    write: &EntityWrite,
    priority: Priority,
    now: i64,
) -> Result<(), StoreError> {
    let urgent = priority == Priority::Inactive && has_access(transaction, sink, entity)?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO queue (sink, entity, generation, priority, since, due, attempts, state, error, event)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, ?6, NULL, ?7)
         ON CONFLICT (sink, entity) DO UPDATE SET
             generation = excluded.generation,
             priority = CASE WHEN excluded.priority = ?8 AND queue.priority < ?8
                 THEN queue.priority ELSE excluded.priority END,
             since = CASE queue.state WHEN ?9 THEN excluded.since ELSE queue.since END,
             due = excluded.due, attempts = 0, state = ?6, event = excluded.event",
    )?;
    insert.execute(params![
        sink,
        entity,
        signed(write.row.generation),
        priority_code(if urgent { Priority::Leaver } else { priority }),
        now,
        WAITING,
        write.event.as_ref().map(EventId::as_str),
        priority_code(Priority::Inactive),
        DEAD,
    ])?;
    Ok(())
}

/// Whether the sink, as far as it confirmed anything, still gives a user access: their deactivation may have been
/// given up.
fn has_access(transaction: &Transaction<'_>, sink: i64, user: i64) -> Result<bool, StoreError> {
    let mut select = transaction.prepare_cached(
        "SELECT 1 FROM applied WHERE sink = ?1 AND entity = ?2 AND json_extract(document, '$.active')",
    )?;
    Ok(select.exists(params![sink, user])?)
}

/// The roles that came and went, for people; none when none did.
fn role_changes(activity: &Activity) -> Option<String> {
    let signs = [('+', &activity.granted), ('-', &activity.revoked)];
    let roles: Vec<String> = signs
        .iter()
        .flat_map(|(sign, roles)| roles.iter().map(move |role| format!("{sign}{role}")))
        .collect();
    (!roles.is_empty()).then(|| format!("roles {}", roles.join(" ")))
}

/// The key of an entity that is stored.
pub(super) fn key_of(connection: &Connection, entity: &Entity) -> Result<Option<i64>, StoreError> {
    let mut select = connection.prepare_cached("SELECT key FROM entity WHERE kind = ?1 AND id = ?2")?;
    Ok(select.query_row(params![kind_code(entity.kind()), entity.id()], |row| row.get(0)).optional()?)
}
