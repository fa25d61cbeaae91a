//! What people look at, and what they do to queues.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use rolecall_sink_api::{Action, RemoteId, SinkName, UserId};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params, params_from_iter};

use super::convert::{
    DEAD, UNREADABLE, WAITING, entity, micros, parse, priority, queue_state, queue_state_code, status, time,
    unsigned,
};
use super::queue::{group_state, note};
use super::sinks::SinkKeys;
use crate::directory::{EventId, Stamp, UserState};
use crate::store::{
    ActivityView, AppliedView, Cursor, EventView, Priority, QueueFilter, QueueItem, SinkState, SinkView,
    StoreError, StoreView, UserView, desired,
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
        stale: count("SELECT count(*) FROM stale")?,
        bytes: size(path),
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
    let mut state = SinkState::default();
    let mut select = connection.prepare_cached(
        "SELECT state, priority, count(*), min(since) FROM queue INDEXED BY queue_order
         WHERE sink = ?1 GROUP BY state, priority",
    )?;
    let mut rows = select.query([key])?;
    while let Some(row) = rows.next()? {
        let n = unsigned(row.get(2)?);
        if row.get::<_, i64>(0)? == DEAD {
            state.dead += n;
            continue;
        }
        state.waiting += n;
        if priority(row.get(1)?) == Priority::Leaver {
            state.leavers += n;
        }
        let since = time(row.get(3)?);
        state.oldest = Some(state.oldest.map_or(since, |oldest| oldest.min(since)));
    }
    state.applied = connection
        .prepare_cached("SELECT count(*) FROM applied WHERE sink = ?1")?
        .query_row([key], |row| row.get::<_, i64>(0).map(unsigned))?;
    Ok(state)
}

/// The database and its write-ahead log.
fn size(path: &Path) -> u64 {
    let of = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    of(path) + of(Path::new(&log))
}

/// A filter as SQL: `q` is the queue, `s` the sink, `e` the entity.
fn condition(filter: &QueueFilter) -> (String, Vec<Value>) {
    let mut sql = String::from("s.configured");
    let mut values: Vec<Value> = Vec::new();
    let mut and = |clause: &str, value: Value| {
        values.push(value);
        sql.push_str(" AND ");
        sql.push_str(&clause.replace('?', &format!("?{}", values.len())));
    };
    if let Some(sink) = &filter.sink {
        and("s.name = ?", Value::from(sink.clone()));
    }
    if let Some(id) = &filter.id {
        and("e.id = ?", Value::from(id.clone()));
    }
    if let Some(state) = filter.state {
        and("q.state = ?", Value::from(queue_state_code(state)));
    }
    if let Some(Cursor(sink, entity)) = filter.after {
        and("q.sink >= ?", Value::from(sink));
        let same_sink = values.len();
        values.push(Value::from(entity));
        sql.push_str(&format!(" AND (q.sink > ?{same_sink} OR q.entity > ?{})", values.len()));
    }
    (sql, values)
}

const ITEM: &str =
    "s.name, e.kind, e.id, q.event, q.generation, q.state, q.priority, q.attempts, q.since, q.due,
    q.error, q.sink, q.entity";
const FROM: &str = "queue q JOIN sink s ON s.key = q.sink JOIN entity e ON e.key = q.entity";

fn item(row: &Row<'_>) -> rusqlite::Result<QueueItem> {
    Ok(QueueItem {
        sink: SinkName::new(row.get::<_, String>(0)?),
        entity: entity(row.get(1)?, row.get(2)?),
        event: row.get(3)?,
        generation: unsigned(row.get(4)?),
        state: queue_state(row.get(5)?),
        priority: priority(row.get(6)?),
        attempts: row.get(7)?,
        since: time(row.get(8)?),
        due: time(row.get::<_, i64>(9)?.max(row.get(8)?)),
        error: row.get(10)?,
        cursor: Cursor(row.get(11)?, row.get(12)?),
    })
}

pub(super) fn queue(
    connection: &Connection,
    filter: &QueueFilter,
    limit: u32,
) -> Result<Vec<QueueItem>, StoreError> {
    let (condition, values) = condition(filter);
    let mut select = connection.prepare(&format!(
        "SELECT {ITEM} FROM {FROM} WHERE {condition} ORDER BY q.sink, q.entity LIMIT {limit}"
    ))?;
    let items = select.query_map(params_from_iter(values), item)?;
    Ok(items.collect::<Result<_, _>>()?)
}

pub(super) fn retry(connection: &mut Connection, filter: &QueueFilter) -> Result<usize, StoreError> {
    let (condition, values) = condition(filter);
    Ok(connection.execute(
        &format!(
            "UPDATE queue SET state = {WAITING}, attempts = 0, due = 0 WHERE (sink, entity) IN
                 (SELECT q.sink, q.entity FROM {FROM} WHERE {condition})"
        ),
        params_from_iter(values),
    )?)
}

pub(super) fn drop_items(
    connection: &mut Connection,
    filter: &QueueFilter,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let (condition, values) = condition(filter);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let dropped = {
        let mut delete = transaction.prepare(&format!(
            "DELETE FROM queue WHERE (sink, entity) IN (SELECT q.sink, q.entity FROM {FROM} WHERE {condition})
             RETURNING sink, entity, event"
        ))?;
        let mut rows = delete.query(params_from_iter(values))?;
        let mut dropped = 0;
        while let Some(row) = rows.next()? {
            let event: Option<String> = row.get(2)?;
            note(&transaction, row.get(0)?, row.get(1)?, "dropped", event.as_deref(), None, micros(now))?;
            dropped += 1;
        }
        dropped
    };
    transaction.commit()?;
    Ok(dropped)
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
            let mut select = connection.prepare_cached(
                "SELECT key FROM entity WHERE kind = 0 AND (user_name = ?1 OR email = ?1) ORDER BY key LIMIT ?2",
            )?;
            let keys = select.query_map(params![name, MOST_USERS], |row| row.get(0))?;
            keys.collect::<Result<Vec<i64>, _>>()?
        }
    };
    keys.into_iter().map(|key| user(connection, sinks, key)).collect()
}

fn user(connection: &Connection, sinks: &SinkKeys, key: i64) -> Result<UserView, StoreError> {
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
    let activity = activity(connection, key)?;
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

fn activity(connection: &Connection, key: i64) -> Result<Vec<ActivityView>, StoreError> {
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

fn journalled(connection: &Connection, id: &EventId) -> Result<Option<EventView>, StoreError> {
    let mut select = connection.prepare_cached("SELECT kind, at, received_at FROM event WHERE id = ?1")?;
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

fn sink_view(connection: &Connection, sink: i64, key: i64) -> Result<SinkView, StoreError> {
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
    let mut select = connection
        .prepare_cached(&format!("SELECT {ITEM} FROM {FROM} WHERE q.sink = ?1 AND q.entity = ?2"))?;
    let queued = select.query_row([sink, key], item).optional()?;
    Ok(SinkView { applied, queued })
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
