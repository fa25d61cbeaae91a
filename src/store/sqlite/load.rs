//! What the committer reads.

use std::collections::BTreeSet;

use rolecall_sink_api::{Entity, GroupId};
use rusqlite::{Connection, OptionalExtension as _, Statement, params};
use serde::de::DeserializeOwned;

use super::convert::{UNREADABLE, kind_code, parse, status, time, unsigned};
use crate::directory::{GroupState, UserState};
use crate::store::{Loaded, Row, StoreError, Wanted};

pub(super) fn load(connection: &Connection, wanted: &Wanted) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded::default();
    let mut known =
        connection.prepare_cached("SELECT 1 FROM event WHERE id = ?1 AND source = ?2 AND status != ?3")?;
    for (source, event) in &wanted.events {
        if known.exists(params![event.as_str(), source, UNREADABLE])? {
            loaded.known.insert((source.clone(), event.clone()));
        }
    }
    let mut select = connection.prepare_cached(ENTITY)?;
    let mut groups: BTreeSet<GroupId> = wanted.groups.clone();
    for id in &wanted.users {
        let entity = Entity::User(id.clone());
        if let Some((row, state)) = entity_row::<UserState>(&mut select, &entity, &mut loaded)? {
            groups.extend(state.edges().cloned());
            loaded.directory.users.insert(id.clone(), state);
            loaded.rows.insert(entity, row);
        }
    }
    for id in groups {
        let entity = Entity::Group(id.clone());
        if let Some((row, state)) = entity_row::<GroupState>(&mut select, &entity, &mut loaded)? {
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

const ENTITY: &str = "SELECT key, generation, digest, status, roles, state, evaluate_at FROM entity WHERE kind = ?1 AND id = ?2";

/// What is stored of an entity. When it cannot be read, the entity is noted as damaged, and the others go on.
fn entity_row<T: DeserializeOwned>(
    select: &mut Statement<'_>,
    entity: &Entity,
    loaded: &mut Loaded,
) -> Result<Option<(Row, T)>, StoreError> {
    let mut rows = select.query(params![kind_code(entity.kind()), entity.id()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let read = read_row(row);
    Ok(read
        .inspect_err(|error| {
            tracing::error!(%entity, %error, "an entity is damaged");
            loaded.damaged.insert(entity.clone());
        })
        .ok())
}

fn read_row<T: DeserializeOwned>(found: &rusqlite::Row<'_>) -> Result<(Row, T), StoreError> {
    let row = Row {
        key: Some(found.get(0)?),
        generation: unsigned(found.get(1)?),
        digest: found.get(2)?,
        status: status(found.get(3)?),
        roles: parse(found.get_ref(4)?.as_str()?, "an entity's roles")?,
        evaluate_at: found.get::<_, Option<i64>>(6)?.map(time),
    };
    Ok((row, parse(found.get_ref(5)?.as_str()?, "a state")?))
}
