//! Users, one after the other, for rules to be tried on.

use std::collections::BTreeMap;

use rolecall_sink_api::{GroupId, UserId};
use rusqlite::Connection;

use super::convert::parse;
use super::queue::group_state;
use super::rules::FIRST_USER;
use crate::directory::{GroupState, UserState};
use crate::store::{Cursor, PersonView, StoreError};

pub(super) fn people(
    connection: &Connection,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Vec<PersonView>, StoreError> {
    // One transaction, so that all of it is read at the same point.
    let transaction = connection.unchecked_transaction()?;
    let mut select = transaction
        .prepare_cached("SELECT key, id, state, roles FROM entity WHERE key > ?1 ORDER BY key LIMIT ?2")?;
    let from = after.map_or(FIRST_USER - 1, |cursor| cursor.0.max(FIRST_USER - 1));
    let mut rows = select.query([from, i64::from(limit)])?;
    let mut known: BTreeMap<GroupId, Option<GroupState>> = BTreeMap::new();
    let mut people = Vec::new();
    while let Some(row) = rows.next()? {
        let state: UserState = parse(row.get_ref(2)?.as_str()?, "a user")?;
        let mut groups = BTreeMap::new();
        for id in state.edges() {
            if !known.contains_key(id) {
                known.insert(id.clone(), group_state(&transaction, id)?);
            }
            if let Some(group) = known.get(id).cloned().flatten() {
                groups.insert(id.clone(), group);
            }
        }
        people.push(PersonView {
            id: UserId::new(row.get::<_, String>(1)?),
            state,
            groups,
            roles: parse(row.get_ref(3)?.as_str()?, "a user's roles")?,
            cursor: Cursor(row.get(0)?, 0),
        });
    }
    Ok(people)
}
