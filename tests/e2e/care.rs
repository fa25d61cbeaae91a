//! Looking after the store: backups, going back to one, a disk that is full, an upgrade and the way back.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rolecall_testkit::until;
use serde_json::Value;

use crate::support::{Application, Daemon, Group, PATIENCE, Person, Site};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The names in the site's directory that begin so.
fn named(site: &Site, start: &str) -> Vec<String> {
    let files = fs::read_dir(site.store().parent().unwrap()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(start)).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backup_made_while_events_stream_in_is_whole_and_its_restore_brings_every_sink_back_to_it() {
    let app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    site.rules("default: member");
    let daemon = site.start().await;
    let crowd: Vec<_> = (0..300).map(|n| Person::new(&format!("user{n}"))).collect();
    daemon.send(crowd[..100].iter().map(Person::created).collect::<Vec<_>>().iter()).await;

    let backup = site.path("backup.db");
    let arguments = ["store", "backup", text(&backup), "--json"];
    let joining: Vec<_> = crowd[100..].iter().map(Person::created).collect();
    let (made, ()) = tokio::join!(site.run(&arguments), daemon.send(&joining));
    assert_eq!(made.code, Some(0), "{made:?}");
    let held = made.json()["users"].as_u64().unwrap();
    assert!((100..=300).contains(&held), "{made:?}");
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(named(&site, "backup.db"), ["backup.db"], "nothing lies beside it");

    let again = site.run(&arguments).await;
    assert!(again.code == Some(1) && again.stderr.contains("--force"), "{again:?}");
    let check = site.run(&["store", "check"]).await;
    assert_eq!((check.code, check.stdout.as_str()), (Some(0), "the store is sound\n"), "{check:?}");

    // After the backup somebody changes, in the application too.
    site.settled().await;
    daemon.send([&crowd[0].clone().with("title", "Boss").updated()]).await;
    site.settled().await;
    assert_eq!(app.people()["user0"].title.as_deref(), Some("Boss"));

    let refused = site.run(&["store", "restore", text(&backup)]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("is in use by another process"), "{refused:?}");
    daemon.stop().await;
    let restored = site.run(&["store", "restore", text(&backup), "--json"]).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    let kept = PathBuf::from(restored.json()["kept"].as_str().unwrap());
    assert!(kept.exists(), "{restored:?}");

    let daemon = site.start().await;
    daemon.logs("the store was restored from a backup").await;
    site.settled().await;
    assert_eq!(app.people()["user0"].title, None, "the application holds what the backup says");
    let status = site.status().await;
    assert_eq!(status["store"]["active_users"], held, "{status}");
}

#[tokio::test]
async fn a_stopped_store_is_backed_up_and_checked_and_measured_too() {
    let site = Site::new();
    let daemon = site.start().await;
    daemon.send([&Person::new("ada").created()]).await;
    // As the power would be cut: its log is not in the file yet.
    daemon.kill().await;

    let backup = site.path("backup.db");
    assert_eq!(site.run(&["store", "backup", text(&backup)]).await.code, Some(0));
    assert_eq!(site.run(&["store", "check"]).await.code, Some(0));
    let size = site.run(&["store", "size", "--json"]).await.json();
    let tables = size["tables"].as_array().unwrap();
    let users = tables.iter().find(|table| table["table"] == "entity").unwrap();
    assert_eq!(users["rows"], 1, "{size}");

    fs::remove_file(site.store()).unwrap();
    let missing = site.run(&["store", "check"]).await;
    assert!(missing.code == Some(1) && missing.stderr.contains("no such file"), "{missing:?}");
    assert_eq!(site.run(&["store", "restore", text(&backup)]).await.code, Some(0));
    let _daemon = site.start().await;
    assert_eq!(site.status().await["store"]["active_users"], 1);
}

#[tokio::test]
async fn a_backup_can_be_piped_and_what_is_none_is_refused() {
    let site = Site::new();
    let daemon = site.start().await;
    daemon.send([&Person::new("ada").created()]).await;
    let piped = site.path("piped.db");
    let status = Command::new("sh")
        .args(["-c", "\"$0\" store backup - --config \"$1\" > \"$2\""])
        .args([env!("CARGO_BIN_EXE_rolecall").as_ref(), site.configuration().as_os_str(), piped.as_os_str()])
        .status();
    assert!(status.unwrap().success());
    daemon.stop().await;

    let whole = fs::read(&piped).unwrap();
    fs::write(&piped, &whole[..whole.len() / 2]).unwrap();
    let before = fs::read(site.store()).unwrap();
    let refused = site.run(&["store", "restore", text(&piped)]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("damaged"), "{refused:?}");
    assert_eq!(fs::read(site.store()).unwrap(), before);
    fs::write(&piped, whole).unwrap();
    assert_eq!(site.run(&["store", "restore", text(&piped)]).await.code, Some(0));
}

#[tokio::test]
async fn everybody_can_be_exported() {
    let site = Site::new();
    site.rules("default: member");
    let daemon = site.start().await;
    let sales = Group::new("Sales");
    let crowd: Vec<_> = (0..2100).map(|n| Person::new(&format!("user{n}"))).collect();
    let created: Vec<_> = crowd.iter().map(Person::created).collect();
    daemon.send(&created).await;
    let formula = Person::new("mallory").with("name", "=HYPERLINK(\"http://evil\")").groups([&sales]);
    daemon.send([&sales.created(), &formula.created(), &crowd[7].deleted()]).await;

    let lines = site.run(&["export"]).await.stdout;
    let people: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: BTreeSet<&str> = people.iter().filter_map(|one| one["user_name"].as_str()).collect();
    assert_eq!((people.len(), names.len()), (2101, 2100));
    assert!(!names.contains("user7") && names.contains("user2099"));
    let group = people.last().unwrap();
    assert_eq!((&group["kind"], &group["name"]), (&"group".into(), &"Sales".into()));
    let mallory = people.iter().find(|one| one["user_name"] == "mallory").unwrap();
    assert_eq!((&mallory["kind"], &mallory["roles"][0]), (&"user".into(), &"member".into()));
    assert_eq!(mallory["groups"]["dirgroup_sales"], "Sales");

    let file = site.path("people.csv");
    let written = site.run(&["export", "--format", "csv", "--output", text(&file)]).await;
    assert_eq!((written.code, written.stdout.as_str()), (Some(0), ""), "{written:?}");
    let csv = fs::read_to_string(&file).unwrap();
    assert!(csv.contains("\"'=HYPERLINK(\"\"http://evil\"\")\""), "no cell is a formula");
    assert_eq!(csv.lines().count(), 1 + 2100);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(site.run(&["export", "--output", text(&file)]).await.code, Some(1), "it is there already");
}

/// The section `store.backup` with this directory.
fn backups_in(directory: &Path) -> String {
    format!("backup: {{directory: {}, every: 1h, keep: 2}}", directory.display())
}

/// Waits until the daemon says of its backups what is asked for, and returns that.
async fn backups_are(site: &Site, what: &str, so: impl Fn(&Value) -> bool) -> Value {
    until(PATIENCE, what, async || {
        let backup = site.status().await["store"]["backup"].take();
        if so(&backup) { Ok(backup) } else { Err(backup) }
    })
    .await
}

#[tokio::test]
async fn backups_are_made_by_themselves_and_the_newest_are_kept_over_restarts() {
    let site = Site::new();
    let kept = site.path("backups");
    let site = site.keeping(&backups_in(&kept));
    let daemon = site.start().await;
    daemon.send([&Person::new("ada").created()]).await;
    let first = backups_are(&site, "the first is made at once", |backup| backup["last"].is_object()).await;
    let shown = site.run(&["status"]).await;
    let name = first["last"]["file"].as_str().unwrap().to_owned();
    assert!(shown.code == Some(0) && shown.stdout.contains(&name), "{shown:?}");
    assert_eq!(fs::metadata(kept.join(&name)).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(site.run(&["store", "size", "--json"]).await.json()["backup"]["last"], first["last"]);
    daemon.stop().await;

    // It is young enough.
    let daemon = site.start().await;
    let again = backups_are(&site, "it is known", |backup| backup["last"].is_object()).await;
    assert_eq!(again, first);
    assert_eq!(fs::read_dir(&kept).unwrap().count(), 1);
    daemon.send([&Person::new("grace").created()]).await;
    daemon.stop().await;

    // Days later, with two older ones.
    let [start, store, time] = name.splitn(3, '-').collect::<Vec<_>>()[..] else { panic!("{name}") };
    assert!(start == "rolecall" && time.ends_with("Z.db"), "{name}");
    let older = |day: u32| format!("rolecall-{store}-202001{day:02}T000000Z.db");
    fs::rename(kept.join(&name), kept.join(older(2))).unwrap();
    fs::copy(kept.join(older(2)), kept.join(older(1))).unwrap();
    fs::write(kept.join("by-hand.db"), "mine").unwrap();
    let daemon = site.start().await;
    let newest = backups_are(&site, "a new one is made", |backup| {
        backup["last"].is_object() && backup["last"]["file"] != older(2) && backup["running"].is_null()
    })
    .await;
    let newest = newest["last"]["file"].as_str().unwrap();
    let mut there: Vec<_> =
        fs::read_dir(&kept).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    there.sort();
    assert_eq!(there, ["by-hand.db", &older(2), newest]);
    daemon.stop().await;
    let restored = site.run(&["store", "restore", text(&kept.join(newest)), "--json"]).await;
    assert_eq!(restored.json()["contents"]["users"], 2, "{restored:?}");
}

/// A small file system in memory at a directory; needs root. It goes with this.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(path: PathBuf) -> Self {
        fs::create_dir(&path).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(&path).status();
        assert!(mounted.unwrap().success(), "mounting needs root");
        Self(path)
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        let filler = self.0.join("filler");
        let mut file = fs::File::create(&filler).unwrap();
        let piece = vec![0; 1 << 16];
        while std::io::Write::write_all(&mut file, &piece).is_ok() {}
        while std::io::Write::write_all(&mut file, &[0]).is_ok() {}
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A daemon that was just killed may still be closing its files.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Sends the events until the disk takes no more, and returns the first that was turned away.
async fn until_full<'e>(daemon: &Daemon, events: &'e [crate::support::Event]) -> &'e crate::support::Event {
    for event in events {
        let answer = daemon.sender().send(event).await.unwrap();
        if answer.status == 503 {
            assert_eq!(answer.text(), "503 unavailable");
            assert_eq!(answer.headers["retry-after"], "5");
            return event;
        }
    }
    panic!("the disk is not full");
}

