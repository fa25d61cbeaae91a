//! `play` shows what to do, serves what it shows, and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is the report")]

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

#[tokio::test]
async fn what_play_prints_works_until_it_is_interrupted() {
    let mut play = Command::new(env!("CARGO_BIN_EXE_rolecall-testkit"))
        .arg("play")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(play.stdout.take().unwrap()).lines();
    let mut printed = Vec::new();
    while printed.last().is_none_or(|line: &String| !line.contains("Ctrl-C")) {
        printed.push(lines.next_line().await.unwrap().expect("play goes on printing"));
    }
    let starting = |with: &str| {
        printed
            .iter()
            .find(|line| line.contains(with))
            .unwrap_or_else(|| panic!("no {with} in {printed:#?}"))
            .clone()
    };

    let config = std::path::PathBuf::from(printed[0].strip_prefix("# ").unwrap());
    assert!(config.exists());
    for (command, shown) in [("ldapsearch", "ou=people,dc=example,dc=com"), ("curl", "[]")] {
        let output = Command::new("sh").args(["-c", &starting(command)]).output().await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(shown), "{command}: {said}{}", String::from_utf8_lossy(&output.stderr));
    }
    // Its tables are rolecall's to make; that it is answered is enough.
    let select = Command::new("sh").args(["-c", &starting("psql")]).output().await.unwrap();
    let said = String::from_utf8(select.stderr).unwrap();
    assert!(said.contains("\"rolecall.users\" does not exist"), "{said}");
    let asked = lines.next_line().await.unwrap().unwrap();
    assert_eq!(asked, "GET /users -> 200  null");

    let pid = play.id().unwrap().to_string();
    assert!(Command::new("sh").args(["-c", "kill -INT \"$0\"", &pid]).status().await.unwrap().success());
    assert!(play.wait().await.unwrap().success());
    assert!(!config.parent().unwrap().exists());
}
