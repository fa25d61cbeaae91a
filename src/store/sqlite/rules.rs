//! Which rules are in force, which were, and who is to be evaluated again.

use jiff::Timestamp;
use rolecall_sink_api::Entity;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};

use super::convert::{entity, micros, parse, print, signed, time, unsigned};
use crate::rules::Scopes;
use crate::store::{Adopted, NewRules, RulesVersion, Stale, StoreError, Swept};

/// How many versions of the rules are kept.
const MOST_VERSIONS: i64 = 1000;
/// Users have the keys from here on.
pub(super) const FIRST_USER: i64 = (1 << 40) + 1;
/// The sweep that is over.
const OVER: Swept = Swept(i64::MAX);

const COLUMNS: &str = "number, at, origin, fingerprint, file";

pub(super) fn use_rules(connection: &mut Connection, new: &NewRules) -> Result<Adopted, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let newest = version(&transaction, None)?;
    let is_new = newest.as_ref().is_none_or(|newest| newest.text != new.text);
    let number = newest.map_or(0, |newest| newest.number) + u64::from(is_new);
    let fingerprint = new.rules.fingerprint().to_string();
    if is_new {
        transaction.execute(
            "INSERT INTO rules_version (number, at, origin, fingerprint, file, text)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![signed(number), micros(new.at), print(&new.origin)?, fingerprint, new.file, new.text],
        )?;
        transaction
            .execute("DELETE FROM rules_version WHERE number <= ?1", [signed(number) - MOST_VERSIONS])?;
    } else {
        transaction.execute(
            "UPDATE rules_version SET file = ?2 WHERE number = ?1",
            params![signed(number), new.file],
        )?;
    }
    let before = setting(&transaction, "rules")?;
    let scopes = new.scopes.fingerprint().to_string();
    let no_scopes = Scopes::default().fingerprint().to_string();
    let other_scopes = setting(&transaction, "scopes")?.unwrap_or(no_scopes) != scopes;
    let other_rules = before.as_deref() != Some(&fingerprint);
    if other_scopes {
        set(&transaction, "scopes", &scopes)?;
        sweep_from(&transaction, 0)?;
    }
    if other_rules {
        set(&transaction, "rules", &fingerprint)?;
        sweep_from(&transaction, FIRST_USER - 1)?;
    }
    transaction.commit()?;
    Ok(Adopted { version: number, is_new, evaluates: before.is_some() && (other_rules || other_scopes) })
}

pub(super) fn setting(connection: &Connection, name: &str) -> Result<Option<String>, StoreError> {
    let mut select = connection.prepare_cached("SELECT value FROM setting WHERE name = ?1")?;
    Ok(select.query_row([name], |row| row.get(0)).optional()?)
}

pub(super) fn set(connection: &Connection, name: &str, value: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO setting (name, value) VALUES (?1, ?2)")?
        .execute([name, value])?;
    Ok(())
}

/// How far a sweep over all entities has come, and where it ends: who came after it began was evaluated as they came.
struct Sweep {
    done: i64,
    end: i64,
}

fn sweep(connection: &Connection) -> Result<Option<Sweep>, StoreError> {
    let Some(text) = setting(connection, "sweep")? else { return Ok(None) };
    let (done, end) = parse(&text, "the sweep")?;
    Ok(Some(Sweep { done, end }))
}

/// Has everybody behind this key evaluated again, and whoever an earlier sweep has not come to. It costs the same
/// for a million.
pub(super) fn sweep_from(transaction: &Transaction<'_>, key: i64) -> Result<(), StoreError> {
    let end: Option<i64> = transaction.query_row("SELECT max(key) FROM entity", [], |row| row.get(0))?;
    let Some(end) = end.filter(|end| *end > key) else { return Ok(()) };
    let done = sweep(transaction)?.map_or(key, |sweep| sweep.done.min(key));
    set(transaction, "sweep", &print(&(done, end))?)
}

/// Notes how far the sweep has come.
pub(super) fn swept(transaction: &Transaction<'_>, to: Swept) -> Result<(), StoreError> {
    if to == OVER {
        transaction.execute("DELETE FROM setting WHERE name = 'sweep'", [])?;
    } else if let Some(Sweep { end, .. }) = sweep(transaction)? {
        set(transaction, "sweep", &print(&(to.0, end))?)?;
    }
    Ok(())
}

