//! `rolecall store size`

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::which::{Place, Which, configured};
use crate::cli::output::{answer, width};
use crate::cli::progress::Bar;
use crate::cli::status::last_backup;
use crate::cli::table::{Cell, Table};
use crate::cli::text::{bytes, exact};
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};
use crate::store::StoreSize;

/// Show what takes how much space in the store, and how it grows
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall store size")]
pub(in crate::cli) struct Size {
    #[command(flatten)]
    which: Which,
}

impl Size {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let place = self.which.find(whom).await?;
        let bar = Bar::of_unknown("reading the whole store");
        let size = match place {
            Place::Running(client) => client.store_size().await?,
            Place::Stopped(store) => {
                let size = tokio::task::spawn_blocking(move || store.size()).await;
                size.map_err(|error| Failure::Failed(error.into()))??
            }
        };
        drop(bar);
        // Whoever may ask the daemon need not be able to read its configuration, and one on another host has another.
        let kept = match whom.url()? {
            None => configured(&whom.config).ok().map(|store| store.retention.journal.get()),
            Some(_) => None,
        };
        answer(self.which.daemon.json, &size, |size| render(size, kept, Timestamp::now(), width()))?;
        Ok(Exit::Done)
    }
}

fn render(size: &StoreSize, kept: Option<Duration>, now: Timestamp, width: Option<usize>) -> String {
    let mut table = Table::new(["TABLE", ">ROWS", ">SIZE", ">INDEXES"]);
    for one in size.tables.iter().filter(|one| one.rows > 0) {
        let amount = |amount| Cell::from(if amount == 0 { "-".to_owned() } else { bytes(amount) });
        table.row([one.table.as_str().into(), one.rows.into(), amount(one.bytes), amount(one.indexes)]);
    }
    let mut out = table.render(0, width);
    out.push('\n');
    let mut line = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{name:<18}{value}");
    };
    let unused = match size.unused {
        0 => String::new(),
        unused => format!(", of which {} are free and used before it grows", bytes(unused)),
    };
    line("file", format!("{}{unused}", bytes(size.database)));
    line("write-ahead log", bytes(size.log));
    line("free on the disk", bytes(size.free_on_disk));
    if let (Some(oldest), Some(newest)) = (size.oldest_event, size.newest_event) {
        line("journal", format!("from {} to {}", exact(oldest), exact(newest)));
    }
    if let Some(per_day) = size.journal_per_day() {
        let mut growth = format!("about {} of messages a day", bytes(per_day));
        if let Some(kept) = kept {
            let days = kept.as_secs() / (24 * 60 * 60);
            growth += &format!(", so about {} in the {days} days that they are kept", bytes(per_day * days));
            growth += " (store.retention.journal)";
        }
        line("growth", growth);
    }
    if let Some(backup) = &size.backup {
        line("last backup", last_backup(now, backup));
    }
    out
}

#[cfg(test)]
mod tests {
    use rolecall_sink_api::Timespan;

    use super::*;
    use crate::store::{BackupStatus, TableSize};

    #[test]
    fn the_tables_come_first_and_then_what_to_expect() {
        let table =
            |table: &str, rows, bytes, indexes| TableSize { table: table.into(), rows, bytes, indexes };
        let size = StoreSize {
            database: 6 * 1024 * 1024,
            log: 1024,
            unused: 4096,
            free_on_disk: 10 * 1024 * 1024 * 1024,
            tables: vec![
                table("event", 7, 4_800_000, 0),
                table("sink", 1, 4096, 4096),
                table("stale", 0, 4096, 0),
            ],
            oldest_event: Some("2026-11-20T10:00:00Z".parse().unwrap()),
            newest_event: Some("2026-11-24T10:00:00Z".parse().unwrap()),
            backup: Some(BackupStatus {
                directory: "/srv/backups".into(),
                every: Timespan::from_days(1),
                keep: 7,
                last: None,
                running: None,
                failed: None,
            }),
        };
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        let shown = render(&size, Some(Duration::from_secs(30 * 24 * 60 * 60)), now, None);
        let shown = anstream::adapter::strip_str(&shown).to_string();
        let expected = "\
TABLE  ROWS     SIZE  INDEXES
event     7  4.6 MiB        -
sink      1  4.0 KiB  4.0 KiB

file              6.0 MiB, of which 4.0 KiB are free and used before it grows
write-ahead log   1.0 KiB
free on the disk  10.0 GiB
journal           from 2026-11-20T10:00:00Z to 2026-11-24T10:00:00Z
growth            about 1.1 MiB of messages a day, so about 34.3 MiB in the 30 days that they are kept (store.retention.journal)
last backup       none yet in /srv/backups
";
        assert_eq!(shown, expected);
    }
}
