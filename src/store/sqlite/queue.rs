//! What the delivery workers take and give back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use rolecall_sink_api::{Action, Attempted, Change, Document, Entity, GroupId, RemoteId, RoleName, SinkName};
use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::activity::note;
use super::commit::key_of;
use super::convert::{DEAD, entity, micros, parse, print, priority, signed, time, unsigned, withdrawal};
use super::population::Population;
use super::turn;
use crate::directory::{GroupState, UserState};
use crate::rules::Scope;
use crate::store::{Due, HeldIn, HoldId, Resolution, Settled, Settlement, StoreError, desired};

/// Who takes what is due.
pub(super) struct Taker {
    pub(super) sink: SinkName,
    pub(super) key: i64,
    /// What they are given; without one, everything.
    pub(super) scope: Option<Arc<Scope>>,
}

pub(super) fn due(
    connection: &Connection,
    Taker { sink, key, scope }: &Taker,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Due>, StoreError> {
    // One transaction, so that all of it is read at the same point.
    let transaction = connection.unchecked_transaction()?;
    let mut select = transaction.prepare_cached(
        "SELECT e.kind, e.id, e.state, e.roles, q.generation, q.priority, q.attempts, a.document, a.remote,
             t.document, q.approved = q.generation, h.id, h.withdrawal
         FROM queue q CROSS JOIN entity e ON e.key = q.entity
             LEFT JOIN applied a ON a.sink = q.sink AND a.entity = q.entity
             LEFT JOIN attempted t ON t.sink = q.sink AND t.entity = q.entity
             LEFT JOIN hold h ON h.id = q.hold
         WHERE q.sink = ?1 AND q.entity = ?2",
    )?;
    let mut groups = Groups::new(connection, scope.as_deref(), now);
    let mut due = Vec::new();
    for entity_key in turn::due(&transaction, *key, micros(now), limit)? {
        let mut rows = select.query([*key, entity_key])?;
        let Some(row) = rows.next()? else { continue };
        let entity = entity(row.get(0)?, row.get(1)?);
        let (desired, in_scope) = match groups.desired(
            &entity,
            row.get_ref(2)?.as_str()?,
            row.get_ref(3)?.as_str()?,
        ) {
            Ok(desired) => desired,
            Err(error) => {
                // It waits until a version that can read it comes; the others go on.
                tracing::error!(%sink, %entity, %error, "what is stored cannot be read, so it is not delivered");
                continue;
            }
        };
        let applied: Option<String> = row.get(7)?;
        let remote: Option<String> = row.get(8)?;
        let attempted: Option<String> = row.get(9)?;
        let attempted: Option<Attempted> = readable(attempted.as_deref(), &entity);
        let made = attempted.as_ref().and_then(|attempted| attempted.remote.clone());
        let generation = unsigned(row.get(4)?);
        due.push(Due {
            priority: priority(row.get(5)?),
            in_scope,
            approved: row.get::<_, Option<bool>>(10)?.unwrap_or_default(),
            held: held_in(row)?,
            change: Change {
                idempotency_key: idempotency_key(sink, &entity, generation, desired.as_ref()),
                desired,
                applied: readable(applied.as_deref(), &entity),
                attempted,
                remote: made.or(remote.map(RemoteId::new)),
                entity,
                generation,
                attempt: row.get::<_, u32>(6)? + 1,
            },
        });
    }
    Ok(due)
}

fn held_in(row: &Row<'_>) -> Result<Option<HeldIn>, StoreError> {
    let Some(hold) = row.get::<_, Option<i64>>(11)? else { return Ok(None) };
    Ok(Some(HeldIn { hold: HoldId(unsigned(hold)), withdrawal: withdrawal(row.get(12)?) }))
}

/// What was kept of an earlier delivery; what cannot be read is as good as not known.
pub(super) fn readable<T: DeserializeOwned>(json: Option<&str>, entity: &Entity) -> Option<T> {
    let parsed = json.map(|json| parse(json, "an earlier delivery")).transpose();
    parsed.unwrap_or_else(|error| {
        tracing::error!(%entity, %error, "what a sink confirmed is not known any more");
        None
    })
}

/// The states of groups, each read once, and whom they are for.
pub(super) struct Groups<'c> {
    connection: &'c Connection,
    states: BTreeMap<GroupId, GroupState>,
    scope: Option<&'c Scope>,
    now: Timestamp,
}

