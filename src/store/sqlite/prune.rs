//! Forgetting: in small steps, so that no message waits for it.

use rusqlite::{Connection, TransactionBehavior, params};

use super::convert::{micros, parse};
use crate::directory::UserState;
use crate::store::{Cutoffs, StoreError};

/// Rows of each kind that go in one step.
const STEP: u32 = 200;

pub(super) fn prune(connection: &mut Connection, cutoffs: Cutoffs) -> Result<usize, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Both grow at one end only, so the oldest rows are at the other: no index is needed.
    let mut gone = transaction.execute(
        "DELETE FROM event WHERE seq IN
             (SELECT seq FROM (SELECT seq, received_at FROM event ORDER BY seq LIMIT ?2) WHERE received_at < ?1)",
        params![micros(cutoffs.journal), STEP],
    )?;
    gone += transaction.execute(
        "DELETE FROM activity WHERE seq IN
             (SELECT seq FROM (SELECT seq, at FROM activity ORDER BY seq LIMIT ?2) WHERE at < ?1)",
        params![micros(cutoffs.activity), STEP],
    )?;
    for key in forgettable(&transaction, cutoffs)? {
        for table in ["applied", "activity"] {
            transaction.execute(&format!("DELETE FROM {table} WHERE entity = ?1"), [key])?;
        }
        transaction.execute("DELETE FROM stale WHERE user = ?1", [key])?;
        transaction.execute(
            "UPDATE entity_count SET n = n - 1
             WHERE status = 0 AND kind = (SELECT kind FROM entity WHERE key = ?1)",
            [key],
        )?;
        gone += transaction.execute("DELETE FROM entity WHERE key = ?1", [key])?;
    }
    transaction.commit()?;
    Ok(gone)
}

/// Tombstones that nothing needs any more: no sink has still to remove them, or confirmed that they are there,
/// and no membership speaks of them.
fn forgettable(connection: &Connection, cutoffs: Cutoffs) -> Result<Vec<i64>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT e.key, e.kind, e.state FROM entity e
         WHERE e.absent_since < ?1
             AND NOT EXISTS (SELECT 1 FROM queue q JOIN sink s ON s.key = q.sink
                             WHERE q.sink = s.key AND q.entity = e.key)
             AND NOT EXISTS (SELECT 1 FROM sink s JOIN applied a ON a.sink = s.key AND a.entity = e.key
                             WHERE s.configured AND a.document IS NOT NULL)
             AND NOT (e.kind = 1 AND (EXISTS (SELECT 1 FROM membership m WHERE m.group_id = e.id)
                                      OR EXISTS (SELECT 1 FROM membership_new m WHERE m.group_id = e.id)))
         ORDER BY e.absent_since LIMIT ?2",
    )?;
    let mut rows = select.query(params![micros(cutoffs.tombstones), STEP])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let is_user = row.get::<_, i64>(1)? == 0;
        if is_user && parse::<UserState>(row.get_ref(2)?.as_str()?, "a user")?.edges().next().is_some() {
            continue;
        }
        keys.push(row.get(0)?);
    }
    Ok(keys)
}
