//! What a sink's safeguard holds, and what it counts.

use std::collections::btree_map::Entry;
use std::time::Duration;

use jiff::Timestamp;
use rolecall_sink_api::SinkName;
use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};

use super::activity::note;
use super::commit::key_of;
use super::convert::{
    HELD, WAITING, micros, organization, organization_code, priority_code, signed, time, unsigned,
    withdrawal, withdrawal_code,
};
use super::population;
use crate::store::{
    Counted, Cursor, Decided, Decision, Guarded, Held, HeldBecause, Hold, HoldFilter, HoldId, Lately,
    Priority, Reached, StoreError, Tally, Withdrawal, Withdrawn,
};

pub(super) fn withdrawn_lately(
    connection: &Connection,
    sink: i64,
    asked: &[Withdrawn],
    since: Timestamp,
) -> Result<Lately, StoreError> {
    let since = micros(since);
    let mut lately = Lately::default();
    for Withdrawn { entity, withdrawal, organization } in asked {
        for organization in [None, organization.clone()] {
            let counted: Counted = (*withdrawal, organization);
            if let Entry::Vacant(place) = lately.tallies.entry(counted) {
                let tally = tally(connection, sink, place.key(), since)?;
                place.insert(tally);
            }
        }
        let Some(key) = key_of(connection, entity)? else { continue };
        let mut select = connection.prepare_cached(
            "SELECT 1 FROM withdrawn WHERE sink = ?1 AND withdrawal = ?2 AND entity = ?3 AND at > ?4",
        )?;
        if select.exists(params![sink, withdrawal_code(*withdrawal), key, since])? {
            lately.counted.insert((*withdrawal, entity.clone()));
        }
    }
    Ok(lately)
}

fn tally(
    connection: &Connection,
    sink: i64,
    (withdrawal, organization): &Counted,
    since: i64,
) -> Result<Tally, StoreError> {
    let (withdrawal, organization) = (withdrawal_code(*withdrawal), organization_code(organization.as_ref()));
    let withdrawn: i64 = if organization.is_empty() {
        let mut count = connection.prepare_cached(
            "SELECT count(*) FROM withdrawn INDEXED BY withdrawn_at
             WHERE sink = ?1 AND withdrawal = ?2 AND at > ?3",
        )?;
        count.query_row(params![sink, withdrawal, since], |row| row.get(0))?
    } else {
        let mut count = connection.prepare_cached(
            "SELECT count(*) FROM withdrawn INDEXED BY withdrawn_from
             WHERE sink = ?1 AND withdrawal = ?2 AND organization = ?3 AND at > ?4",
        )?;
        count.query_row(params![sink, withdrawal, organization, since], |row| row.get(0))?
    };
    let users = population::users(connection, sink, organization)?;
    Ok(Tally { withdrawn: unsigned(withdrawn), users: unsigned(users) })
}

pub(super) fn guard(
    connection: &mut Connection,
    name: &SinkName,
    sink: i64,
    guarded: &Guarded,
    now: Timestamp,
) -> Result<Vec<Hold>, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    forget_counted(&transaction, sink, micros(guarded.since), micros(now))?;
    for Withdrawn { entity, withdrawal, organization } in &guarded.passing {
        let Some(entity) = key_of(&transaction, entity)? else { continue };
        let mut count = transaction.prepare_cached(
            "INSERT OR REPLACE INTO withdrawn (sink, withdrawal, entity, organization, at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        let organization = organization_code(organization.as_ref());
        count.execute(params![sink, withdrawal_code(*withdrawal), entity, organization, micros(now)])?;
    }
    for (entity, generation) in &guarded.released {
        let Some(entity) = key_of(&transaction, entity)? else { continue };
        release(&transaction, sink, entity, signed(*generation), micros(now))?;
    }
    let mut opened = Vec::new();
    for held in &guarded.held {
        let Some(entity) = key_of(&transaction, &held.entity)? else { continue };
        opened.extend(hold(&transaction, sink, entity, held, micros(now))?);
    }
    close_empty(&transaction, micros(now))?;
    let mut holds = Vec::new();
    for id in opened {
        let filter = HoldFilter { sink: Some(name.clone()), id: Some(id), open: true, before: None };
        holds.extend(self::holds(&transaction, &filter, 1)?);
    }
    transaction.commit()?;
    Ok(holds)
}

