//! Looking whether all is well: SQLite's own check of the file, and what must be true of the rows.
//!
//! In steps, each of which reads in one transaction, so that it can be done while others write: between two steps the store
//! may change, and within one it agrees with itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rolecall_sink_api::{Document, Entity, GroupId, UserId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::convert::{entity, micros, parse, status, status_code, unsigned};
use super::queue::group_state;
use super::{backup, population, rules};
use crate::directory::{GroupState, UserState};
use crate::rules::Scopes;
use crate::store::desired::{self, Withholding};
use crate::store::{CheckPlace, CheckStep, Finding, Remedy, StoreError};

/// How many entities are looked at in one step.
const PORTION: u32 = 2000;
/// How many findings of a kind a step tells.
const MOST: u32 = 20;

/// The tables whose pages and indexes are looked through, one in a step.
const TABLES: [&str; 17] = [
    "event",
    "entity",
    "entity_count",
    "membership",
    "membership_new",
    "stale",
    "connection",
    "sink",
    "queue",
    "hold",
    "withdrawn",
    "population",
    "applied",
    "attempted",
    "activity",
    "setting",
    "rules_version",
];

/// What must not be there: each says so in words, and selects what it is about.
const MUST_NOT_BE: [(&str, Remedy, &str); 8] = [
    (
        "an item of the queue of sink {} is about nobody: key {}",
        Remedy::Report,
        "SELECT q.sink, q.entity FROM queue q WHERE NOT EXISTS (SELECT 1 FROM entity e WHERE e.key = q.entity)",
    ),
    (
        "an item is in the queue of a sink that is not known: sink {}, key {}",
        Remedy::Report,
        "SELECT q.sink, q.entity FROM queue q WHERE NOT EXISTS (SELECT 1 FROM sink s WHERE s.key = q.sink)",
    ),
    (
        "an item of the queue of sink {} is newer than what it is about: key {}",
        Remedy::SendAgain,
        "SELECT q.sink, q.entity FROM queue q JOIN entity e ON e.key = q.entity WHERE q.generation > e.generation",
    ),
    (
        "sink {} confirmed what was never desired: key {} in a newer generation",
        Remedy::SendAgain,
        "SELECT a.sink, a.entity FROM applied a JOIN entity e ON e.key = a.entity WHERE a.generation > e.generation",
    ),
    (
        "sink {} confirmed somebody who is not known: key {}",
        Remedy::Report,
        "SELECT a.sink, a.entity FROM applied a WHERE NOT EXISTS (SELECT 1 FROM entity e WHERE e.key = a.entity)",
    ),
    (
        "an attempt of sink {} is about nobody: key {}",
        Remedy::Report,
        "SELECT t.sink, t.entity FROM attempted t WHERE NOT EXISTS (SELECT 1 FROM entity e WHERE e.key = t.entity)",
    ),
    (
        "a membership in {} is of nobody: key {}",
        Remedy::Report,
        "SELECT m.group_id, m.user FROM membership m WHERE NOT EXISTS (SELECT 1 FROM entity e WHERE e.key = m.user)",
    ),
    (
        "{} is to be evaluated again and is nobody: key {}",
        Remedy::Report,
        "SELECT 'a user', s.user FROM stale s WHERE NOT EXISTS (SELECT 1 FROM entity e WHERE e.key = s.user)",
    ),
];

/// The steps before the entities are looked at one by one.
const FIRST_STEPS: usize = TABLES.len() + 3;

