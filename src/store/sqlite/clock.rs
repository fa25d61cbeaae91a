//! What was written by a clock that was ahead, and is to be put right when it goes back.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::convert::{micros, parse, print, priority_code, time};
use super::rules::{FIRST_USER, set, setting, sweep_from};
use crate::store::{Priority, StoreError};

/// How exactly it is noted how late it was: a note costs a commit. A clock that goes back by less does no harm that lasts.
const GRAIN: SignedDuration = SignedDuration::from_secs(60);

/// Whether it is noted how late it is.
pub(super) fn is_noted(connection: &Connection, now: Timestamp) -> Result<bool, StoreError> {
    Ok(noted(connection)?.is_some_and(|noted| now.duration_since(noted).abs() <= GRAIN))
}

/// Notes how late it is. When that was later already, whoever may have been evaluated for a time that has not come is
/// evaluated again, and what was to wait by the wrong clock waits by this one. Returns by how much it went back.
pub(super) fn note(
    connection: &mut Connection,
    now: Timestamp,
) -> Result<Option<SignedDuration>, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let back = noted(&transaction)?.map(|noted| noted.duration_since(now)).filter(|back| *back > GRAIN);
    if back.is_some() {
        bring_forward(&transaction, micros(now))?;
        sweep_from(&transaction, FIRST_USER - 1)?;
    }
    set(&transaction, "noted_time", &print(&micros(now))?)?;
    transaction.commit()?;
    Ok(back)
}

fn noted(connection: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let noted = setting(connection, "noted_time")?;
    noted.map(|noted| parse(&noted, "the time").map(time)).transpose()
}

/// What waits for another attempt is due, since when it should be is not known; what waits for its turn waits since now
/// at most, so that it is not overtaken by all who come until that time. What a sink asked to look at again at a time stays
/// as it is: later than it should be, and never too early.
fn bring_forward(transaction: &Transaction<'_>, now: i64) -> Result<(), StoreError> {
    let sinks: Vec<i64> = transaction
        .prepare("SELECT key FROM sink")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for sink in sinks {
        for priority in Priority::ALL.map(priority_code) {
            transaction
                .prepare_cached(
                    "UPDATE queue INDEXED BY queue_backoff SET due = 0, since = min(since, ?3)
                     WHERE sink = ?1 AND priority = ?2 AND state = 0 AND due <> 0 AND due > ?3 AND attempts > 0",
                )?
                .execute(params![sink, priority, now])?;
            transaction
                .prepare_cached(
                    "UPDATE queue INDEXED BY queue_fresh SET since = ?3
                     WHERE sink = ?1 AND priority = ?2 AND state = 0 AND due = 0 AND since > ?3",
                )?
                .execute(params![sink, priority, now])?;
        }
    }
    Ok(())
}