/// Withdrawals that no longer count, and those that a clock which has been put back since noted far in the future:
/// they would count for as long.
fn forget_counted(connection: &Connection, sink: i64, since: i64, now: i64) -> Result<(), StoreError> {
    let nonsense = now.saturating_add(now.saturating_sub(since));
    for withdrawal in Withdrawal::ALL.map(withdrawal_code) {
        connection
            .prepare_cached("DELETE FROM withdrawn WHERE sink = ?1 AND withdrawal = ?2 AND at <= ?3")?
            .execute([sink, withdrawal, since])?;
        connection
            .prepare_cached("DELETE FROM withdrawn WHERE sink = ?1 AND withdrawal = ?2 AND at > ?3")?
            .execute([sink, withdrawal, nonsense])?;
    }
    Ok(())
}

/// What came into a hold and need not be held any more.
fn release(
    connection: &Connection,
    sink: i64,
    entity: i64,
    generation: i64,
    now: i64,
) -> Result<(), StoreError> {
    let event: Option<Option<String>> = connection
        .prepare_cached(
            "UPDATE queue SET hold = NULL WHERE sink = ?1 AND entity = ?2 AND generation = ?3
             AND hold IS NOT NULL RETURNING event",
        )?
        .query_row([sink, entity, generation], |row| row.get(0))
        .optional()?;
    if let Some(event) = event {
        note(connection, Some(sink), entity, "released", event.as_deref(), None, now)?;
    }
    Ok(())
}

/// Holds one change. Returns the hold that was opened for it.
fn hold(
    connection: &Connection,
    sink: i64,
    entity: i64,
    held: &Held,
    now: i64,
) -> Result<Option<HoldId>, StoreError> {
    let (hold, is_new) = match &held.because {
        HeldBecause::Already(id) if is_open(connection, *id)? => (*id, false),
        HeldBecause::Already(_) => return Ok(None),
        HeldBecause::Over(reached) => open_hold(connection, sink, held.withdrawal, reached, now)?,
    };
    let event: Option<Option<String>> = connection
        .prepare_cached(
            "UPDATE queue SET state = ?4, hold = ?5, attempts = 0, error = NULL
             WHERE sink = ?1 AND entity = ?2 AND generation = ?3 AND state = ?6 RETURNING event",
        )?
        .query_row(params![sink, entity, signed(held.generation), HELD, signed(hold.0), WAITING], |row| {
            row.get(0)
        })
        .optional()?;
    if let Some(event) = event {
        connection
            .prepare_cached(
                "UPDATE hold SET event = ?2, rules = (SELECT max(number) FROM rules_version) WHERE id = ?1",
            )?
            .execute(params![signed(hold.0), event])?;
        if let HeldBecause::Over(_) = held.because {
            let detail = format!("in hold {hold}");
            note(connection, Some(sink), entity, "held", event.as_deref(), Some(&detail), now)?;
        }
    }
    Ok(is_new.then_some(hold))
}

fn is_open(connection: &Connection, HoldId(id): HoldId) -> Result<bool, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT 1 FROM hold WHERE id = ?1 AND decision IS NULL AND closed_at IS NULL")?;
    Ok(select.exists([signed(id)])?)
}

/// The open hold for such changes, and whether it is opened only now.
fn open_hold(
    connection: &Connection,
    sink: i64,
    withdrawal: Withdrawal,
    reached: &Reached,
    now: i64,
) -> Result<(HoldId, bool), StoreError> {
    let organization = organization_code(reached.organization.as_ref());
    let found: Option<i64> = connection
        .prepare_cached(
            "SELECT id FROM hold INDEXED BY hold_open WHERE sink = ?1 AND withdrawal = ?2 AND organization = ?3
             AND decision IS NULL AND closed_at IS NULL",
        )?
        .query_row(params![sink, withdrawal_code(withdrawal), organization], |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok((HoldId(unsigned(id)), false));
    }
    let within = i64::try_from(reached.within.as_micros()).unwrap_or(i64::MAX);
    let id = connection
        .prepare_cached(
            "INSERT INTO hold (sink, withdrawal, organization, since, allowed, of_users, within)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .insert(params![
            sink,
            withdrawal_code(withdrawal),
            organization,
            now,
            signed(reached.allowed),
            signed(reached.of_users),
            within,
        ])?;
    Ok((HoldId(unsigned(id)), true))
}

