//! How large everything in the store is.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};

use super::convert::{time, unsigned};
use super::file;
use crate::store::{Space, StoreError, StoreSize, TableSize};

/// Reads every page of the file and counts every row: seconds for a million users.
pub(super) fn size(connection: &Connection, path: &Path) -> Result<StoreSize, StoreError> {
    // One transaction, so that all of it is read at the same point.
    let transaction = connection.unchecked_transaction()?;
    let mut tables = tables(&transaction)?;
    tables.sort_by_key(|table| std::cmp::Reverse(table.bytes + table.indexes));
    let pragma = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0).map(unsigned));
    let event = |order: &str| -> Result<Option<i64>, StoreError> {
        let sql = format!("SELECT received_at FROM event ORDER BY seq {order} LIMIT 1");
        Ok(transaction.query_row(&sql, [], |row| row.get(0)).optional()?)
    };
    Ok(StoreSize {
        database: bytes(path),
        log: bytes(&file::beside(path, "-wal")),
        unused: pragma("freelist_count")? * pragma("page_size")?,
        free_on_disk: file::free_bytes(path).map_err(no_answer)?,
        tables,
        oldest_event: event("ASC")?.map(time),
        newest_event: event("DESC")?.map(time),
        backup: None,
    })
}

/// How much room there is, beside what the store takes.
pub(super) fn space(path: &Path) -> Result<Space, StoreError> {
    let free = file::free_bytes(path).map_err(no_answer)?;
    Ok(Space { free, store: taken(path) })
}

/// The database and its write-ahead log.
pub(super) fn taken(path: &Path) -> u64 {
    bytes(path) + bytes(&file::beside(path, "-wal"))
}

fn no_answer(error: std::io::Error) -> StoreError {
    StoreError::Failed(format!("cannot ask for the room on the disk: {error}"))
}

/// The length of a file; nothing of one that is not there.
fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

fn tables(connection: &Connection) -> Result<Vec<TableSize>, StoreError> {
    let mut sizes = connection.prepare(
        "SELECT s.tbl_name, sum(CASE s.type WHEN 'table' THEN d.pgsize ELSE 0 END),
             sum(CASE s.type WHEN 'index' THEN d.pgsize ELSE 0 END)
         FROM dbstat d JOIN sqlite_schema s ON s.name = d.name
         WHERE d.aggregate = TRUE AND s.tbl_name NOT LIKE 'sqlite!_%' ESCAPE '!' GROUP BY s.tbl_name",
    )?;
    let mut rows = sizes.query([])?;
    let mut tables = Vec::new();
    while let Some(row) = rows.next()? {
        let table: String = row.get(0)?;
        // The name is one of the schema's, quoted as SQL quotes names.
        let count = format!("SELECT count(*) FROM \"{}\"", table.replace('"', "\"\""));
        let count = connection.query_row(&count, [], |row| row.get(0))?;
        tables.push(TableSize {
            table,
            rows: unsigned(count),
            bytes: unsigned(row.get(1)?),
            indexes: unsigned(row.get(2)?),
        });
    }
    Ok(tables)
}