/// The next step. Without scopes it cannot be told what sinks are not given, so digests are left out.
pub(super) fn step(
    connection: &Connection,
    scopes: Option<&Scopes>,
    after: Option<CheckPlace>,
    now: Timestamp,
) -> Result<CheckStep, StoreError> {
    let place = after.unwrap_or(CheckPlace { step: 0, key: i64::MIN, entities: 0 });
    // One transaction, so that all of it is read at the same point.
    let transaction = connection.unchecked_transaction()?;
    let entities: i64 =
        transaction.query_row("SELECT coalesce(sum(n), 0) FROM entity_count", [], |row| row.get(0))?;
    let first = place.step as usize;
    let mut step = CheckStep {
        what: "everybody, one by one".into(),
        findings: Vec::new(),
        left_out: None,
        // A table counts as much as a portion of entities.
        done: (u64::from(place.step) + 1) * u64::from(PORTION),
        of: FIRST_STEPS as u64 * u64::from(PORTION) + unsigned(entities),
        next: Some(CheckPlace { step: place.step.saturating_add(1), ..place }),
    };
    if let Some(table) = TABLES.get(first) {
        step.what = format!("the pages and indexes of the table {table}");
        step.findings = damaged(&transaction, table)?;
    } else if first == TABLES.len() {
        step.what = "who belongs to whom".into();
        for (words, remedy, sql) in MUST_NOT_BE {
            step.findings.extend(must_not_be(&transaction, words, remedy, sql)?);
        }
    } else if first == TABLES.len() + 1 {
        step.what = "how many there are".into();
        step.findings = counts(&transaction)?;
    } else if first == TABLES.len() + 2 {
        step.what = "how many users each sink holds".into();
        let finding = |what| Finding { what, remedy: Remedy::Report };
        step.findings = population::miscounted(&transaction, MOST)?.into_iter().map(finding).collect();
    } else {
        let portion = Portion::read(&transaction, scopes, place.key, now)?;
        let seen = place.entities.saturating_add(portion.entities);
        step.done = (FIRST_STEPS as u64 * u64::from(PORTION)).saturating_add(seen);
        step.of = step.of.max(step.done);
        step.findings = portion.findings;
        step.next = portion.last.map(|key| CheckPlace { step: place.step, key, entities: seen });
        if scopes.is_none() && step.next.is_none() {
            step.left_out = Some(
                "whether what is desired of everybody is what was noted: sinks are given some users only (`only`), and which \
                 these are a running daemon knows; check again while it runs"
                    .into(),
            );
        }
    }
    Ok(step)
}

/// Whether every sink is given everybody, as far as the store knows.
pub(super) fn had_no_scopes(connection: &Connection) -> Result<bool, StoreError> {
    let fingerprint = rules::setting(connection, "scopes")?;
    Ok(fingerprint.is_none_or(|fingerprint| fingerprint == Scopes::default().fingerprint().to_string()))
}

fn damaged(connection: &Connection, table: &str) -> Result<Vec<Finding>, StoreError> {
    let damages = backup::damages(connection, Some(table))?;
    let finding = |what| Finding { what: format!("{table}: {what}"), remedy: Remedy::Restore };
    Ok(damages.into_iter().map(finding).collect())
}

