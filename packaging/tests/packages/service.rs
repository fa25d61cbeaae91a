//! What the service does on a machine, whichever package brought it.

use std::fs;

use super::machine::{Kind, Machine};
use super::{NEWER, VERSION};

pub(crate) const STORE: &str = "/var/lib/rolecall/rolecall.db";
const CONFIG: &str = "/etc/rolecall/rolecall.yaml";
const SECRET: &str = "/etc/rolecall/secrets/scalekit";

/// Sends a signed event about this user, as the README says.
pub(crate) fn send(user: &str) -> String {
    format!(
        "systemd-run --quiet --pipe --wait -p User=rolecall -p LoadCredential=secrets:/etc/rolecall/secrets \
         rolecall send --sample user_created --set data.id=diruser_{user} --set data.email={user}@example.com"
    )
}

pub(crate) async fn knows(machine: &Machine, user: &str) {
    let explained = machine.done(&format!("rolecall explain {user}@example.com")).await;
    assert!(explained.contains(&format!("diruser_{user}")), "{explained}");
}

/// It runs as its own user and takes an event with the configuration that it came with.
pub(crate) async fn runs_as_it_is_and_takes_an_event(machine: &Machine) {
    let running = machine.done("systemctl is-active rolecall.service rolecall.socket").await;
    assert_eq!(running, "active\nactive");
    let user = machine.done("ps -o user= -p $(systemctl show -P MainPID rolecall)").await;
    assert_eq!(user, "rolecall");

    let answer = machine.done(&send("ada")).await;
    assert!(answer.contains(r#""status":"committed""#), "{answer}");
    knows(machine, "ada").await;
    let status = machine.done("rolecall status").await;
    assert!(status.contains("1 active"), "{status}");
    assert!(status.contains("none is configured: nothing is kept in step"), "{status}");
}

/// These files are there with this mode, owner and group.
pub(crate) async fn has_files(machine: &Machine, expected: &str) {
    let paths: Vec<&str> = expected.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    let found = machine.done(&format!("stat -c '%a %U %G %n' {}", paths.join(" "))).await;
    assert_eq!(found, expected);
}

/// It runs, and is upgraded while webhooks arrive.
pub(crate) async fn keeps_all_in_an_upgrade_and_refuses_no_webhook(machine: &Machine, kind: Kind) {
    machine.done(&send("ada")).await;
    let config = machine.file(CONFIG);
    let edited = fs::read_to_string(&config).unwrap() + "\nlog: {filter: debug}\n";
    fs::write(&config, &edited).unwrap();
    let secret = fs::read(machine.file(SECRET)).unwrap();
    let running =
        "systemctl show -P MainPID rolecall; systemctl show -P ActiveEnterTimestampMonotonic rolecall.socket";
    let before = machine.done(running).await;

    let sends: Vec<String> = (0..20).map(|number| send(&format!("p{number}"))).collect();
    let all = sends.join(" && ");
    tokio::join!(machine.install(kind, NEWER), async { machine.done(&all).await });

    let after = machine.done(running).await;
    let (old, new) = (before.lines().collect::<Vec<_>>(), after.lines().collect::<Vec<_>>());
    assert_ne!(old[0], new[0], "the new binary runs");
    assert_eq!(old[1], new[1], "the socket stayed open");
    assert_eq!(machine.installed(kind).await, format!("{NEWER}-1"));
    assert_eq!(fs::read_to_string(&config).unwrap(), edited);
    assert_eq!(fs::read(machine.file(SECRET)).unwrap(), secret);
    has_files(machine, &format!("640 root rolecall {CONFIG}\n600 root root {SECRET}")).await;
    knows(machine, "ada").await;
    let status = machine.done("rolecall status").await;
    assert!(status.contains("21 active"), "{status}");
}

/// It runs the newer version, and the older one is installed over it.
pub(crate) async fn goes_back_while_the_tables_are_the_same(machine: &Machine, kind: Kind) {
    machine.done(&send("ada")).await;
    machine.install(kind, VERSION).await;
    assert_eq!(machine.installed(kind).await, format!("{VERSION}-1"));
    machine.done("systemctl is-active rolecall.service").await;
    machine.done(&send("ben")).await;
    knows(machine, "ada").await;
    knows(machine, "ben").await;
}

/// The package was removed: it runs no more, and these files are still there.
pub(crate) async fn is_gone_but_for(machine: &Machine, kept: &[&str]) {
    let running = machine.run("systemctl is-active rolecall.service rolecall.socket").await;
    assert_eq!(running.output, "inactive\ninactive");
    for kept in kept {
        assert!(machine.file(kept).exists(), "{kept}");
    }
    assert!(!machine.file("/usr/bin/rolecall").exists());
}