#[tokio::test]
async fn a_disk_that_is_really_full_turns_messages_away_says_so_and_goes_on_by_itself() {
    let app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let disk = SmallDisk::at(site.path("disk"));
    let store = disk.0.join("rolecall.db");
    let configuration = fs::read_to_string(site.configuration()).unwrap();
    site.file("rolecall.yaml", &configuration.replace(text(&site.store()), text(&store)));
    let daemon = site.start().await;
    daemon.send([&Person::new("ada").created()]).await;
    site.settled().await;
    daemon.logs("the disk that the store is on is nearly full").await;
    assert_eq!(site.status().await["store"]["low_on_space"], true);

    let filler = disk.fill();
    let crowd: Vec<_> = (0..2000).map(|n| Person::new(&format!("user{n}")).created()).collect();
    let refused = until_full(&daemon, &crowd).await;
    daemon.logs("messages could not be stored").await;
    let status = site.run(&["status"]).await;
    assert!(status.code == Some(1) && status.stdout.contains("make room"), "{status:?}");

    // A copy of the store would make it worse.
    let backup = site.run(&["store", "backup", text(&site.path("backup.db"))]).await;
    assert!(backup.code == Some(1) && backup.stderr.contains("not enough space"), "{backup:?}");
    assert_eq!(named(&site, "backup.db"), [""; 0], "nothing is left of it");
    let mut beside: Vec<_> =
        fs::read_dir(&disk.0).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    beside.sort();
    assert_eq!(beside, ["filler", "rolecall.db", "rolecall.db-shm", "rolecall.db-wal", "rolecall.db.lock"]);

    fs::remove_file(filler).unwrap();
    daemon.send([refused]).await;
    daemon.logs("messages are stored again").await;
    site.settled().await;
    let people = app.people().len() as u64;
    assert_eq!(site.status().await["store"]["active_users"], people);
    assert_eq!(site.run(&["store", "check"]).await.code, Some(0));
    daemon.stop().await;
}

