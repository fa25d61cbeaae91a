//! Whose turn it is in a sink's queue.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::convert::{priority_code, time};
use crate::store::{Priority, StoreError};

/// The keys of at most `limit` entities that are due for a sink: the most urgent first, within a priority the
/// longest waiting. Of those that wait for another attempt the ones whose time came first have their turn first. What
/// is not due yet is not looked at, however much it is.
pub(super) fn due(connection: &Connection, sink: i64, now: i64, limit: u32) -> Result<Vec<i64>, StoreError> {
    let most = limit as usize;
    let mut fresh = connection.prepare_cached(
        "SELECT priority, since, entity FROM queue INDEXED BY queue_fresh
         WHERE sink = ?1 AND state = 0 AND due = 0 ORDER BY priority, since LIMIT ?2",
    )?;
    let turn = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let mut turns: Vec<(i64, i64, i64)> =
        fresh.query_map(params![sink, limit], turn)?.collect::<Result<_, _>>()?;
    let mut again = connection.prepare_cached(
        "SELECT priority, since, entity FROM queue INDEXED BY queue_backoff
         WHERE sink = ?1 AND priority = ?2 AND state = 0 AND due <> 0 AND due <= ?3 ORDER BY due LIMIT ?4",
    )?;
    for priority in Priority::ALL.map(priority_code) {
        if turns.iter().filter(|(more_urgent, ..)| *more_urgent < priority).count() >= most {
            break;
        }
        for found in again.query_map(params![sink, priority, now, limit], turn)? {
            turns.push(found?);
        }
    }
    // A group goes after its members. Who of them is still to be evaluated again, or is held, has yet to leave it.
    let removal = priority_code(Priority::GroupRemoval);
    if turns.iter().any(|(priority, ..)| *priority == removal)
        && (connection.prepare_cached("SELECT 1 FROM stale")?.exists([])? || holds_any(connection, sink)?)
    {
        turns.retain(|(priority, ..)| *priority != removal);
    }
    turns.sort_unstable();
    turns.truncate(most);
    // Whoever loses one group may have joined another: that is made before, where both have their turn.
    let (revocation, user) = (priority_code(Priority::Revocation), priority_code(Priority::User));
    turns.sort_by_key(|(priority, ..)| if *priority == revocation { user } else { *priority });
    Ok(turns.into_iter().map(|(.., entity)| entity).collect())
}

/// Whether anything is held for the sink.
fn holds_any(connection: &Connection, sink: i64) -> Result<bool, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT 1 FROM queue INDEXED BY queue_held WHERE sink = ?1 AND state = 2")?;
    Ok(select.exists([sink])?)
}

pub(super) fn next_due(connection: &Connection, sink: i64) -> Result<Option<Timestamp>, StoreError> {
    let fresh: Option<(i64, i64)> = connection
        .prepare_cached(
            "SELECT priority, due FROM queue INDEXED BY queue_fresh
             WHERE sink = ?1 AND state = 0 AND due = 0 ORDER BY priority LIMIT 1",
        )?
        .query_row([sink], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    // Groups that wait for who is held wait for a person, who wakes the worker.
    let removal = priority_code(Priority::GroupRemoval);
    let wait_for_a_person = holds_any(connection, sink)?;
    if let Some((priority, due)) = fresh
        && !(wait_for_a_person && priority == removal)
    {
        return Ok(Some(time(due)));
    }
    let mut first = connection.prepare_cached(
        "SELECT min(due) FROM queue INDEXED BY queue_backoff
         WHERE sink = ?1 AND priority = ?2 AND state = 0 AND due <> 0",
    )?;
    let mut next: Option<i64> = None;
    let priorities = Priority::ALL.map(priority_code).into_iter();
    for priority in priorities.filter(|priority| !(wait_for_a_person && *priority == removal)) {
        let due: Option<i64> = first.query_row([sink, priority], |row| row.get(0))?;
        next = next.into_iter().chain(due).min();
    }
    Ok(next.map(time))
}