impl<'c> Groups<'c> {
    pub(super) fn new(connection: &'c Connection, scope: Option<&'c Scope>, now: Timestamp) -> Self {
        Self { connection, states: BTreeMap::new(), scope, now }
    }

    /// What the sink should hold, and whether it is given the entity at all.
    pub(super) fn desired(
        &mut self,
        entity: &Entity,
        state: &str,
        roles: &str,
    ) -> Result<(Option<Document>, bool), StoreError> {
        match entity {
            Entity::Group(id) => {
                let state: GroupState = parse(state, "a group")?;
                let in_scope = self.scope.is_none_or(|scope| desired::gets_group(scope, id, &state));
                let group = desired::group(id, &state).filter(|_| in_scope);
                Ok((group.map(Document::Group), in_scope))
            }
            Entity::User(id) => {
                let state: UserState = parse(state, "a user")?;
                let roles: BTreeSet<RoleName> = parse(roles, "a user's roles")?;
                for group in state.edges() {
                    self.read(group)?;
                }
                let user = desired::user(id, &state, &self.states, roles);
                let Some(scope) = self.scope else {
                    return Ok((user.map(|user| Document::User(Box::new(user))), true));
                };
                let (in_scope, _) = desired::gets_user(scope, &state, &self.states, self.now);
                let user = user.filter(|_| in_scope).map(|mut user| {
                    user.groups.retain(|id, _| {
                        self.states.get(id).is_none_or(|group| desired::gets_group(scope, id, group))
                    });
                    Document::User(Box::new(user))
                });
                Ok((user, in_scope))
            }
        }
    }

    fn read(&mut self, id: &GroupId) -> Result<(), StoreError> {
        if self.states.contains_key(id) {
            return Ok(());
        }
        if let Some(state) = group_state(self.connection, id)? {
            self.states.insert(id.clone(), state);
        }
        Ok(())
    }
}

/// What is stored of a group.
pub(super) fn group_state(connection: &Connection, id: &GroupId) -> Result<Option<GroupState>, StoreError> {
    let mut select = connection.prepare_cached("SELECT state FROM entity WHERE kind = 1 AND id = ?1")?;
    let state: Option<String> = select.query_row([id.as_str()], |row| row.get(0)).optional()?;
    state.map(|state| parse(&state, "a group")).transpose()
}

/// Half a SHA-256 in hexadecimal: ids may hold what an HTTP header may not. The document counts too: while a user
/// waits to be evaluated again, what is handed out already has a group's new name under the old generation, and an
/// application that knows the key would answer it with what it once did.
fn idempotency_key(sink: &SinkName, entity: &Entity, generation: u64, desired: Option<&Document>) -> String {
    let mut hash = Sha256::new();
    for part in [sink.as_str(), entity.kind().as_str(), entity.id()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(generation.to_le_bytes());
    hash.update(desired.map_or([0; 16], desired::digest));
    hash.finalize().iter().take(16).fold(String::with_capacity(32), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

pub(super) fn attempting(
    connection: &mut Connection,
    sink: i64,
    attempts: &[Attempted],
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for attempted in attempts {
        let Some(entity) = key_of(&transaction, &attempted.given.entity())? else { continue };
        transaction
            .prepare_cached("INSERT OR REPLACE INTO attempted (sink, entity, document) VALUES (?1, ?2, ?3)")?
            .execute(params![sink, entity, print(attempted)?])?;
    }
    transaction.commit()?;
    Ok(())
}

pub(super) fn settle(
    connection: &mut Connection,
    sink: i64,
    settlements: &[Settlement],
    now: Timestamp,
) -> Result<Vec<Settled>, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut population = Population::of(sink);
    let mut settled = Vec::with_capacity(settlements.len());
    for settlement in settlements {
        let Some(entity) = key_of(&transaction, &settlement.entity)? else { continue };
        population.see(&transaction, entity, settlement)?;
        let waited = waited(&transaction, sink, entity, settlement)?;
        let event = waited.as_ref().and_then(|waited| waited.event.as_deref());
        settle_one(&transaction, sink, entity, settlement, event, micros(now))?;
        settled.extend(waited);
    }
    population.write(&transaction)?;
    transaction.commit()?;
    Ok(settled)
}

/// How the delivered change stands in the queue, unless something newer took its place.
fn waited(
    connection: &Connection,
    sink: i64,
    entity: i64,
    settlement: &Settlement,
) -> Result<Option<Settled>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT since, priority, event FROM queue WHERE sink = ?1 AND entity = ?2 AND generation <= ?3",
    )?;
    let row = select.query_row(params![sink, entity, signed(settlement.generation)], |row| {
        Ok(Settled {
            entity: settlement.entity.clone(),
            since: time(row.get(0)?),
            priority: priority(row.get(1)?),
            event: row.get(2)?,
        })
    });
    Ok(row.optional()?)
}

