//! What people look at: the store in numbers, and all that is known of a user.

use std::collections::BTreeMap;
use std::path::Path;

use rolecall_sink_api::{Action, RemoteId, UserId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::convert::{UNREADABLE, parse, priority, status, time, unsigned};
use super::queue::group_state;
use super::rules::to_sweep;
use super::sinks::SinkKeys;
use super::{holds, items, size};
use crate::directory::{EventId, Stamp, UserState};
use crate::store::{
    ActivityView, AppliedView, EventView, Priority, SinkState, SinkView, StoreError, StoreView, UserView,
    desired,
};

/// How many users are shown at most when a name fits several.
const MOST_USERS: u32 = 10;
/// How many lines of activity are shown of one user.
const MOST_ACTIVITY: u32 = 50;

pub(super) fn overview(
    connection: &Connection,
    sinks: &SinkKeys,
    path: &Path,
) -> Result<StoreView, StoreError> {
    let count = |sql: &str| -> Result<u64, StoreError> {
        Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0).map(unsigned))?)
    };
    let entities = |kind: u8, status: u8| {
        count(&format!(
            "SELECT coalesce(sum(n), 0) FROM entity_count WHERE kind = {kind} AND status = {status}"
        ))
    };
    let last: Option<i64> = connection
        .query_row("SELECT received_at FROM event ORDER BY seq DESC LIMIT 1", [], |row| row.get(0))
        .optional()?;
    let mut view = StoreView {
        active_users: entities(0, 1)?,
        inactive_users: entities(0, 2)?,
        groups: entities(1, 1)?,
        unreadable: count(&format!("SELECT count(*) FROM event WHERE status = {UNREADABLE}"))?,
        stale: count("SELECT count(*) FROM stale")? + to_sweep(connection)?,
        bytes: size::taken(path),
        free_bytes: size::space(path).ok().map(|space| space.free),
        last_event: last.map(time),
        connections: BTreeMap::new(),
        sinks: BTreeMap::new(),
    };
    let mut connections = connection.prepare("SELECT id, state FROM connection")?;
    let mut rows = connections.query([])?;
    while let Some(row) = rows.next()? {
        view.connections.insert(row.get(0)?, parse(row.get_ref(1)?.as_str()?, "a connection")?);
    }
    for (name, key) in sinks.iter() {
        view.sinks.insert(name.clone(), sink_state(connection, key)?);
    }
    Ok(view)
}

fn sink_state(connection: &Connection, key: i64) -> Result<SinkState, StoreError> {
    let (held, held_since) = holds::open(connection, key)?;
    let dead = items::dead(connection, key)?;
    let mut state = SinkState { dead, held, held_since, ..SinkState::default() };
    let mut select = connection.prepare_cached(
        "SELECT priority, count(*), min(since) FROM queue INDEXED BY queue_fresh
         WHERE sink = ?1 AND state = 0 AND due = 0 GROUP BY priority
         UNION ALL
         SELECT priority, count(*), min(since) FROM queue INDEXED BY queue_backoff
         WHERE sink = ?1 AND state = 0 AND due <> 0 GROUP BY priority",
    )?;
    let mut rows = select.query([key])?;
    while let Some(row) = rows.next()? {
        let n = unsigned(row.get(1)?);
        let since = time(row.get(2)?);
        state.waiting += n;
        state.oldest = state.oldest.into_iter().chain([since]).min();
        if priority(row.get(0)?) == Priority::Leaver {
            state.leavers += n;
            state.oldest_leaver = state.oldest_leaver.into_iter().chain([since]).min();
        }
    }
    state.applied = connection
        .prepare_cached("SELECT count(*) FROM applied WHERE sink = ?1")?
        .query_row([key], |row| row.get::<_, i64>(0).map(unsigned))?;
    Ok(state)
}

pub(super) fn users(
    connection: &Connection,
    sinks: &SinkKeys,
    name: &str,
) -> Result<Vec<UserView>, StoreError> {
    let mut select = connection.prepare_cached("SELECT key FROM entity WHERE kind = 0 AND id = ?1")?;
    let by_id: Option<i64> = select.query_row([name], |row| row.get(0)).optional()?;
    let keys = match by_id {
        Some(key) => vec![key],
        None => {
            // Reads every user, seconds for a million: indexes on both would double what a commit of new users takes.
            let mut select = connection.prepare_cached(
                "SELECT key FROM entity WHERE kind = 0 AND (user_name = ?1 OR email = ?1) ORDER BY key LIMIT ?2",
            )?;
            let keys = select.query_map(params![name, MOST_USERS], |row| row.get(0))?;
            keys.collect::<Result<Vec<i64>, _>>()?
        }
    };
    keys.into_iter().map(|key| user(connection, sinks, key)).collect()
}

