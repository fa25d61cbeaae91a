//! The journal, as people and a replay look at it.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::convert::{IGNORED, MERGED, UNREADABLE, entity, time};
use crate::directory::EventId;
use crate::store::{
    Consequence, EventCursor, EventFilter, EventItem, EventStatus, JournalEntry, JournalStatus, StoreError,
};

pub(super) fn events(
    connection: &Connection,
    filter: &EventFilter,
    limit: u32,
) -> Result<Vec<EventItem>, StoreError> {
    // The status stands in the text, since the index of the unreadable is used only where it does.
    let (index, condition) = match filter.status {
        None => ("", String::new()),
        Some(EventStatus::Unreadable) => {
            ("INDEXED BY event_unreadable", format!("AND status = {UNREADABLE}"))
        }
        Some(status) => ("", format!("AND status = {}", code(status))),
    };
    let mut select = connection.prepare_cached(&format!(
        "SELECT seq, id, source, kind, received_at, status, reason FROM event {index}
         WHERE seq < ?1 {condition} AND (?2 IS NULL OR source = ?2) ORDER BY seq DESC LIMIT ?3"
    ))?;
    let before = filter.after.map_or(i64::MAX, |EventCursor(seq)| seq);
    let items = select.query_map(params![before, filter.source, limit], item)?;
    Ok(items.collect::<Result<_, _>>()?)
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

pub(super) fn event(connection: &Connection, id: &EventId) -> Result<Option<JournalEntry>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT source, message_id, kind, at, signed_at, received_at, status, reason, body
         FROM event WHERE id = ?1",
    )?;
    let found = select.query_row([id.as_str()], |row| {
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
    });
    Ok(found.optional()?)
}

/// Reads all the activity there is: an index by event would cost every delivery something, for a question that a
/// person asks now and then.
pub(super) fn consequences(
    connection: &Connection,
    id: &EventId,
    limit: u32,
) -> Result<Vec<Consequence>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT e.kind, e.id, a.at, s.name, a.what, a.detail
         FROM activity a JOIN entity e ON e.key = a.entity LEFT JOIN sink s ON s.key = a.sink
         WHERE a.event = ?1 ORDER BY a.seq LIMIT ?2",
    )?;
    let lines = select.query_map(params![id.as_str(), limit], |row| {
        Ok(Consequence {
            entity: entity(row.get(0)?, row.get(1)?),
            at: time(row.get(2)?),
            sink: row.get(3)?,
            what: row.get(4)?,
            detail: row.get(5)?,
        })
    })?;
    Ok(lines.collect::<Result<_, _>>()?)
}

pub(super) fn forget_unreadable(connection: &Connection, id: &EventId) -> Result<bool, StoreError> {
    let mut delete = connection.prepare_cached("DELETE FROM event WHERE id = ?1 AND status = ?2")?;
    Ok(delete.execute(params![id.as_str(), UNREADABLE])? > 0)
}

fn status(code: i64) -> EventStatus {
    match code {
        MERGED => EventStatus::Merged,
        IGNORED => EventStatus::Ignored,
        _ => EventStatus::Unreadable,
    }
}

fn code(status: EventStatus) -> i64 {
    match status {
        EventStatus::Merged => MERGED,
        EventStatus::Ignored => IGNORED,
        EventStatus::Unreadable => UNREADABLE,
    }
}