fn must_not_be(
    connection: &Connection,
    words: &str,
    remedy: Remedy,
    sql: &str,
) -> Result<Vec<Finding>, StoreError> {
    let mut select = connection.prepare(&format!("{sql} LIMIT {MOST}"))?;
    let found = select.query_map([], |row| {
        let (whose, key): (rusqlite::types::Value, i64) = (row.get(0)?, row.get(1)?);
        let whose = match whose {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        };
        Ok(Finding { what: words.replacen("{}", &whose, 1).replacen("{}", &key.to_string(), 1), remedy })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The counts that are kept, beside those that there are.
fn counts(connection: &Connection) -> Result<Vec<Finding>, StoreError> {
    let mut differ = connection.prepare(
        "SELECT kind, status, sum(kept), sum(found) FROM (
             SELECT kind, status, n AS kept, 0 AS found FROM entity_count
             UNION ALL SELECT kind, status, 0, count(*) FROM entity GROUP BY kind, status)
         GROUP BY kind, status HAVING sum(kept) <> sum(found)",
    )?;
    let found = differ.query_map([], |row| {
        let kind = if row.get::<_, i64>(0)? == 0 { "users" } else { "groups" };
        let word = format!("{:?}", status(row.get(1)?)).to_lowercase();
        let (kept, found): (i64, i64) = (row.get(2)?, row.get(3)?);
        let what = format!("{kept} {word} {kind} are counted, and there are {found}");
        Ok(Finding { what, remedy: Remedy::Report })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Some entities, looked at one by one.
#[derive(Default)]
struct Portion {
    findings: Vec<Finding>,
    entities: u64,
    /// The last key, where more follow.
    last: Option<i64>,
}

impl Portion {
    fn read(
        connection: &Connection,
        scopes: Option<&Scopes>,
        after: i64,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut select = connection.prepare_cached(
            "SELECT e.key, e.kind, e.id, e.state, e.roles, e.status, e.digest, e.absent_since IS NOT NULL,
                 e.generation,
                 e.evaluate_at IS NOT NULL AND e.evaluate_at <= ?3
                 OR EXISTS (SELECT 1 FROM stale s WHERE s.user = e.key)
             FROM entity e WHERE e.key > ?1 ORDER BY e.key LIMIT ?2",
        )?;
        let sweeping = rules::setting(connection, "sweep")?.is_some();
        let mut groups = Known { connection, states: BTreeMap::new() };
        let mut portion = Portion::default();
        let mut rows = select.query(params![after, PORTION, micros(now)])?;
        let mut last = None;
        while let Some(row) = rows.next()? {
            portion.entities += 1;
            last = Some(row.get(0)?);
            // Of whom is to be evaluated again, what was noted is old.
            let old = sweeping || row.get(9)?;
            let scopes = scopes.filter(|_| !old);
            if portion.findings.len() < MOST as usize
                && let Some(wrong) = wrong(row, &mut groups, scopes, now)?
            {
                let who = entity(row.get(1)?, row.get(2)?);
                portion.findings.push(Finding { what: format!("{who}: {wrong}"), remedy: Remedy::SendAgain });
            }
        }
        if portion.entities == u64::from(PORTION) {
            portion.last = last;
        }
        Ok(portion)
    }
}

/// What is wrong with an entity, if anything is.
fn wrong(
    row: &Row<'_>,
    groups: &mut Known<'_>,
    scopes: Option<&Scopes>,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let key: i64 = row.get(0)?;
    let who = entity(row.get(1)?, row.get(2)?);
    let state = row.get_ref(3)?.as_str()?;
    let desired = match &who {
        Entity::User(id) => user(groups, id, key, state, row.get_ref(4)?.as_str()?, scopes, now),
        Entity::Group(id) => group(id, state, scopes),
    };
    let (document, withheld) = match desired {
        Ok(Desired { wrong: Some(wrong), .. }) => return Ok(Some(wrong)),
        Ok(Desired { document, withheld, .. }) => (document, withheld),
        Err(error) => return Ok(Some(error.to_string())),
    };
    let digest: Option<[u8; 16]> = row.get(6)?;
    if let Some(withheld) = withheld {
        let now = document.as_ref().map(|document| desired::digest_withholding(document, &withheld));
        if now != digest {
            return Ok(Some(
                "what is desired is not what was noted, so sinks may hold something older".into(),
            ));
        }
    }
    let status = desired::status(document.as_ref());
    if scopes.is_some() && status_code(status) != row.get::<_, i64>(5)? {
        return Ok(Some("it is listed as another status than it has".into()));
    }
    if digest.is_none() != row.get::<_, bool>(7)? {
        return Ok(Some(
            "since when it is gone is noted of somebody who is there, or not of somebody who is not".into(),
        ));
    }
    if digest.is_some() && row.get::<_, i64>(8)? <= 0 {
        return Ok(Some("it has no generation".into()));
    }
    Ok(None)
}

/// What is desired of an entity, and what is withheld from whom, where that can be told.
#[derive(Default)]
struct Desired {
    document: Option<Document>,
    withheld: Option<Withholding>,
    wrong: Option<String>,
}

fn group(id: &GroupId, state: &str, scopes: Option<&Scopes>) -> Result<Desired, StoreError> {
    let state: GroupState = parse(state, "its state")?;
    Ok(Desired {
        document: desired::group(id, &state).map(Document::Group),
        withheld: scopes.map(|scopes| desired::withheld_group(scopes, id, &state)),
        wrong: None,
    })
}

fn user(
    groups: &mut Known<'_>,
    id: &UserId,
    key: i64,
    state: &str,
    roles: &str,
    scopes: Option<&Scopes>,
    now: Timestamp,
) -> Result<Desired, StoreError> {
    let state: UserState = parse(state, "their state")?;
    for group in state.edges() {
        if !groups.indexed(group, key)? {
            let wrong = format!(
                "their membership in {group} is in no index, so a change of the group does not reach them"
            );
            return Ok(Desired { wrong: Some(wrong), ..Desired::default() });
        }
        groups.read(group)?;
    }
    let user = desired::user(id, &state, &groups.states, parse(roles, "their roles")?);
    Ok(Desired {
        document: user.map(|user| Document::User(Box::new(user))),
        withheld: scopes.map(|scopes| desired::withheld_user(scopes, &state, &groups.states, now).0),
        wrong: None,
    })
}

/// The groups that were read.
struct Known<'c> {
    connection: &'c Connection,
    states: BTreeMap<GroupId, GroupState>,
}

impl Known<'_> {
    fn read(&mut self, id: &GroupId) -> Result<(), StoreError> {
        if !self.states.contains_key(id)
            && let Some(state) = group_state(self.connection, id)?
        {
            self.states.insert(id.clone(), state);
        }
        Ok(())
    }

    /// Whether the index leads from the group to the user.
    fn indexed(&self, group: &GroupId, user: i64) -> Result<bool, StoreError> {
        let mut select = self.connection.prepare_cached(
            "SELECT 1 FROM membership WHERE group_id = ?1 AND user = ?2
             UNION ALL SELECT 1 FROM membership_new WHERE user = ?2 AND group_id = ?1 LIMIT 1",
        )?;
        let found: Option<i64> =
            select.query_row(params![group.as_str(), user], |row| row.get(0)).optional()?;
        Ok(found.is_some())
    }
}
