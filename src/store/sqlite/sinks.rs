//! Which sinks there are.

use jiff::Timestamp;
use rolecall_sink_api::SinkName;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::convert::{WAITING, micros, priority_code};
use super::restore;
use crate::store::{Priority, StoreError};

/// The configured sinks and the store's key for each.
#[derive(Debug, Default)]
pub(super) struct SinkKeys(Vec<(SinkName, i64)>);

impl SinkKeys {
    pub(super) fn key(&self, name: &SinkName) -> Result<i64, StoreError> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, key)| *key).ok_or_else(|| StoreError::Failed(format!("no sink {name} is configured")))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&SinkName, i64)> {
        self.0.iter().map(|(name, key)| (name, *key))
    }
}

pub(super) fn configured(connection: &Connection) -> Result<SinkKeys, StoreError> {
    let mut select = connection.prepare("SELECT name, key FROM sink WHERE configured ORDER BY name")?;
    let rows = select.query_map([], |row| Ok((SinkName::new(row.get::<_, String>(0)?), row.get(1)?)))?;
    Ok(SinkKeys(rows.collect::<Result<_, _>>()?))
}

pub(super) fn configure(
    connection: &mut Connection,
    names: &[SinkName],
    now: Timestamp,
) -> Result<SinkKeys, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = configured(&transaction)?;
    for (name, key) in before.iter().filter(|(name, _)| !names.contains(name)) {
        transaction.execute("DELETE FROM queue WHERE sink = ?1", [key])?;
        transaction.execute("UPDATE sink SET configured = 0 WHERE name = ?1", [name.as_str()])?;
    }
    let restored = restore::was_restored(&transaction, now)?;
    for name in names.iter().filter(|name| restored || before.key(name).is_err()) {
        let key: i64 = transaction.query_row(
            "INSERT INTO sink (name, configured) VALUES (?1, 1)
             ON CONFLICT (name) DO UPDATE SET configured = 1 RETURNING key",
            [name.as_str()],
            |row| row.get(0),
        )?;
        queue_unconfirmed(&transaction, key, now)?;
    }
    let after = configured(&transaction)?;
    transaction.commit()?;
    Ok(after)
}

/// Queues what the sink has not confirmed in its present state; what never was and must not be is not its concern. Only
/// who is there, or may be, can leave.
fn queue_unconfirmed(transaction: &Transaction<'_>, key: i64, now: Timestamp) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO queue (sink, entity, generation, priority, since, due, attempts, state)
         SELECT ?1, e.key, e.generation,
             CASE WHEN e.kind = 1 THEN CASE e.status WHEN 1 THEN ?4 ELSE ?5 END
                  WHEN e.status = 1 THEN ?6
                  WHEN a.document IS NOT NULL OR t.document IS NOT NULL THEN ?7
                  ELSE ?8 END,
             ?2, 0, 0, ?3
         FROM entity e LEFT JOIN applied a ON a.sink = ?1 AND a.entity = e.key
             LEFT JOIN attempted t ON t.sink = ?1 AND t.entity = e.key
         WHERE e.generation > coalesce(a.generation, 0)
             AND (e.digest IS NOT NULL OR a.entity IS NOT NULL OR t.document IS NOT NULL)
         ON CONFLICT (sink, entity) DO UPDATE SET
             generation = excluded.generation, due = 0, attempts = 0, state = excluded.state",
        params![
            key,
            micros(now),
            WAITING,
            priority_code(Priority::Group),
            priority_code(Priority::GroupRemoval),
            priority_code(Priority::User),
            priority_code(Priority::Leaver),
            priority_code(Priority::Inactive),
        ],
    )?;
    Ok(())
}