#[tokio::test]
async fn a_backup_onto_a_full_disk_leaves_nothing_there() {
    let site = Site::new();
    let daemon = site.start().await;
    daemon.send([&Person::new("ada").created()]).await;
    let disk = SmallDisk::at(site.path("disk"));
    disk.fill();
    let backup = site.run(&["store", "backup", text(&disk.0.join("backup.db"))]).await;
    assert!(backup.code == Some(1) && backup.stderr.contains("No space left"), "{backup:?}");
    let left: Vec<_> = fs::read_dir(&disk.0).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["filler"]);
}

#[tokio::test]
async fn a_backup_that_finds_no_room_is_told_and_made_when_there_is_some() {
    let site = Site::new();
    let disk = SmallDisk::at(site.path("disk"));
    let site = site.keeping(&backups_in(&disk.0.join("backups")));
    let filler = disk.fill();
    let daemon = site.start().await;
    let failed = backups_are(&site, "none can be made", |backup| backup["failed"].is_object()).await;
    let why = failed["failed"]["error"].as_str().unwrap();
    assert!(why.contains(text(&disk.0)), "{why}");
    let status = site.run(&["status"]).await;
    assert!(status.code == Some(1) && status.stdout.contains("not made since"), "{status:?}");
    until(PATIENCE, "there is an alert", async || {
        let alerts = site.run(&["alerts", "list"]).await;
        if alerts.stdout.contains("backups of the store are not made") { Ok(()) } else { Err(alerts) }
    })
    .await;
    daemon.send([&Person::new("ada").created()]).await;

    fs::remove_file(filler).unwrap();
    let made = backups_are(&site, "it is tried again", |backup| backup["last"].is_object()).await;
    assert_eq!(made["failed"], Value::Null);
    assert_eq!(site.run(&["status"]).await.code, Some(0));
    daemon.stop().await;
}

