//! What takes how much space in a store.

use jiff::Timestamp;
use rolecall_sink_api::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::BackupStatus;

/// How large a store is and what makes it so. All amounts are bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoreSize {
    /// The database's file.
    pub database: u64,
    /// Its write-ahead log.
    pub log: u64,
    /// Of the file, what is free: it is used before the file grows.
    pub unused: u64,
    /// What may still be written where the store is.
    pub free_on_disk: u64,
    /// Every table, the largest first.
    pub tables: Vec<TableSize>,
    /// The oldest message in the journal.
    #[schemars(with = "Option<Moment>")]
    pub oldest_event: Option<Timestamp>,
    /// The newest message in the journal.
    #[schemars(with = "Option<Moment>")]
    pub newest_event: Option<Timestamp>,
    /// How backups go that a daemon makes by itself; none where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupStatus>,
}

/// How large a table is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableSize {
    /// Its name.
    pub table: String,
    /// How many rows it has.
    pub rows: u64,
    /// What its rows take.
    pub bytes: u64,
    /// What its indexes take.
    pub indexes: u64,
}

impl StoreSize {
    /// How many bytes the journal grows by in a day, as far as it reaches back; `None` when that is less than a day.
    pub fn journal_per_day(&self) -> Option<u64> {
        let reach = self.newest_event?.duration_since(self.oldest_event?);
        let hours = u64::try_from(reach.as_hours()).ok().filter(|hours| *hours >= 24)?;
        let journal = self.tables.iter().find(|table| table.table == "event")?;
        Some((journal.bytes + journal.indexes) / hours * 24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reaching(hours: i64) -> StoreSize {
        let newest: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        StoreSize {
            database: 0,
            log: 0,
            unused: 0,
            free_on_disk: 0,
            tables: vec![TableSize { table: "event".into(), rows: 7, bytes: 4_000_000, indexes: 800_000 }],
            oldest_event: Some(newest - jiff::SignedDuration::from_hours(hours)),
            newest_event: Some(newest),
            backup: None,
        }
    }

    #[test]
    fn how_fast_the_journal_grows_is_told_from_at_least_a_day() {
        assert_eq!(reaching(48).journal_per_day(), Some(2_400_000));
        assert_eq!(reaching(23).journal_per_day(), None);
        assert_eq!(StoreSize { oldest_event: None, ..reaching(48) }.journal_per_day(), None);
    }
}
