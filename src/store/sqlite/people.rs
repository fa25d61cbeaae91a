//! Users and groups, one after the other: for rules to be tried on, and to be exported.

use std::collections::BTreeMap;

use rolecall_sink_api::{GroupId, UserId};
use rusqlite::{Connection, Row};

use super::convert::parse;
use super::queue::group_state;
use super::rules::FIRST_USER;
use crate::directory::{GroupState, UserState};
use crate::store::{Cursor, PersonView, StatedGroup, StoreError};

pub(super) fn people(
    connection: &Connection,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Vec<PersonView>, StoreError> {
    // One transaction, so that all of it is read at the same point.
    let transaction = connection.unchecked_transaction()?;
    let mut select =
        transaction.prepare_cached("SELECT key, id, state, roles FROM entity WHERE key > ?1 ORDER BY key")?;
    let from = after.map_or(FIRST_USER - 1, |cursor| cursor.0.max(FIRST_USER - 1));
    let mut rows = select.query([from])?;
    let mut known: BTreeMap<GroupId, Option<GroupState>> = BTreeMap::new();
    let mut people = Vec::new();
    while people.len() < limit as usize
        && let Some(row) = rows.next()?
    {
        let id = UserId::new(row.get::<_, String>(1)?);
        match person(&transaction, id.clone(), row, &mut known) {
            Ok(person) => people.push(person),
            Err(error) => tracing::error!(user = %id, %error, "what is stored cannot be read; passed over"),
        }
    }
    Ok(people)
}

pub(super) fn groups(
    connection: &Connection,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Vec<StatedGroup>, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT key, id, state FROM entity WHERE key > ?1 AND key < ?2 ORDER BY key")?;
    let mut rows = select.query([after.map_or(i64::MIN, |cursor| cursor.0), FIRST_USER])?;
    let mut groups = Vec::new();
    while groups.len() < limit as usize
        && let Some(row) = rows.next()?
    {
        let id = GroupId::new(row.get::<_, String>(1)?);
        match parse(row.get_ref(2)?.as_str()?, "a group") {
            Ok(state) => groups.push(StatedGroup { id, state, cursor: Cursor(row.get(0)?, 0) }),
            Err(error) => tracing::error!(group = %id, %error, "what is stored cannot be read; passed over"),
        }
    }
    Ok(groups)
}

/// What is stored of one user, with the groups of which something is stated. Groups that were read are `known`.
fn person(
    connection: &Connection,
    id: UserId,
    row: &Row<'_>,
    known: &mut BTreeMap<GroupId, Option<GroupState>>,
) -> Result<PersonView, StoreError> {
    let state: UserState = parse(row.get_ref(2)?.as_str()?, "a user")?;
    let mut groups = BTreeMap::new();
    for id in state.edges() {
        if !known.contains_key(id) {
            known.insert(id.clone(), group_state(connection, id)?);
        }
        if let Some(group) = known.get(id).cloned().flatten() {
            groups.insert(id.clone(), group);
        }
    }
    let roles = parse(row.get_ref(3)?.as_str()?, "a user's roles")?;
    Ok(PersonView { id, state, groups, roles, cursor: Cursor(row.get(0)?, 0) })
}
