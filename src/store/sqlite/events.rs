//! The journal, as people and a replay look at it.

use bytes::Bytes;
use jiff::Timestamp;
use rolecall_sink_api::Entity;
use rusqlite::{Connection, OptionalExtension as _, Row, Rows, params};

use super::commit::key_of;
use super::convert::{IGNORED, MERGED, UNREADABLE, micros, time};
use super::search::key_of_either;
use super::walk::{PORTION, Seen, Span, walk};
use crate::directory::EventId;
use crate::store::{
    Consequence, EventCursor, EventFilter, EventItem, EventStatus, Found, JournalEntry, JournalStatus,
    StoreError,
};

/// How many sources' messages of one id are read at most.
const MOST_SOURCES: u32 = 10;

/// What a listing reads of a message.
const ITEM: &str = "seq, id, source, kind, received_at, status, reason";

pub(super) fn events(
    connection: &Connection,
    filter: &EventFilter,
    after: Option<EventCursor>,
    limit: u32,
) -> Result<Found<EventItem, EventCursor>, StoreError> {
    let before = after.map_or(i64::MAX, |EventCursor(seq)| seq);
    let found = match (&filter.id, &filter.entity, filter.status) {
        (Some(id), ..) => {
            let mut select = connection.prepare_cached(&format!(
                "SELECT {ITEM} FROM event WHERE id = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3"
            ))?;
            listed(&mut select.query(params![id, before, PORTION])?, filter, limit)?
        }
        (None, Some(entity), _) => of_entity(connection, entity, filter, before, limit)?,
        (None, None, Some(EventStatus::Unreadable)) => {
            // The status stands in the text, since the index of the unreadable is used only where it does.
            let mut select = connection.prepare_cached(&format!(
                "SELECT {ITEM} FROM event INDEXED BY event_unreadable
                 WHERE seq < ?1 AND status = {UNREADABLE} ORDER BY seq DESC LIMIT ?2"
            ))?;
            listed(&mut select.query(params![before, PORTION])?, filter, limit)?
        }
        (None, None, _) => {
            let mut select = connection.prepare_cached(&format!(
                "SELECT {ITEM} FROM event WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2"
            ))?;
            listed(&mut select.query(params![before, PORTION])?, filter, limit)?
        }
    };
    Ok(Found { items: found.items, next: found.next.map(EventCursor) })
}

fn listed(
    rows: &mut Rows<'_>,
    filter: &EventFilter,
    limit: u32,
) -> Result<Found<EventItem, i64>, StoreError> {
    walk(rows, Span::new(filter.since, filter.until), limit, |row| {
        let item = if is_meant(filter, row)? { Some(item(row)?) } else { None };
        Ok(Seen { place: row.get(0)?, at: row.get(4)?, item })
    })
}

/// The events that changed somebody in the directory: by what was noted of them, in that order.
fn of_entity(
    connection: &Connection,
    id: &str,
    filter: &EventFilter,
    before: i64,
    limit: u32,
) -> Result<Found<EventItem, i64>, StoreError> {
    let Some(key) = key_of_either(connection, id)? else {
        return Ok(Found { items: Vec::new(), next: None });
    };
    let mut changes = connection.prepare_cached(
        "SELECT seq, at, event FROM activity
         WHERE entity = ?1 AND seq < ?2 AND sink IS NULL AND event IS NOT NULL ORDER BY seq DESC LIMIT ?3",
    )?;
    let mut select = connection
        .prepare_cached(&format!("SELECT {ITEM} FROM event WHERE id = ?1 ORDER BY status, seq LIMIT 1"))?;
    let mut rows = changes.query(params![key, before, PORTION])?;
    walk(&mut rows, Span::new(filter.since, filter.until), limit, |row| {
        let mut event = select.query([row.get_ref(2)?.as_str()?])?;
        let item = match event.next()? {
            Some(event) if is_meant(filter, event)? => Some(item(event)?),
            _ => None,
        };
        let at = item.as_ref().map_or(row.get(1), |item| Ok(micros(item.received_at)))?;
        Ok(Seen { place: row.get(0)?, at, item })
    })
}

