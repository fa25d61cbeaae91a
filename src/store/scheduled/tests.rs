use std::fs;
use std::path::Path;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use tempfile::TempDir;

use super::*;
use crate::store::{SqliteStore, verify_backup};

const HOUR: i64 = 60 * 60;

/// A time, in seconds since the beginning.
fn at(seconds: i64) -> Timestamp {
    "2026-11-24T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// A store, and a directory in which three backups of it are kept, one an hour.
struct Place {
    directory: TempDir,
    store: Arc<dyn Store>,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&directory.path().join("store.db")).unwrap());
        Self { directory, store }
    }

    fn kept(&self) -> PathBuf {
        self.directory.path().join("backups")
    }

    /// What a daemon makes backups with that starts now.
    fn backups(&self) -> Backups {
        let every = Timespan::from_secs(HOUR.unsigned_abs());
        let schedule = BackupSchedule { directory: self.kept(), every, keep: 3 };
        Backups::new(Arc::clone(&self.store), schedule, || at(0))
    }

    /// When each backup that is there was begun, in seconds since the beginning.
    fn begun(&self) -> Vec<i64> {
        let mut begun: Vec<i64> = names(&self.kept())
            .iter()
            .map(|name| name.strip_suffix(".db").unwrap_or_else(|| panic!("{name} is there")))
            .map(|name| name.split('-').nth(2).unwrap().trim_end_matches('Z'))
            .map(|time| DateTime::strptime("%Y%m%dT%H%M%S", time).unwrap())
            .map(|time| at(0).duration_until(Offset::UTC.to_timestamp(time).unwrap()).as_secs())
            .collect();
        begun.sort_unstable();
        begun
    }
}

fn names(directory: &Path) -> Vec<String> {
    fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn one_is_made_whenever_the_newest_is_old_enough_and_the_newest_are_kept() {
    let place = Place::new();
    let backups = place.backups();
    let now = async |seconds| backups.0.make_if_due(at(seconds)).await.unwrap();
    assert_eq!(now(0).await, at(HOUR), "the first is made at once");
    assert_eq!(now(HOUR - 1).await, at(HOUR));
    assert_eq!(place.begun(), [0]);
    for hour in 1..5 {
        now(hour * HOUR).await;
    }
    assert_eq!(place.begun(), [2 * HOUR, 3 * HOUR, 4 * HOUR]);
    for name in names(&place.kept()) {
        verify_backup(&place.kept().join(name)).unwrap();
    }
    let last = backups.status().last.unwrap();
    assert_eq!(last.at, at(4 * HOUR));
    assert_eq!(fs::metadata(place.kept().join(last.file)).unwrap().len(), last.bytes);
}

#[tokio::test]
async fn a_restart_changes_nothing_of_when_the_next_is_due() {
    let place = Place::new();
    place.backups().0.make_if_due(at(0)).await.unwrap();
    let after = place.backups();
    assert_eq!(after.0.make_if_due(at(HOUR / 2)).await.unwrap(), at(HOUR));
    assert_eq!(after.status().last.unwrap().at, at(0), "the last one is known");
    assert_eq!(place.begun(), [0]);
    after.0.make_if_due(at(HOUR)).await.unwrap();
    assert_eq!(place.begun(), [0, HOUR]);
}

#[tokio::test]
async fn a_clock_that_is_wrong_for_a_while_loses_no_backup_and_keeps_none_from_being_made() {
    let place = Place::new();
    let backups = place.backups();
    let now = async |seconds| backups.0.make_if_due(at(seconds)).await.unwrap();
    for hour in 0..3 {
        now(hour * HOUR).await;
    }
    // It is set back by a day: those of today do not count, and stay.
    const DAY: i64 = 24 * HOUR;
    for hour in 0..5 {
        let next = now(hour * HOUR - DAY).await;
        assert_eq!(next, at((hour + 1) * HOUR - DAY));
        assert!(!backups.0.is_due(next, at(hour * HOUR - DAY)), "one is made, and not again and again");
    }
    assert_eq!(place.begun(), [2 * HOUR - DAY, 3 * HOUR - DAY, 4 * HOUR - DAY, 0, HOUR, 2 * HOUR]);
    // And is right again.
    now(3 * HOUR).await;
    assert_eq!(place.begun(), [HOUR, 2 * HOUR, 3 * HOUR]);
    assert!(backups.0.is_due(at(4 * HOUR), at(-DAY)), "the wait that was begun does not last until then");
}

#[tokio::test]
async fn what_others_have_put_there_stays_and_two_stores_share_a_directory() {
    let (place, other) = (Place::new(), Place::new());
    place.backups().0.make_if_due(at(0)).await.unwrap();
    let schedule = BackupSchedule { keep: 1, ..place.backups().0.schedule.clone() };
    let theirs = Backups::new(Arc::clone(&other.store), schedule, || at(0));
    fs::write(place.kept().join("notes.txt"), "mine").unwrap();
    for hour in 0..3 {
        theirs.0.make_if_due(at(hour * HOUR)).await.unwrap();
    }
    assert_eq!(names(&place.kept()).len(), 3, "the note, one of ours, one of theirs");
    assert_eq!(place.backups().0.make_if_due(at(1)).await.unwrap(), at(HOUR), "ours counts for us");
}

#[tokio::test]
async fn while_somebody_else_takes_a_backup_it_waits_and_that_is_no_failure() {
    let place = Place::new();
    let copying = place.store.snapshot().await.unwrap();
    let busy = place.backups().0.make_if_due(at(0)).await;
    assert!(matches!(busy, Err(BackupError::Store(StoreError::Busy(_)))), "{busy:?}");
    drop(copying);
    place.backups().0.make_if_due(at(0)).await.unwrap();
    assert_eq!(place.begun(), [0]);
}

#[tokio::test]
async fn what_cannot_be_made_is_told_until_one_is_made() {
    let place = Place::new();
    fs::write(place.kept(), "in the way").unwrap();
    let backups = place.backups();
    let stop = CancellationToken::new();
    let running = tokio::spawn(backups.clone().run(stop.clone()));
    let failed = loop {
        match backups.status().failed {
            Some(failed) => break failed,
            None => tokio::task::yield_now().await,
        }
    };
    assert!(failed.error.contains(&place.kept().display().to_string()), "{}", failed.error);
    assert_eq!((failed.since, backups.failures()), (at(0), 1));
    stop.cancel();
    running.await.unwrap();

    fs::remove_file(place.kept()).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(backups.clone().run(stop.clone()));
    while backups.status().failed.is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(backups.status().last.unwrap().at, at(0));
    stop.cancel();
    running.await.unwrap();
}