/// Closes the holds in which nothing is left.
pub(super) fn close_empty(connection: &Connection, now: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE hold INDEXED BY hold_unfinished SET closed_at = ?1
             WHERE closed_at IS NULL AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.hold = hold.id)",
        )?
        .execute([now])?;
    Ok(())
}

/// How many changes are held for a sink, and since when.
pub(super) fn open(connection: &Connection, sink: i64) -> Result<(u64, Option<Timestamp>), StoreError> {
    let held: i64 = connection
        .prepare_cached("SELECT count(*) FROM queue INDEXED BY queue_held WHERE sink = ?1 AND state = 2")?
        .query_row([sink], |row| row.get(0))?;
    let since: Option<i64> = connection
        .prepare_cached(
            "SELECT min(since) FROM hold INDEXED BY hold_unfinished
             WHERE sink = ?1 AND closed_at IS NULL AND decision IS NULL",
        )?
        .query_row([sink], |row| row.get(0))?;
    Ok((unsigned(held), since.filter(|_| held > 0).map(time)))
}

pub(super) fn holds(
    connection: &Connection,
    filter: &HoldFilter,
    limit: u32,
) -> Result<Vec<Hold>, StoreError> {
    let open = if filter.open { "AND h.decision IS NULL AND h.closed_at IS NULL" } else { "" };
    let of_id = filter.id.map(|HoldId(id)| format!("AND h.id = {id}")).unwrap_or_default();
    let mut select = connection.prepare_cached(&format!(
        "SELECT h.id, s.name, h.withdrawal, h.organization, h.since, h.allowed, h.of_users, h.within, h.event,
             h.rules, h.decision, h.decided_by, h.decided_at, h.closed_at,
             (SELECT count(*) FROM queue q WHERE q.hold = h.id)
         FROM hold h CROSS JOIN sink s ON s.key = h.sink
         WHERE h.id < ?1 {of_id} {open} AND (?2 IS NULL OR s.name = ?2) ORDER BY h.id DESC LIMIT ?3"
    ))?;
    let before = filter.before.map_or(i64::MAX, |HoldId(id)| signed(id));
    let found = select.query_map(params![before, filter.sink.as_ref().map(SinkName::as_str), limit], view)?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn view(row: &Row<'_>) -> rusqlite::Result<Hold> {
    let decided = match row.get::<_, Option<i64>>(10)? {
        None => None,
        Some(code) => Some(Decided { decision: decision(code), by: row.get(11)?, at: time(row.get(12)?) }),
    };
    Ok(Hold {
        id: HoldId(unsigned(row.get(0)?)),
        sink: SinkName::new(row.get::<_, String>(1)?),
        withdrawal: withdrawal(row.get(2)?),
        since: time(row.get(4)?),
        changes: unsigned(row.get(14)?),
        reached: Reached {
            organization: organization(row.get(3)?),
            allowed: unsigned(row.get(5)?),
            of_users: unsigned(row.get(6)?),
            within: Duration::from_micros(unsigned(row.get(7)?)),
        },
        event: row.get(8)?,
        rules_version: row.get::<_, Option<i64>>(9)?.map(unsigned),
        decided,
        closed_at: row.get::<_, Option<i64>>(13)?.map(time),
    })
}

fn decision_code(decision: Decision) -> i64 {
    match decision {
        Decision::Approved => 0,
        Decision::Rejected => 1,
    }
}

fn decision(code: i64) -> Decision {
    if code == decision_code(Decision::Approved) { Decision::Approved } else { Decision::Rejected }
}

/// Notes a decision: nothing comes into the hold any more. Returns whether it was open, or was so decided and something
/// is left to be done.
pub(super) fn decide(
    connection: &mut Connection,
    HoldId(id): HoldId,
    decision: Decision,
    by: Option<&str>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let decided: Option<(i64, i64, String)> = transaction
        .prepare_cached(
            "UPDATE hold SET decision = ?2, decided_by = coalesce(decided_by, ?3),
                 decided_at = coalesce(decided_at, ?4)
             WHERE id = ?1 AND coalesce(decision, ?2) = ?2 AND closed_at IS NULL
             RETURNING sink, withdrawal, organization",
        )?
        .query_row(params![signed(id), decision_code(decision), by, micros(now)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((sink, withdrawal, organization)) = decided else { return Ok(false) };
    if decision == Decision::Approved {
        // What was let through before belongs to the wave that is approved.
        transaction
            .prepare_cached(
                "DELETE FROM withdrawn WHERE sink = ?1 AND withdrawal = ?2 AND (?3 = '' OR organization = ?3)",
            )?
            .execute(params![sink, withdrawal, organization])?;
    }
    transaction.commit()?;
    Ok(true)
}

/// Does as was decided with those of a portion that are still in the hold. Returns how many were held.
pub(super) fn carry_out(
    connection: &mut Connection,
    portion: &[Cursor],
    hold: HoldId,
    decision: Decision,
    by: Option<&str>,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut done = 0;
    for Cursor(sink, entity) in portion {
        let was_held = carry_out_one(&transaction, (*sink, *entity), hold, decision, by, micros(now))?;
        done += usize::from(was_held);
    }
    close_empty(&transaction, micros(now))?;
    transaction.commit()?;
    Ok(done)
}

fn carry_out_one(
    connection: &Connection,
    (sink, entity): (i64, i64),
    hold: HoldId,
    decision: Decision,
    by: Option<&str>,
    now: i64,
) -> Result<bool, StoreError> {
    let id = signed(hold.0);
    let event: Option<Option<String>> = match decision {
        Decision::Approved => connection
            .prepare_cached(
                "UPDATE queue SET state = ?4, due = 0, hold = NULL, approved = generation,
                     priority = CASE (SELECT withdrawal FROM hold WHERE id = ?3) WHEN ?5 THEN ?6 ELSE priority END
                 WHERE sink = ?1 AND entity = ?2 AND hold = ?3 AND state = ?7 RETURNING event",
            )?
            .query_row(
                params![
                    sink,
                    entity,
                    id,
                    WAITING,
                    withdrawal_code(Withdrawal::Removal),
                    priority_code(Priority::Leaver),
                    HELD
                ],
                |row| row.get(0),
            )
            .optional()?,
        Decision::Rejected => connection
            .prepare_cached(
                "DELETE FROM queue WHERE sink = ?1 AND entity = ?2 AND hold = ?3 AND state = ?4 RETURNING event",
            )?
            .query_row(params![sink, entity, id, HELD], |row| row.get(0))
            .optional()?,
    };
    let Some(event) = event else {
        // Something newer came, and is looked at for itself.
        connection
            .prepare_cached("UPDATE queue SET hold = NULL WHERE sink = ?1 AND entity = ?2 AND hold = ?3")?
            .execute([sink, entity, id])?;
        return Ok(false);
    };
    let by = by.map(|by| format!(", by {by}")).unwrap_or_default();
    let detail = format!("hold {hold}{by}");
    note(connection, Some(sink), entity, decision.as_str(), event.as_deref(), Some(&detail), now)?;
    Ok(true)
}

/// Carries out decisions that a crash cut off.
pub(super) fn finish_decided(connection: &Connection, now: i64) -> Result<(), StoreError> {
    let mut select = connection.prepare(
        "SELECT id, decision, decided_by FROM hold INDEXED BY hold_unfinished
         WHERE closed_at IS NULL AND decision IS NOT NULL",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let hold: i64 = row.get(0)?;
        let decision = decision(row.get(1)?);
        let by: Option<String> = row.get(2)?;
        let mut left = connection.prepare_cached("SELECT sink, entity FROM queue WHERE hold = ?1")?;
        let left = left.query_map([hold], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for place in left.collect::<Result<Vec<(i64, i64)>, _>>()? {
            carry_out_one(connection, place, HoldId(unsigned(hold)), decision, by.as_deref(), now)?;
        }
    }
    close_empty(connection, now)
}

/// Forgets the holds of a sink that is no longer configured, and what counts for it.
pub(super) fn forget(connection: &Connection, sink: i64) -> Result<(), StoreError> {
    connection.execute("DELETE FROM hold WHERE sink = ?1", [sink])?;
    connection.execute("DELETE FROM withdrawn WHERE sink = ?1", [sink])?;
    Ok(())
}
