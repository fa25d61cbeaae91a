//! What the committer reads.

use std::collections::BTreeSet;

use rolecall_sink_api::{Entity, GroupId};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::de::DeserializeOwned;

use super::convert::{UNREADABLE, kind_code, parse, status, time, unsigned};
use crate::directory::{GroupState, UserState};
use crate::store::{Loaded, Row, StoreError, Wanted};

pub(super) fn load(connection: &mut Connection, wanted: &Wanted) -> Result<Loaded, StoreError> {
    // One transaction, so that the file is locked and unlocked once and not for every row.
    let transaction = connection.transaction()?;
    let loaded = load_all(&transaction, wanted)?;
    transaction.commit()?;
    Ok(loaded)
}

fn load_all(connection: &Connection, wanted: &Wanted) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded::default();
    let mut known =
        connection.prepare_cached("SELECT 1 FROM event WHERE id = ?1 AND source = ?2 AND status != ?3")?;
    for (source, event) in &wanted.events {
        if known.exists(params![event.as_str(), source, UNREADABLE])? {
            loaded.known.insert((source.clone(), event.clone()));
        }
    }
    let mut groups: BTreeSet<GroupId> = wanted.groups.clone();
    for id in &wanted.users {
        let entity = Entity::User(id.clone());
        if let Some((row, state)) = entity_row(connection, &entity)? {
            let Some(state) = readable::<UserState>(&entity, &state, &mut loaded) else { continue };
            groups.extend(state.edges().cloned());
            loaded.directory.users.insert(id.clone(), state);
            loaded.rows.insert(entity, row);
        }
    }
    for id in groups {
        let entity = Entity::Group(id.clone());
        if let Some((row, state)) = entity_row(connection, &entity)? {
            let Some(state) = readable::<GroupState>(&entity, &state, &mut loaded) else { continue };
            loaded.directory.groups.insert(id, state);
            loaded.rows.insert(entity, row);
        }
    }
    // Without one of their groups nobody's roles can be told.
    let Loaded { directory, damaged, .. } = &mut loaded;
    for (id, user) in &directory.users {
        if user.edges().any(|group| damaged.contains(&Entity::Group(group.clone()))) {
            damaged.insert(Entity::User(id.clone()));
        }
    }
    let mut connections = connection.prepare_cached("SELECT state FROM connection WHERE id = ?1")?;
    for id in &wanted.connections {
        let state: Option<String> = connections.query_row([&id.0], |row| row.get(0)).optional()?;
        if let Some(state) = state {
            loaded.directory.connections.insert(id.clone(), parse(&state, "a connection")?);
        }
    }
    Ok(loaded)
}

/// A state, unless it cannot be read: then the entity is noted as damaged, and the others go on.
fn readable<T: DeserializeOwned>(entity: &Entity, state: &str, loaded: &mut Loaded) -> Option<T> {
    parse(state, "a state")
        .inspect_err(|error| {
            tracing::error!(%entity, %error, "an entity is damaged");
            loaded.damaged.insert(entity.clone());
        })
        .ok()
}

fn entity_row(connection: &Connection, entity: &Entity) -> Result<Option<(Row, String)>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT key, generation, digest, status, roles, state, evaluate_at FROM entity WHERE kind = ?1 AND id = ?2",
    )?;
    let found = select
        .query_row(params![kind_code(entity.kind()), entity.id()], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, Option<[u8; 16]>>(2)?,
                row.get::<_, i64>(3)?,
                row.get::<_, String>(4)?,
                row.get::<_, String>(5)?,
                row.get::<_, Option<i64>>(6)?,
            ))
        })
        .optional()?;
    let Some((key, generation, digest, status_code, roles, state, evaluate_at)) = found else {
        return Ok(None);
    };
    let row = Row {
        key: Some(key),
        generation: unsigned(generation),
        digest,
        status: status(status_code),
        roles: parse(&roles, "a user's roles")?,
        evaluate_at: evaluate_at.map(time),
    };
    Ok(Some((row, state)))
}
