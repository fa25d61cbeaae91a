//! What became of whom, noted for people.

use rusqlite::{Connection, params};

use crate::store::StoreError;

/// (entity, at, sink, what, event, detail)
pub(super) const NOTE: &str =
    "INSERT INTO activity (entity, at, sink, what, event, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// Notes what became of an entity: in a sink, or in the directory itself (`None`).
pub(super) fn note(
    connection: &Connection,
    sink: Option<i64>,
    entity: i64,
    what: &str,
    event: Option<&str>,
    detail: Option<&str>,
    now: i64,
) -> Result<(), StoreError> {
    connection.prepare_cached(NOTE)?.execute(params![entity, now, sink, what, event, detail])?;
    Ok(())
}