/// Whether a row of [`ITEM`] is what is looked for, its time left aside.
fn is_meant(filter: &EventFilter, row: &Row<'_>) -> Result<bool, StoreError> {
    let is = |wanted: &Option<String>, column| -> Result<bool, StoreError> {
        let Some(wanted) = wanted else { return Ok(true) };
        Ok(row.get_ref(column)?.as_str_or_null()? == Some(wanted.as_str()))
    };
    let in_status =
        filter.status.is_none_or(|wanted| row.get::<_, i64>(5).is_ok_and(|code| status(code) == wanted));
    Ok(in_status && is(&filter.source, 2)? && is(&filter.kind, 3)?)
}

fn item(row: &Row<'_>) -> rusqlite::Result<EventItem> {
    Ok(EventItem {
        cursor: EventCursor(row.get(0)?),
        id: row.get(1)?,
        source: row.get(2)?,
        kind: row.get(3)?,
        received_at: time(row.get(4)?),
        status: status(row.get(5)?),
        reason: row.get(6)?,
    })
}

pub(super) fn last_signed(connection: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let mut select = connection.prepare_cached("SELECT signed_at FROM event ORDER BY seq DESC LIMIT 1")?;
    let signed: Option<i64> = select.query_row([], |row| row.get(0)).optional()?;
    Ok(signed.map(time))
}

pub(super) fn event(
    connection: &Connection,
    id: &EventId,
    source: Option<&str>,
) -> Result<Vec<JournalEntry>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT source, message_id, kind, at, signed_at, received_at, status, reason, body
         FROM event WHERE id = ?1 AND (?2 IS NULL OR source = ?2) ORDER BY source LIMIT ?3",
    )?;
    let found = select.query_map(params![id.as_str(), source, MOST_SOURCES], |row| {
        Ok(JournalEntry {
            id: id.clone(),
            source: row.get(0)?,
            message_id: row.get(1)?,
            kind: row.get(2)?,
            at: row.get::<_, Option<i64>>(3)?.map(time),
            signed_at: time(row.get(4)?),
            received_at: time(row.get(5)?),
            status: match status(row.get(6)?) {
                EventStatus::Merged => JournalStatus::Merged,
                EventStatus::Ignored => JournalStatus::Ignored,
                EventStatus::Unreadable => {
                    JournalStatus::Unreadable(row.get::<_, Option<String>>(7)?.unwrap_or_default())
                }
            },
            body: Bytes::from(row.get::<_, Vec<u8>>(8)?),
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn consequences(
    connection: &Connection,
    id: &EventId,
    entities: &[Entity],
    limit: u32,
) -> Result<Vec<Consequence>, StoreError> {
    // Entity by entity: an index by event would cost every delivery something.
    let mut select = connection.prepare_cached(
        "SELECT a.at, s.name, a.what, a.detail, a.seq FROM activity a LEFT JOIN sink s ON s.key = a.sink
         WHERE a.entity = ?1 AND a.event = ?2 ORDER BY a.seq LIMIT ?3",
    )?;
    let mut found = Vec::new();
    for entity in entities {
        let Some(key) = key_of(connection, entity)? else { continue };
        let left = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
        let mut rows = select.query(params![key, id.as_str(), left])?;
        while let Some(row) = rows.next()? {
            let consequence = Consequence {
                entity: entity.clone(),
                at: time(row.get(0)?),
                sink: row.get(1)?,
                what: row.get(2)?,
                detail: row.get(3)?,
            };
            found.push((row.get::<_, i64>(4)?, consequence));
        }
        if found.len() >= limit as usize {
            break;
        }
    }
    found.sort_by_key(|(seq, _)| *seq);
    Ok(found.into_iter().map(|(_, consequence)| consequence).collect())
}

pub(super) fn forget_unreadable(
    connection: &Connection,
    id: &EventId,
    source: &str,
) -> Result<bool, StoreError> {
    let mut delete =
        connection.prepare_cached("DELETE FROM event WHERE id = ?1 AND source = ?2 AND status = ?3")?;
    Ok(delete.execute(params![id.as_str(), source, UNREADABLE])? > 0)
}

fn status(code: i64) -> EventStatus {
    match code {
        MERGED => EventStatus::Merged,
        IGNORED => EventStatus::Ignored,
        _ => EventStatus::Unreadable,
    }
}
