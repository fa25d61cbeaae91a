//! The demo, as somebody runs it who has never seen it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

fn rolecall(arguments: &[&str], path: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rolecall"));
    command.args(arguments).arg(path);
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[test]
fn the_demo_ends_as_it_has_to_and_shows_how() {
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("demo");
    // What is set for a real daemon is not for the demo.
    let elsewhere = parent.path().join("real.db");
    let mut command = rolecall(&["demo", "--dir"], &directory);
    let output = command.env("ROLECALL__STORE__PATH", &elsewhere).output().unwrap();
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    for line in [
        "08:45  Six people join",
        "200 duplicate",
        "400 refused",
        "  $ rolecall status",
        "app     down         3        1",
        "  In this order: Omar, Priya, Maria. Maria's updates: 100; requests for them: 1.",
        "    omar.haddad@acme.example     none",
        "  dn: uid=omar.haddad@acme.example,ou=people,dc=example,dc=com",
        "  $ rolecall explain zoe.weber@acme.example",
        "        rule platform teams deploy",
        "  Yes: all of it.",
    ] {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
    let widest = shown.lines().map(|line| line.chars().count()).max().unwrap();
    // The last lines name files, in a directory that was chosen.
    assert!(widest <= 100 + directory.to_str().unwrap().len(), "{widest} columns");
    assert!(!shown.contains('\u{1b}'), "styles without a terminal");

    for file in ["rolecall.yaml", "rules.yaml", "rolecall.db", "tables.db", "directory.ldif", "daemon.log"] {
        assert!(directory.join(file).metadata().unwrap().len() > 0, "{file}");
    }
    assert!(!elsewhere.exists());
    let check = rolecall(&["check", "--config"], &directory.join("rolecall.yaml")).output().unwrap();
    assert_eq!(check.status.code(), Some(0), "{}", text(&check));

    let again = rolecall(&["demo", "--dir"], &directory).output().unwrap();
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again).contains("is not empty"), "{}", text(&again));
}

#[test]
fn what_keeps_running_answers_the_other_commands_until_it_is_stopped() {
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("demo");
    let mut demo =
        rolecall(&["demo", "--keep-running", "--dir"], &directory).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("Everything keeps running")), "it ended before");
    assert!(lines.any(|line| line.contains("daemon.log")));

    let config = directory.join("rolecall.yaml");
    for arguments in [
        &["status", "--config"][..],
        &["explain", "zoe.weber@acme.example", "--config"],
        &["send", "--sample", "user_created", "--set", "data.email=ada@example.com", "--config"],
    ] {
        let output = rolecall(arguments, &config).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output));
    }

    let stop = Command::new("kill").args(["-TERM", &demo.id().to_string()]).status().unwrap();
    assert!(stop.success());
    assert!(lines.any(|line| line.contains("Stopped")));
    assert_eq!(demo.wait().unwrap().code(), Some(0));
}