#[tokio::test]
async fn a_backup_that_would_take_the_stores_own_room_is_not_begun() {
    let site = Site::new();
    let disk = SmallDisk::at(site.path("disk"));
    let site = site.keeping(&backups_in(&disk.0.join("backups")));
    let configuration = fs::read_to_string(site.configuration()).unwrap();
    let store = disk.0.join("rolecall.db");
    site.file("rolecall.yaml", &configuration.replace(text(&site.store()), text(&store)));
    let daemon = site.start().await;
    let failed = backups_are(&site, "none is made", |backup| backup["failed"].is_object()).await;
    assert!(failed["failed"]["error"].as_str().unwrap().contains("not enough space"), "{failed}");
    assert_eq!(fs::read_dir(disk.0.join("backups")).unwrap().count(), 0);
    daemon.send([&Person::new("ada").created()]).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_store_of_the_first_release_is_upgraded_and_can_be_gone_back_to() {
    let app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let released = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/store/v1.db");
    fs::copy(&released, site.store()).unwrap();
    fs::set_permissions(site.store(), fs::Permissions::from_mode(0o600)).unwrap();
    let daemon = site.start().await;
    site.settled().await;
    assert_eq!(app.people().into_keys().collect::<Vec<_>>(), ["ann"], "bob never had access to it");
    daemon.send([&Person::new("cleo").created()]).await;
    daemon.stop().await;

    // Any older binary finds a schema that it does not know; so does this one, of a still newer one.
    let upgraded = rusqlite::Connection::open(site.store()).unwrap();
    upgraded.pragma_update(None, "user_version", 999).unwrap();
    drop(upgraded);
    let refused = site.run(&["serve"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("written by a newer rolecall"), "{refused:?}");
    assert!(refused.stderr.contains("rolecall store restore"), "{refused:?}");

    let before = site.path("rolecall.db.before-v2");
    assert_eq!(fs::metadata(&before).unwrap().mode() & 0o777, 0o600);
    let restored = site.run(&["store", "restore", text(&before), "--json"]).await;
    assert_eq!(
        (restored.code, restored.json()["contents"]["schema"].as_u64()),
        (Some(0), Some(1)),
        "{restored:?}"
    );
    let _daemon = site.start().await;
    until(PATIENCE, "those of before the upgrade are known", async || {
        let status = site.status().await;
        if status["store"]["active_users"] == 1 && status["store"]["inactive_users"] == 1 {
            Ok(())
        } else {
            Err(status)
        }
    })
    .await;
}