pub(super) fn user(connection: &Connection, sinks: &SinkKeys, key: i64) -> Result<UserView, StoreError> {
    let (id, state, roles, status_code, generation): (String, String, String, i64, i64) = connection
        .prepare_cached("SELECT id, state, roles, status, generation FROM entity WHERE key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?;
    let id = UserId::new(id);
    let state: UserState = parse(&state, "a user")?;
    let mut groups = BTreeMap::new();
    for group in state.edges() {
        if let Some(found) = group_state(connection, group)? {
            groups.insert(group.clone(), found);
        }
    }
    let activity = activity_of(connection, key)?;
    let stamps = state.stamps();
    let stated = [stamps.profile, stamps.active, stamps.provider_roles, stamps.gone].into_iter().flatten();
    let named = stated
        .chain(state.memberships().map(|(_, stamp)| stamp))
        .chain(groups.values().filter_map(|group| group.stamp()))
        .map(|Stamp { event, .. }: &Stamp| event.as_str().to_owned())
        .chain(activity.iter().filter_map(|line| line.event.clone()));
    let mut events = BTreeMap::new();
    for event in named {
        if let Some(found) = journalled(connection, &EventId::new(event.as_str()))? {
            events.insert(event, found);
        }
    }
    let mut in_sinks = BTreeMap::new();
    for (name, sink) in sinks.iter() {
        in_sinks.insert(name.clone(), sink_view(connection, sink, key)?);
    }
    Ok(UserView {
        user: desired::user(&id, &state, &groups, parse(&roles, "a user's roles")?),
        roles: parse(&roles, "a user's roles")?,
        status: status(status_code),
        generation: unsigned(generation),
        id,
        state,
        groups,
        sinks: in_sinks,
        activity,
        events,
    })
}

pub(super) fn activity_of(connection: &Connection, key: i64) -> Result<Vec<ActivityView>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT a.at, s.name, a.what, a.event, a.detail FROM activity a LEFT JOIN sink s ON s.key = a.sink
         WHERE a.entity = ?1 ORDER BY a.seq DESC LIMIT ?2",
    )?;
    let lines = select.query_map(params![key, MOST_ACTIVITY], |row| {
        Ok(ActivityView {
            at: time(row.get(0)?),
            sink: row.get(1)?,
            what: row.get(2)?,
            event: row.get(3)?,
            detail: row.get(4)?,
        })
    })?;
    Ok(lines.collect::<Result<_, _>>()?)
}

/// The event of this id; of those that different sources call so, the first that was merged.
pub(super) fn journalled(connection: &Connection, id: &EventId) -> Result<Option<EventView>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT kind, at, received_at FROM event WHERE id = ?1 ORDER BY status, seq LIMIT 1",
    )?;
    let found = select.query_row([id.as_str()], |row| {
        Ok(EventView {
            id: id.as_str().to_owned(),
            kind: row.get(0)?,
            at: row.get::<_, Option<i64>>(1)?.map(time),
            received_at: time(row.get(2)?),
        })
    });
    Ok(found.optional()?)
}

pub(super) fn sink_view(connection: &Connection, sink: i64, key: i64) -> Result<SinkView, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT generation, at, action, remote, document IS NOT NULL FROM applied WHERE sink = ?1 AND entity = ?2",
    )?;
    let applied = select
        .query_row([sink, key], |row| {
            Ok(AppliedView {
                generation: unsigned(row.get(0)?),
                at: time(row.get(1)?),
                action: action(&row.get::<_, String>(2)?),
                remote: row.get::<_, Option<String>>(3)?.map(RemoteId::new),
                present: row.get(4)?,
            })
        })
        .optional()?;
    Ok(SinkView { applied, queued: items::of(connection, sink, key)? })
}

fn action(word: &str) -> Action {
    let all = [
        Action::Created,
        Action::Updated,
        Action::Unchanged,
        Action::Deactivated,
        Action::Reactivated,
        Action::Deleted,
    ];
    all.into_iter().find(|action| action.as_str() == word).unwrap_or(Action::Updated)
}