pub(super) fn stale(connection: &Connection, now: Timestamp, limit: u32) -> Result<Stale, StoreError> {
    let read = |row: &Row<'_>| Ok(entity(row.get(0)?, row.get(1)?));
    let mut found: Vec<Entity> = connection
        .prepare_cached(
            "SELECT entity.kind, entity.id FROM stale CROSS JOIN entity ON entity.key = stale.user LIMIT ?1",
        )?
        .query_map([limit], read)?
        .collect::<Result<_, _>>()?;
    let left = |found: &Vec<Entity>| i64::from(limit) - i64::try_from(found.len()).unwrap_or(i64::MAX);
    if left(&found) > 0 {
        let mut timed = connection.prepare_cached(
            "SELECT kind, id FROM entity INDEXED BY entity_evaluate_at WHERE evaluate_at <= ?1
             ORDER BY evaluate_at LIMIT ?2",
        )?;
        let rows = timed.query_map([micros(now), left(&found)], read)?;
        let timed: Vec<Entity> = rows.collect::<Result<_, _>>()?;
        found.extend(timed);
    }
    let Some(Sweep { done, end }) = sweep(connection)? else {
        return Ok(Stale { entities: found, swept: None });
    };
    let limit = left(&found);
    if limit <= 0 {
        return Ok(Stale { entities: found, swept: None });
    }
    let mut next = connection.prepare_cached(
        "SELECT kind, id, key FROM entity WHERE key > ?1 AND key <= ?2 ORDER BY key LIMIT ?3",
    )?;
    let mut rows = next.query([done, end, limit])?;
    let (mut last, mut read) = (done, 0);
    while let Some(row) = rows.next()? {
        found.push(entity(row.get(0)?, row.get(1)?));
        (last, read) = (row.get(2)?, read + 1);
    }
    Ok(Stale { entities: found, swept: Some(if read < limit { OVER } else { Swept(last) }) })
}

/// Writes something that says nothing, to see whether anything can be written. It need not survive the machine.
pub(super) fn note_nothing(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    set(&transaction, "writable", "yes")?;
    Ok(transaction.commit()?)
}

/// How many users are to be evaluated again because other rules came into force; one more or less where some were
/// forgotten since.
pub(super) fn to_sweep(connection: &Connection) -> Result<u64, StoreError> {
    Ok(sweep(connection)?.map_or(0, |sweep| unsigned(sweep.end - sweep.done.max(FIRST_USER - 1))))
}

pub(super) fn next_evaluation(connection: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<i64> = connection
        .prepare_cached(
            "SELECT evaluate_at FROM entity INDEXED BY entity_evaluate_at WHERE evaluate_at IS NOT NULL
             ORDER BY evaluate_at LIMIT 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(at.map(time))
}

pub(super) fn versions(connection: &Connection, limit: u32) -> Result<Vec<RulesVersion>, StoreError> {
    let mut select = connection
        .prepare_cached(&format!("SELECT {COLUMNS}, '' FROM rules_version ORDER BY number DESC LIMIT ?1"))?;
    let mut rows = select.query([limit])?;
    let mut versions = Vec::new();
    while let Some(row) = rows.next()? {
        versions.push(read(row)?);
    }
    Ok(versions)
}

pub(super) fn version(
    connection: &Connection,
    number: Option<u64>,
) -> Result<Option<RulesVersion>, StoreError> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, text FROM rules_version
         WHERE number = coalesce(?1, (SELECT max(number) FROM rules_version))"
    ))?;
    let mut rows = select.query([number.map(signed)])?;
    rows.next()?.map(read).transpose()
}

fn read(row: &Row<'_>) -> Result<RulesVersion, StoreError> {
    Ok(RulesVersion {
        number: unsigned(row.get(0)?),
        at: time(row.get(1)?),
        origin: parse(row.get_ref(2)?.as_str()?, "where rules came from")?,
        fingerprint: row.get(3)?,
        file: row.get(4)?,
        text: row.get(5)?,
    })
}
