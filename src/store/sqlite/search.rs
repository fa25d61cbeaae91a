//! Users, groups and what was done to them, as people look for them.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_sink_api::{Entity, GroupId, RoleName, UserId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::commit::key_of;
use super::convert::{entity, parse, status, time, unsigned};
use super::rules::FIRST_USER;
use super::sinks::SinkKeys;
use super::views::{activity_of, journalled, sink_view};
use super::walk::{PORTION, Seen, Span, walk};
use crate::directory::{GroupState, UserState};
use crate::store::{
    ActivityFilter, ActivityItem, Cursor, EntityFilter, Found, GroupItem, GroupView, Status, StoreError,
    UserItem, desired,
};

/// Users behind a place, in the order in which they were first heard of.
pub(super) fn users(
    connection: &Connection,
    filter: &EntityFilter,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Found<UserItem, Cursor>, StoreError> {
    let text = filter.text.as_ref().map(|text| text.to_lowercase());
    let mut select = connection.prepare_cached(
        "SELECT key, id, user_name, email, status, roles, state FROM entity WHERE key > ?1 ORDER BY key LIMIT ?2",
    )?;
    let from = after.map_or(FIRST_USER - 1, |cursor| cursor.0.max(FIRST_USER - 1));
    let mut rows = select.query(params![from, PORTION])?;
    let found = walk(&mut rows, Span::whole(), limit, |row| {
        let mut names = [None; 3];
        for (column, name) in (1..).zip(&mut names) {
            *name = row.get_ref(column)?.as_str_or_null()?;
        }
        let is_meant = matches_status(filter, status(row.get(4)?)) && matches_text(text.as_deref(), &names);
        let item = if is_meant { user_item(row, filter.role.as_ref())? } else { None };
        Ok(Seen { place: row.get(0)?, at: 0, item })
    })?;
    Ok(Found { items: found.items, next: found.next.map(|key| Cursor(key, 0)) })
}

/// The user in a row of `key, id, user_name, email, status, roles, state`, if they have the role.
fn user_item(row: &Row<'_>, role: Option<&RoleName>) -> Result<Option<UserItem>, StoreError> {
    let roles: Vec<RoleName> = parse(row.get_ref(5)?.as_str()?, "a user's roles")?;
    if role.is_some_and(|role| !roles.contains(role)) {
        return Ok(None);
    }
    let state: UserState = parse(row.get_ref(6)?.as_str()?, "a user")?;
    Ok(Some(UserItem {
        id: UserId::new(row.get::<_, String>(1)?),
        user_name: row.get(2)?,
        email: row.get(3)?,
        organization: state.organization().cloned(),
        status: status(row.get(4)?),
        roles,
    }))
}

/// Groups behind a place, in the order in which they were first heard of.
pub(super) fn groups(
    connection: &Connection,
    filter: &EntityFilter,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Found<GroupItem, Cursor>, StoreError> {
    let text = filter.text.as_ref().map(|text| text.to_lowercase());
    let mut select = connection.prepare_cached(
        "SELECT key, id, status, state FROM entity WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3",
    )?;
    let from = after.map_or(i64::MIN, |cursor| cursor.0);
    let mut rows = select.query(params![from, FIRST_USER, PORTION])?;
    let found = walk(&mut rows, Span::whole(), limit, |row| {
        let status = status(row.get(2)?);
        let mut item = None;
        if matches_status(filter, status) {
            let id = GroupId::new(row.get::<_, String>(1)?);
            let state: GroupState = parse(row.get_ref(3)?.as_str()?, "a group")?;
            let name = state.name(&id).to_owned();
            if matches_text(text.as_deref(), &[Some(id.as_str()), Some(&name)]) {
                item = Some(GroupItem { name, organization: state.organization().cloned(), status, id });
            }
        }
        Ok(Seen { place: row.get(0)?, at: 0, item })
    })?;
    Ok(Found { items: found.items, next: found.next.map(|key| Cursor(key, 0)) })
}

fn matches_status(filter: &EntityFilter, status: Status) -> bool {
    filter.status.map_or(status != Status::Absent, |wanted| wanted == status)
}

fn matches_text(text: Option<&str>, names: &[Option<&str>]) -> bool {
    text.is_none_or(|text| names.iter().flatten().any(|name| name.to_lowercase().contains(text)))
}

pub(super) fn group(
    connection: &Connection,
    sinks: &SinkKeys,
    id: &GroupId,
) -> Result<Option<GroupView>, StoreError> {
    let Some(key) = key_of(connection, &Entity::Group(id.clone()))? else { return Ok(None) };
    let (state, code, generation): (String, i64, i64) = connection
        .prepare_cached("SELECT state, status, generation FROM entity WHERE key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let state: GroupState = parse(&state, "a group")?;
    let mut events = BTreeMap::new();
    for stamp in [state.stamp(), state.gone()].into_iter().flatten() {
        if let Some(event) = journalled(connection, &stamp.event)? {
            events.insert(stamp.event.as_str().to_owned(), event);
        }
    }
    let mut in_sinks = BTreeMap::new();
    for (name, sink) in sinks.iter() {
        in_sinks.insert(name.clone(), sink_view(connection, sink, key)?);
    }
    let activity = activity_of(connection, key)?;
    Ok(Some(GroupView {
        id: id.clone(),
        state,
        status: status(code),
        generation: unsigned(generation),
        sinks: in_sinks,
        activity,
        events,
    }))
}

/// Who is in a group, in the order in which they were first heard of.
pub(super) fn members(
    connection: &Connection,
    id: &GroupId,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Found<UserItem, Cursor>, StoreError> {
    // One transaction, so that all of it is read at the same point.
    let transaction = connection.unchecked_transaction()?;
    let from = after.map_or(i64::MIN, |cursor| cursor.0);
    let mut keys = BTreeSet::new();
    for table in ["membership", "membership_new"] {
        let mut select = transaction.prepare_cached(&format!(
            "SELECT user FROM {table} WHERE group_id = ?1 AND user > ?2 ORDER BY user LIMIT ?3"
        ))?;
        for key in select.query_map(params![id.as_str(), from, PORTION], |row| row.get::<_, i64>(0))? {
            keys.insert(key?);
        }
    }
    let mut group = BTreeMap::new();
    if let Some(state) = super::queue::group_state(&transaction, id)? {
        group.insert(id.clone(), state);
    }
    let mut select = transaction.prepare_cached(
        "SELECT key, id, user_name, email, status, roles, state FROM entity WHERE key = ?1",
    )?;
    let mut items: Vec<(i64, UserItem)> = Vec::new();
    let mut last = None;
    for key in keys.iter().copied().take(PORTION as usize) {
        last = Some(key);
        let item = select.query_row([key], |row| Ok(member(row, &group))).optional()?.transpose()?.flatten();
        let Some(item) = item else { continue };
        if items.len() >= limit as usize {
            last = items.last().map(|(key, _)| *key);
            break;
        }
        items.push((key, item));
    }
    let next =
        last.filter(|last| keys.last().is_some_and(|end| end > last) || keys.len() >= PORTION as usize);
    Ok(Found {
        items: items.into_iter().map(|(_, item)| item).collect(),
        next: next.map(|key| Cursor(key, 0)),
    })
}

/// The user of a row, if they are in the one group that there is.
fn member(row: &Row<'_>, group: &BTreeMap<GroupId, GroupState>) -> Result<Option<UserItem>, StoreError> {
    let state: UserState = parse(row.get_ref(6)?.as_str()?, "a user")?;
    if desired::memberships(&state, group).next().is_none() {
        return Ok(None);
    }
    user_item(row, None)
}

/// What was done, newest first.
pub(super) fn activity(
    connection: &Connection,
    sinks: &BTreeMap<i64, String>,
    filter: &ActivityFilter,
    after: Option<i64>,
    limit: u32,
) -> Result<Found<ActivityItem, i64>, StoreError> {
    let before = after.unwrap_or(i64::MAX);
    let mut of_one;
    let mut of_all;
    let mut rows = match &filter.entity {
        Some(id) => {
            let Some(key) = key_of_either(connection, id)? else {
                return Ok(Found { items: Vec::new(), next: None });
            };
            of_one = connection.prepare_cached(
                "SELECT seq, at, entity, sink, what, event, detail FROM activity
                 WHERE entity = ?3 AND seq < ?1 ORDER BY seq DESC LIMIT ?2",
            )?;
            of_one.query(params![before, PORTION, key])?
        }
        None => {
            of_all = connection.prepare_cached(
                "SELECT seq, at, entity, sink, what, event, detail FROM activity
                 WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
            )?;
            of_all.query(params![before, PORTION])?
        }
    };
    let mut who = connection.prepare_cached("SELECT kind, id FROM entity WHERE key = ?1")?;
    walk(&mut rows, Span::new(filter.since, filter.until), limit, |row| {
        let (place, at): (i64, i64) = (row.get(0)?, row.get(1)?);
        let sink: Option<i64> = row.get(3)?;
        let sink = sink.and_then(|key| sinks.get(&key)).map(String::as_str);
        let what = row.get_ref(4)?.as_str()?;
        let is_meant = filter.sink.as_deref().is_none_or(|wanted| sink == Some(wanted))
            && filter.what.as_deref().is_none_or(|wanted| wanted == what);
        if !is_meant {
            return Ok(Seen { place, at, item: None });
        }
        let entity =
            who.query_row([row.get::<_, i64>(2)?], |row| Ok(entity(row.get(0)?, row.get(1)?))).optional()?;
        // Whoever was forgotten since is told of no more.
        let Some(entity) = entity else { return Ok(Seen { place, at, item: None }) };
        let item = ActivityItem {
            entity,
            at: time(at),
            sink: sink.map(str::to_owned),
            what: what.to_owned(),
            event: row.get(5)?,
            detail: row.get(6)?,
        };
        Ok(Seen { place, at, item: Some(item) })
    })
}

/// The names of all sinks that there ever were.
pub(super) fn sink_names(connection: &Connection) -> Result<BTreeMap<i64, String>, StoreError> {
    let mut select = connection.prepare_cached("SELECT key, name FROM sink")?;
    let names = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// The key of the user, or else the group, of this id.
pub(super) fn key_of_either(connection: &Connection, id: &str) -> Result<Option<i64>, StoreError> {
    match key_of(connection, &Entity::User(UserId::new(id)))? {
        Some(key) => Ok(Some(key)),
        None => key_of(connection, &Entity::Group(GroupId::new(id))),
    }
}
