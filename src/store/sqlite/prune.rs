//! Forgetting: in small steps, so that no message waits for it.

use rolecall_sink_api::GroupId;
use rusqlite::{Connection, TransactionBehavior, params};

use super::convert::{UNREADABLE, micros, parse};
use crate::directory::UserState;
use crate::store::{Cutoffs, StoreError};

/// Rows of each kind that are looked at in one step.
const STEP: u32 = 200;
/// Steps that are made at once when they find nothing that may go.
pub(super) const MOST_STEPS: usize = 20;

/// Where forgetting goes on: behind what was looked at and has to stay. A restart begins anew.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Up to this `seq`, which is in use, the journal holds unreadable messages only.
    journal: i64,
    /// `absent_since` and `key` of the last tombstone looked at.
    tombstone: (i64, i64),
}

impl Place {
    pub(super) const START: Place = Place { journal: i64::MIN, tombstone: (i64::MIN, i64::MIN) };
}

/// What one step did.
pub(super) struct Step {
    /// Rows that went.
    pub(super) gone: usize,
    /// Whether all that is old enough has been looked at.
    pub(super) done: bool,
    /// Where the next step begins.
    pub(super) place: Place,
}

pub(super) fn step(
    connection: &mut Connection,
    cutoffs: Cutoffs,
    mut place: Place,
) -> Result<Step, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (messages, messages_done) = forget_messages(&transaction, micros(cutoffs.journal), &mut place)?;
    // It grows at one end only, so the oldest rows are at the other: no index is needed.
    let lines = transaction.execute(
        "DELETE FROM activity WHERE seq IN
             (SELECT seq FROM (SELECT seq, at FROM activity ORDER BY seq LIMIT ?2) WHERE at < ?1)",
        params![micros(cutoffs.activity), STEP],
    )?;
    let holds = transaction.execute(
        "DELETE FROM hold WHERE id IN (SELECT id FROM hold WHERE closed_at < ?1 LIMIT ?2)",
        params![micros(cutoffs.activity), STEP],
    )?;
    let (tombstones, tombstones_done) =
        forget_tombstones(&transaction, micros(cutoffs.tombstones), &mut place)?;
    transaction.commit()?;
    Ok(Step { gone: messages + lines + holds + tombstones, done: messages_done && tombstones_done, place })
}

/// Removes what is past its time among the oldest messages, except unreadable ones: they are authentic, and nowhere
/// else. Returns how many went, and whether that was all.
///
/// The oldest are those with the lowest `seq`. Two hundred that came while the clock was ahead hold back what came
/// after them until that time has come: kept too long, never too short.
fn forget_messages(
    connection: &Connection,
    before: i64,
    place: &mut Place,
) -> Result<(usize, bool), StoreError> {
    let mut select = connection
        .prepare_cached("SELECT seq, status, received_at FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let mut delete = connection.prepare_cached("DELETE FROM event WHERE seq = ?1")?;
    let mut rows = select.query(params![place.journal, STEP])?;
    let (mut seen, mut past, mut young) = (0, Vec::new(), false);
    while let Some(row) = rows.next()? {
        seen += 1;
        let seq: i64 = row.get(0)?;
        match (row.get::<_, i64>(1)? == UNREADABLE, row.get::<_, i64>(2)? < before) {
            (true, _) if !young => place.journal = seq,
            (true, _) => {}
            (false, true) => past.push(seq),
            (false, false) => young = true,
        }
    }
    for seq in &past {
        delete.execute([seq])?;
    }
    Ok((past.len(), young || seen < STEP))
}

/// Removes the tombstones that nothing needs any more: no sink has still to remove them, confirmed that they are there
/// or may have made them, be it configured or not, and no membership speaks of them. Returns how many went, and
/// whether all that are old enough have been looked at.
fn forget_tombstones(
    connection: &Connection,
    before: i64,
    place: &mut Place,
) -> Result<(usize, bool), StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT e.key, e.kind, e.state, e.absent_since,
             EXISTS (SELECT 1 FROM sink s CROSS JOIN queue q WHERE q.sink = s.key AND q.entity = e.key)
             OR EXISTS (SELECT 1 FROM sink s CROSS JOIN applied a
                        WHERE a.sink = s.key AND a.entity = e.key AND a.document IS NOT NULL)
             OR EXISTS (SELECT 1 FROM sink s CROSS JOIN attempted t WHERE t.sink = s.key AND t.entity = e.key)
             OR (e.kind = 1 AND (EXISTS (SELECT 1 FROM membership m WHERE m.group_id = e.id)
                                 OR EXISTS (SELECT 1 FROM membership_new n WHERE n.group_id = e.id)))
         FROM entity e INDEXED BY entity_absent
         WHERE (e.absent_since, e.key) > (?1, ?2) AND e.absent_since < ?3
         ORDER BY e.absent_since, e.key LIMIT ?4",
    )?;
    let (mut seen, mut tombstones) = (0, Vec::new());
    let mut rows = select.query(params![place.tombstone.0, place.tombstone.1, before, STEP])?;
    while let Some(row) = rows.next()? {
        seen += 1;
        let (key, kind): (i64, i64) = (row.get(0)?, row.get(1)?);
        place.tombstone = (row.get(3)?, key);
        if row.get(4)? {
            continue;
        }
        match kind {
            0 => tombstones.extend(no_longer_in(row.get_ref(2)?.as_str()?).map(|groups| (key, kind, groups))),
            _ => tombstones.push((key, kind, Vec::new())),
        }
    }
    for (key, kind, groups) in &tombstones {
        forget(connection, *key, *kind, groups)?;
    }
    let done = seen < STEP;
    if done {
        place.tombstone = Place::START.tombstone;
    }
    Ok((tombstones.len(), done))
}

/// The groups a user is stated not to be in; `None` when one is stated that they are in, or when their state cannot
/// be read, since it must be left alone then.
fn no_longer_in(state: &str) -> Option<Vec<GroupId>> {
    let state: UserState = parse(state, "a user").ok()?;
    state.memberships().next().is_none().then(|| state.edges().cloned().collect())
}

fn forget(connection: &Connection, key: i64, kind: i64, groups: &[GroupId]) -> Result<(), StoreError> {
    for group in groups {
        for sql in [
            "DELETE FROM membership WHERE group_id = ?1 AND user = ?2",
            "DELETE FROM membership_new WHERE group_id = ?1 AND user = ?2",
        ] {
            connection.prepare_cached(sql)?.execute(params![group.as_str(), key])?;
        }
    }
    for sql in [
        "DELETE FROM applied WHERE sink IN (SELECT key FROM sink) AND entity = ?1",
        "DELETE FROM activity WHERE entity = ?1",
        "DELETE FROM stale WHERE user = ?1",
        "DELETE FROM entity WHERE key = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([key])?;
    }
    connection
        .prepare_cached("UPDATE entity_count SET n = n - 1 WHERE kind = ?1 AND status = 0")?
        .execute([kind])?;
    Ok(())
}
