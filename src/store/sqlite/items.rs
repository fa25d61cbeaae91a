//! Queue items and dead letters, as people list and handle them.

use jiff::Timestamp;
use rolecall_sink_api::SinkName;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params, params_from_iter};

use super::activity::note;
use super::convert::{
    DEAD, HELD, WAITING, entity, micros, priority, queue_state, queue_state_code, time, unsigned,
};
use super::holds;
use super::sinks::SinkKeys;
use crate::store::{Cursor, HoldId, QueueFilter, QueueItem, QueueState, StoreError};

/// How many items are handled in one transaction: so many that a message hardly waits for them.
pub(super) const PORTION: u32 = 1000;

const ITEM: &str =
    "s.name, e.kind, e.id, q.event, q.generation, q.state, q.priority, q.attempts, q.since, q.due,
    q.error, q.sink, q.entity, q.hold";
const WITH_NAMES: &str = "CROSS JOIN sink s ON s.key = q.sink CROSS JOIN entity e ON e.key = q.entity";

fn item(row: &Row<'_>) -> rusqlite::Result<QueueItem> {
    Ok(QueueItem {
        sink: SinkName::new(row.get::<_, String>(0)?),
        entity: entity(row.get(1)?, row.get(2)?),
        event: row.get(3)?,
        generation: unsigned(row.get(4)?),
        state: queue_state(row.get(5)?),
        priority: priority(row.get(6)?),
        attempts: row.get(7)?,
        since: time(row.get(8)?),
        due: time(row.get::<_, i64>(9)?.max(row.get(8)?)),
        error: row.get(10)?,
        cursor: Cursor(row.get(11)?, row.get(12)?),
        hold: row.get::<_, Option<i64>>(13)?.map(|id| HoldId(unsigned(id))),
    })
}

/// The item of an entity in a sink's queue.
pub(super) fn of(connection: &Connection, sink: i64, entity: i64) -> Result<Option<QueueItem>, StoreError> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {ITEM} FROM queue q {WITH_NAMES} WHERE q.sink = ?1 AND q.entity = ?2"
    ))?;
    Ok(select.query_row([sink, entity], item).optional()?)
}

pub(super) fn list(
    connection: &Connection,
    sinks: &SinkKeys,
    filter: &QueueFilter,
    limit: u32,
) -> Result<Vec<QueueItem>, StoreError> {
    page(connection, sinks, filter, limit, ITEM, WITH_NAMES, item)
}

/// The places of the next portion of matching items.
pub(super) fn portion(
    connection: &Connection,
    sinks: &SinkKeys,
    filter: &QueueFilter,
) -> Result<Vec<Cursor>, StoreError> {
    let place = |row: &Row<'_>| Ok(Cursor(row.get(0)?, row.get(1)?));
    page(connection, sinks, filter, PORTION, "q.sink, q.entity", "", place)
}

/// Reads the items behind the filter's cursor, sink by sink in the order of their keys, so that each sink's part is
/// one stretch of an index. `q` is the queue.
fn page<T>(
    connection: &Connection,
    sinks: &SinkKeys,
    filter: &QueueFilter,
    limit: u32,
    columns: &str,
    joined: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T> + Copy,
) -> Result<Vec<T>, StoreError> {
    let index = match (&filter.id, filter.hold, filter.state) {
        (None, Some(_), _) => "INDEXED BY queue_hold",
        (None, None, Some(QueueState::Dead)) => "INDEXED BY queue_dead",
        (None, None, Some(QueueState::Held)) => "INDEXED BY queue_held",
        _ => "",
    };
    let of_hold = filter.hold.map(|HoldId(id)| format!("AND q.hold = {id}")).unwrap_or_default();
    // Not as a parameter, or the partial index would not be seen to fit.
    let in_state =
        filter.state.map(|state| format!("AND q.state = {}", queue_state_code(state))).unwrap_or_default();
    let of_id = filter
        .id
        .as_ref()
        .map_or("", |_| "AND q.entity IN (SELECT key FROM entity WHERE kind IN (0, 1) AND id = ?4)");
    let mut select = connection.prepare_cached(&format!(
        "SELECT {columns} FROM queue q {index} {joined}
         WHERE q.sink = ?1 AND q.entity > ?2 {of_hold} {in_state} {of_id} ORDER BY q.entity LIMIT ?3"
    ))?;
    let mut keys: Vec<i64> = sinks
        .iter()
        .filter(|(name, _)| filter.sink.as_ref().is_none_or(|wanted| wanted == name.as_str()))
        .map(|(_, key)| key)
        .collect();
    keys.sort_unstable();
    let Cursor(first_sink, first_entity) = filter.after.unwrap_or(Cursor(i64::MIN, i64::MIN));
    let mut found = Vec::new();
    for sink in keys.into_iter().filter(|sink| *sink >= first_sink) {
        let behind = if sink == first_sink { first_entity } else { i64::MIN };
        let left = i64::from(limit).saturating_sub_unsigned(found.len() as u64);
        let mut values = vec![Value::from(sink), Value::from(behind), Value::from(left)];
        values.extend(filter.id.clone().map(Value::from));
        for row in select.query_map(params_from_iter(values), read)? {
            found.push(row?);
        }
    }
    Ok(found)
}

/// Makes those of a portion that are still in `state` due now, unless they are held: that is decided otherwise. Returns
/// how many.
pub(super) fn retry(
    connection: &mut Connection,
    portion: &[Cursor],
    state: Option<QueueState>,
) -> Result<usize, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut retried = 0;
    for Cursor(sink, entity) in portion {
        let mut update = transaction.prepare_cached(
            "UPDATE queue SET state = ?4, attempts = 0, due = 0
             WHERE sink = ?1 AND entity = ?2 AND state = coalesce(?3, state) AND state <> ?5",
        )?;
        retried += update.execute(params![sink, entity, state.map(queue_state_code), WAITING, HELD])?;
    }
    transaction.commit()?;
    Ok(retried)
}

/// Drops those of a portion that are still in `state`. Returns how many.
pub(super) fn drop_items(
    connection: &mut Connection,
    portion: &[Cursor],
    state: Option<QueueState>,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut dropped = 0;
    for Cursor(sink, entity) in portion {
        let event: Option<Option<String>> = transaction
            .prepare_cached(
                "DELETE FROM queue WHERE sink = ?1 AND entity = ?2 AND state = coalesce(?3, state)
                 RETURNING event",
            )?
            .query_row(params![sink, entity, state.map(queue_state_code)], |row| row.get(0))
            .optional()?;
        if let Some(event) = event {
            note(&transaction, Some(*sink), *entity, "dropped", event.as_deref(), None, micros(now))?;
            dropped += 1;
        }
    }
    holds::close_empty(&transaction, micros(now))?;
    transaction.commit()?;
    Ok(dropped)
}

/// How many are dead letters.
pub(super) fn dead(connection: &Connection, sink: i64) -> Result<u64, StoreError> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT count(*) FROM queue INDEXED BY queue_dead WHERE sink = ?1 AND state = {DEAD}"
    ))?;
    Ok(select.query_row([sink], |row| row.get::<_, i64>(0).map(unsigned))?)
}