/// The id of what an attempt made that was not confirmed. It stands with what else that attempt may have left.
fn note_made(
    connection: &Connection,
    sink: i64,
    entity: i64,
    remote: Option<&RemoteId>,
) -> Result<(), StoreError> {
    let Some(remote) = remote else { return Ok(()) };
    connection
        .prepare_cached(
            "UPDATE attempted SET document = json_set(document, '$.remote', ?3) WHERE sink = ?1 AND entity = ?2",
        )?
        .execute(params![sink, entity, remote.as_str()])?;
    Ok(())
}

/// Takes the entity out of the queue, unless something newer is due.
fn done(connection: &Connection, sink: i64, entity: i64, generation: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM queue WHERE sink = ?1 AND entity = ?2 AND generation <= ?3")?
        .execute(params![sink, entity, generation])?;
    Ok(())
}

/// Keeps the entity in the queue until the sink looks again, as if it came in then, unless something newer is due.
fn due_again(
    connection: &Connection,
    sink: i64,
    entity: i64,
    generation: i64,
    again: i64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE queue SET attempts = 0, since = ?4, due = ?4, state = 0, error = NULL
             WHERE sink = ?1 AND entity = ?2 AND generation <= ?3",
        )?
        .execute(params![sink, entity, generation, again])?;
    Ok(())
}

fn settle_one(
    connection: &Connection,
    sink: i64,
    entity: i64,
    settlement: &Settlement,
    event: Option<&str>,
    now: i64,
) -> Result<(), StoreError> {
    let generation = signed(settlement.generation);
    match &settlement.resolution {
        Resolution::Applied { document, remote, action, again } => {
            let document = document.as_ref().map(print).transpose()?;
            connection
                .prepare_cached(
                    "INSERT INTO applied (sink, entity, generation, document, remote, action, at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                     ON CONFLICT (sink, entity) DO UPDATE SET generation = excluded.generation,
                         document = excluded.document, remote = coalesce(excluded.remote, remote),
                         action = excluded.action, at = excluded.at",
                )?
                .execute(params![
                    sink,
                    entity,
                    generation,
                    document,
                    remote.as_ref().map(RemoteId::as_str),
                    action.as_str(),
                    now
                ])?;
            connection
                .prepare_cached("DELETE FROM attempted WHERE sink = ?1 AND entity = ?2")?
                .execute([sink, entity])?;
            match again {
                None => done(connection, sink, entity, generation)?,
                Some(again) => due_again(connection, sink, entity, generation, micros(*again))?,
            }
            if *action != Action::Unchanged {
                note(connection, Some(sink), entity, action.as_str(), event, None, now)?;
            }
        }
        Resolution::OutOfScope => {
            done(connection, sink, entity, generation)?;
        }
        Resolution::Retry { reason, due, remote } => {
            note_made(connection, sink, entity, remote.as_ref())?;
            connection
                .prepare_cached(
                    "UPDATE queue SET attempts = ?4, due = ?5, error = ?6
                     WHERE sink = ?1 AND entity = ?2 AND generation = ?3",
                )?
                .execute(params![sink, entity, generation, settlement.attempts, micros(*due), reason])?;
        }
        Resolution::Dead { reason, remote } => {
            note_made(connection, sink, entity, remote.as_ref())?;
            let dead = connection
                .prepare_cached(
                    "UPDATE queue SET attempts = ?4, state = ?5, error = ?6
                     WHERE sink = ?1 AND entity = ?2 AND generation = ?3",
                )?
                .execute(params![sink, entity, generation, settlement.attempts, DEAD, reason])?;
            if dead > 0 {
                note(connection, Some(sink), entity, "dead_letter", event, Some(reason), now)?;
            }
        }
    }
    Ok(())
}
