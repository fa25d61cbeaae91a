//! An LDIF file has one writer; everybody else may look.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rolecall_sink_api::{Action, Sink as _};
use serde_json::json;

use crate::fixture::{Daemon, Wanted, action, mapping, try_sink, user};
use crate::ldif::{File, records};

const IN_USE: &str = "in use by another process";
const OPEN_ELSEWHERE: &str = "another process has it open";

fn people(batch: usize) -> Vec<Wanted> {
    (0..20).map(|n| user(&format!("u{batch}-{n}")).into()).collect()
}

async fn checked(file: &File) -> Vec<String> {
    file.sink().check().await.unwrap().found
}

fn says(lines: &[String], part: &str) -> bool {
    lines.iter().any(|line| line.contains(part))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_beside_the_writer_sees_a_sound_file_and_changes_nothing() {
    let (file, mut daemon, written) = (File::new(), Daemon::default(), AtomicBool::new(false));
    let writer = file.sink();
    writer.probe().await.unwrap();
    let batches = 100;
    let writes = async {
        for batch in 0..batches {
            let outcomes = daemon.deliver(&writer, people(batch)).await;
            assert!(outcomes.iter().all(|outcome| action(outcome) == Action::Created));
        }
        written.store(true, Ordering::Relaxed);
    };
    let checks = async {
        let mut checks = 0;
        while !written.load(Ordering::Relaxed) {
            let lines = checked(&file).await;
            assert!(says(&lines, OPEN_ELSEWHERE), "{lines:#?}");
            checks += 1;
        }
        checks
    };
    let ((), checks) = tokio::join!(writes, checks);
    assert!(checks > 0);
    assert_eq!(records(&file.path), 20 * batches);
    // What the file holds is what was delivered: nothing of it has to be written again.
    drop(writer);
    let (text, again) = (file.text(), file.sink());
    daemon.forget();
    for batch in 0..batches {
        let outcomes = daemon.deliver(&again, people(batch)).await;
        assert!(outcomes.iter().all(|outcome| action(outcome) == Action::Unchanged));
    }
    assert_eq!(file.text(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_under_way_is_left_alone_until_the_file_has_a_writer() {
    let (file, mut daemon) = (File::new(), Daemon::default());
    let writer = file.sink();
    daemon.deliver(&writer, [user("ada").into()]).await;
    let whole = file.text();
    let mut handle = fs::OpenOptions::new().append(true).open(&file.path).unwrap();
    handle.write_all(b"dn: uid=bob,ou=people,dc=example,dc=com\nchangetype: a").unwrap();
    let torn = file.text();

    let lines = checked(&file).await;
    assert!(says(&lines, OPEN_ELSEWHERE) && says(&lines, "records so far: 1"), "{lines:#?}");
    assert_eq!(file.text(), torn, "while another process writes");

    drop(writer);
    let lines = checked(&file).await;
    assert!(says(&lines, "its last record was cut short"), "{lines:#?}");
    assert_eq!(file.text(), torn, "after that process died");

    file.sink().probe().await.unwrap();
    assert_eq!(file.text(), whole, "once there is a writer again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_grows_beyond_what_a_record_has_is_refused() {
    let file = File::new();
    Daemon::default().deliver(&file.sink(), [user("ada").into()]).await;
    let mut handle = fs::OpenOptions::new().append(true).open(&file.path).unwrap();
    handle.write_all(&vec![b'x'; 5 * 1024 * 1024]).unwrap();
    let down = file.sink().check().await.unwrap_err();
    assert!(down.reason.contains("a line of 4194304 bytes"), "{down}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_made_by_its_first_delivery_and_not_before() {
    let file = File::new();
    let lines = checked(&file).await;
    assert!(says(&lines, "not there yet"), "{lines:#?}");
    assert!(!file.path.exists());
    Daemon::default().deliver(&file.sink(), [user("ada").into()]).await;
    let lines = checked(&file).await;
    assert!(says(&lines, "records so far: 1") && !says(&lines, OPEN_ELSEWHERE), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_does_not_take_itself_for_another() {
    let (file, mut daemon) = (File::new(), Daemon::default());
    let writer = file.sink();
    daemon.deliver(&writer, [user("ada").into()]).await;
    let lines = writer.check().await.unwrap().found;
    assert!(!says(&lines, OPEN_ELSEWHERE), "{lines:#?}");
    daemon.deliver(&writer, [user("bob").into()]).await;
    assert_eq!(records(&file.path), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_is_turned_away_until_the_first_is_gone() {
    let file = File::new();
    let (first, second) = (file.sink(), file.sink());
    let (mut first_daemon, mut second_daemon) = (Daemon::default(), Daemon::default());
    first_daemon.deliver(&first, [user("ada").into()]).await;
    let text = file.text();
    let probe = second.probe().await.unwrap_err();
    let delivery = second_daemon.try_deliver(&second, [user("bob").into()]).await.unwrap_err();
    for down in [probe, delivery] {
        assert!(down.reason.contains(file.path.to_str().unwrap()), "{down}");
        assert!(down.reason.contains(IN_USE), "{down}");
    }
    assert_eq!(file.text(), text);
    first_daemon.deliver(&first, [user("eve").into()]).await;
    drop(first);
    second_daemon.deliver(&second, [user("bob").into()]).await;
    assert_eq!(records(&file.path), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_file_after_one_was_moved_away_has_one_writer_too() {
    let (file, mut daemon) = (File::new(), Daemon::default());
    let writer = file.sink();
    daemon.deliver(&writer, [user("ada").into()]).await;
    fs::rename(&file.path, file.directory.path().join("moved.ldif")).unwrap();
    daemon.deliver(&writer, [user("bob").into()]).await;
    assert_eq!(records(&file.path), 1);
    let down = file.sink().probe().await.unwrap_err();
    assert!(down.reason.contains(IN_USE), "{down}");
}

#[test]
fn a_path_that_cannot_be_is_refused_with_its_key() {
    let file = File::new();
    fs::write(&file.path, "").unwrap();
    let refusal = |path: &Path| {
        let mut config = mapping();
        config["ldif"] = json!({ "path": path });
        try_sink(config).err().unwrap_or_else(|| panic!("{} was accepted", path.display()))
    };
    for (path, part) in [
        (file.directory.path().join("nowhere/x.ldif"), "nowhere: No such file or directory"),
        (file.path.join("x.ldif"), "changes.ldif is no directory"),
        ("/".into(), "/ names no file"),
    ] {
        let error = refusal(&path);
        assert!(error.starts_with("ldif.path: ") && error.contains(part), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_went_away_is_found_by_the_check() {
    let File { directory, path } = File::new();
    let mut config = mapping();
    config["ldif"] = json!({ "path": path });
    let sink = try_sink(config).unwrap();
    directory.close().unwrap();
    let down = sink.check().await.unwrap_err();
    assert!(down.reason.contains("cannot make a file in its directory"), "{down}");
}
