//! What the committer writes: one transaction a batch.

use std::collections::BTreeMap;

use rolecall_sink_api::{Entity, EntityKind};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::convert::{
    DEAD, UNREADABLE, WAITING, journal_code, kind_code, micros, print, priority_code, signed, status_code,
};
use super::sinks::SinkKeys;
use super::statements::Statements;
use super::{load, membership, rules};
use crate::directory::EventId;
use crate::store::{
    Activity, Batch, EntityState, EntityWrite, JournalEntry, MembershipChange, Priority, Status, StoreError,
    Transaction as Work,
};

pub(super) fn transact(
    connection: &mut Connection,
    sinks: &SinkKeys,
    mut work: Box<dyn Work>,
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let loaded = load::load(&transaction, &work.wanted())?;
    write(&transaction, sinks, &work.batch(loaded))?;
    transaction.commit()?;
    Ok(())
}

fn write(transaction: &Transaction<'_>, sinks: &SinkKeys, batch: &Batch) -> Result<(), StoreError> {
    let mut statements = Statements::prepare(transaction)?;
    for entry in &batch.journal {
        journal(&mut statements, entry)?;
    }
    // Before the batch's own memberships: its users were evaluated with what it says of their groups.
    for group in &batch.stale_members_of {
        membership::mark_members_stale(transaction, group)?;
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
        entity(transaction, &mut statements, sinks, write, micros(batch.at))?;
        let kind = kind_code(write.entity.kind());
        if write.row.key.is_some() {
            *counts.entry((kind, status_code(write.was))).or_insert(0) -= 1;
        }
        *counts.entry((kind, status_code(write.row.status))).or_insert(0) += 1;
    }
    for ((kind, status), change) in counts.into_iter().filter(|(_, change)| *change != 0) {
        count(transaction, kind, status, change)?;
    }
    membership::gather(transaction)?;
    for user in &batch.evaluated {
        let mut done = transaction.prepare_cached(
            "DELETE FROM stale WHERE user = (SELECT key FROM entity WHERE kind = 0 AND id = ?1)",
        )?;
        done.execute([user.as_str()])?;
    }
    if let Some(to) = batch.swept {
        rules::swept(transaction, to)?;
    }
    for (id, connection) in &batch.connections {
        let mut write =
            transaction.prepare_cached("INSERT OR REPLACE INTO connection (id, state) VALUES (?1, ?2)")?;
        write.execute(params![id.0, print(connection)?])?;
    }
    Ok(())
}

fn journal(statements: &mut Statements<'_>, entry: &JournalEntry) -> Result<(), StoreError> {
    let (status, reason) = journal_code(&entry.status);
    statements.journal.execute(params![
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
    statements: &mut Statements<'_>,
    sinks: &SinkKeys,
    write: &EntityWrite,
    now: i64,
) -> Result<(), StoreError> {
    let key = row(statements, write, now)?;
    for change in &write.memberships {
        match change {
            MembershipChange::Add(group) => {
                statements.add_membership.execute(params![key, group.as_str()])?;
            }
            MembershipChange::Remove(group) => membership::remove(transaction, key, group)?,
        }
    }
    if let Some(priority) = write.enqueue {
        for (name, sink) in sinks.iter() {
            let must_go = write.withheld_from.contains(name);
            let priority = match write.entity.kind() {
                EntityKind::User
                    if priority == Priority::Inactive || must_go && priority != Priority::Leaver =>
                {
                    if has_access(transaction, sink, key)? {
                        Priority::Leaver
                    } else {
                        Priority::Inactive
                    }
                }
                EntityKind::Group if must_go => Priority::GroupRemoval,
                _ => priority,
            };
            enqueue(statements, sink, key, write, priority, now)?;
        }
    }
    if let Some(activity) = &write.activity {
        let event = write.event.as_ref().map(EventId::as_str);
        let detail = role_changes(activity);
        let none: Option<i64> = None;
        statements.note.execute(params![key, now, none, activity.what.as_str(), event, detail])?;
    }
    Ok(())
}

/// Writes the entity's own row and returns its key.
fn row(statements: &mut Statements<'_>, write: &EntityWrite, now: i64) -> Result<i64, StoreError> {
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
        statements.restate.execute(params![key, state])?;
        return Ok(key);
    }
    let user_name = profile.and_then(|p| p.user_name.as_deref());
    let email = profile.and_then(|p| p.email.as_deref());
    let roles = print(&write.row.roles)?;
    let (status, generation) = (status_code(write.row.status), signed(write.row.generation));
    let absent = write.row.status == Status::Absent;
    let evaluate_at = write.row.evaluate_at.map(micros);
    if let Some(key) = write.row.key {
        statements.update.execute(params![
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
        return Ok(key);
    }
    let kind = write.entity.kind();
    let insert = match kind {
        EntityKind::User => &mut statements.insert_user,
        EntityKind::Group => &mut statements.insert_group,
    };
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

fn count(transaction: &Transaction<'_>, kind: i64, status: i64, change: i64) -> Result<(), StoreError> {
    let mut add = transaction.prepare_cached(
        "INSERT INTO entity_count (kind, status, n) VALUES (?1, ?2, ?3)
         ON CONFLICT (kind, status) DO UPDATE SET n = n + excluded.n",
    )?;
    add.execute(params![kind, status, change])?;
    Ok(())
}

/// Puts an entity into a sink's queue, or renews its place: a newer desired state is due at once (0, so that a
/// clock that is put back does not hold it up), and a dead letter lives again.
fn enqueue(
    statements: &mut Statements<'_>,
    sink: i64,
    entity: i64,
    write: &EntityWrite,
    priority: Priority,
    now: i64,
) -> Result<(), StoreError> {
    statements.enqueue.execute(params![
        sink,
        entity,
        signed(write.row.generation),
        priority_code(priority),
        now,
        WAITING,
        write.event.as_ref().map(EventId::as_str),
        priority_code(Priority::Inactive),
        DEAD,
        priority_code(Priority::User),
        priority_code(Priority::Revocation),
    ])?;
    Ok(())
}

/// Whether the sink still gives a user access, by what it confirmed last or by an attempt that it did not: their
/// deactivation may have been given up.
fn has_access(transaction: &Transaction<'_>, sink: i64, user: i64) -> Result<bool, StoreError> {
    let mut select = transaction.prepare_cached(
        "SELECT 1 FROM applied WHERE sink = ?1 AND entity = ?2 AND json_extract(document, '$.active')
         UNION ALL
         SELECT 1 FROM attempted WHERE sink = ?1 AND entity = ?2 AND json_extract(document, '$.given.active')",
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
