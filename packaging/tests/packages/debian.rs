//! The Debian package.

use std::fs;

use rolecall_testkit::until;
use serde_json::Value;

use super::machine::{Kind, Machine, PATIENCE};
use super::service::{self, STORE, knows, send};
use super::{NEWER, VERSION};

async fn machine_with(version: &str) -> Machine {
    let machine = Machine::boot().await;
    machine.install(Kind::Deb, version).await;
    machine
}

#[tokio::test]
async fn what_is_installed_runs_as_it_is_and_takes_an_event() {
    let machine = machine_with(VERSION).await;
    let enabled = machine.done("systemctl is-enabled rolecall.service rolecall.socket").await;
    assert_eq!(enabled, "enabled\nenabled");
    service::runs_as_it_is_and_takes_an_event(&machine).await;
}

#[tokio::test]
async fn every_file_is_in_its_place_and_belongs_to_whom_it_should() {
    let machine = machine_with(VERSION).await;
    let expected = "\
755 root root /usr/bin/rolecall
750 root rolecall /etc/rolecall
640 root rolecall /etc/rolecall/rolecall.yaml
640 root rolecall /etc/rolecall/rules.yaml
700 root root /etc/rolecall/secrets
600 root root /etc/rolecall/secrets/scalekit
700 rolecall rolecall /var/lib/rolecall
600 rolecall rolecall /var/lib/rolecall/rolecall.db
755 rolecall rolecall /run/rolecall
660 rolecall rolecall /run/rolecall/admin.sock
644 root root /usr/lib/systemd/system/rolecall.service
644 root root /usr/lib/systemd/system/rolecall.socket
644 root root /usr/lib/sysusers.d/rolecall.conf
644 root root /usr/lib/tmpfiles.d/rolecall.conf
644 root root /usr/share/man/man1/rolecall-serve.1.gz
644 root root /usr/share/man/man5/rolecall.yaml.5.gz
644 root root /usr/share/bash-completion/completions/rolecall
644 root root /usr/share/fish/vendor_completions.d/rolecall.fish
644 root root /usr/share/zsh/vendor-completions/_rolecall
644 root root /usr/share/doc/rolecall/README.md
644 root root /usr/share/doc/rolecall/copyright
644 root root /usr/share/doc/rolecall/changelog.Debian.gz
644 root root /usr/share/doc/rolecall/config/rolecall.yaml
644 root root /usr/share/doc/rolecall/config/schemas/rolecall.schema.json";
    service::has_files(&machine, expected).await;

    let kept = machine.done("dpkg-query -W -f '${Conffiles}' rolecall | cut -d ' ' -f 2").await;
    assert_eq!(kept, "/etc/rolecall/rolecall.yaml\n/etc/rolecall/rules.yaml");
    assert_eq!(machine.done("dpkg --verify rolecall").await, "", "nothing was changed after unpacking");
    // The clean root has it for the package's sake.
    let needs = machine.done("dpkg-query -W -f '${Depends}' rolecall").await;
    assert!(needs.contains("procps") && needs.contains("libc6 (>= "), "{needs}");
}

#[tokio::test]
async fn the_units_are_right_and_hardened_where_they_are_installed() {
    let machine = machine_with(VERSION).await;
    assert_eq!(machine.done("systemd-analyze verify rolecall.service rolecall.socket").await, "");
    machine.done("systemd-analyze security --no-pager --threshold=15 rolecall.service").await;
}

#[tokio::test]
async fn a_reload_is_over_when_the_rules_are_in_force() {
    let machine = machine_with(VERSION).await;
    machine.done(&send("ada")).await;
    fs::write(machine.file("/etc/rolecall/rules.yaml"), "default: member\n").unwrap();
    machine.done("systemctl reload rolecall").await;
    let history = machine.done("rolecall rules history").await;
    assert!(history.contains("reload"), "{history}");
}

#[tokio::test]
async fn what_is_logged_is_in_the_journal_with_fields() {
    let machine = machine_with(VERSION).await;
    fs::write(machine.file("/tmp/forged"), "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
    let forged = machine.run(&(send("eve") + " --secret-file /tmp/forged")).await;
    assert!(forged.output.contains(r#""status":"refused""#), "{forged:?}");

    let entry = until(PATIENCE, "the refusal is in the journal", async || {
        let found = machine.run("journalctl -u rolecall -o json -p warning ROLECALL_SOURCE=scalekit").await;
        let last = found.output.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
        last.ok_or(found)
    })
    .await;
    let field = |name: &str| entry[name].as_str().unwrap_or_default();
    assert_eq!(field("PRIORITY"), "4");
    assert_eq!(field("SYSLOG_IDENTIFIER"), "rolecall");
    assert_eq!(field("TARGET"), "rolecall::receive::refusals");
    assert_eq!(field("_SYSTEMD_UNIT"), "rolecall.service");
    assert!(field("ROLECALL_MESSAGE_ID").starts_with("msg_"), "{entry}");
    assert!(field("MESSAGE").contains("no signature matches"), "{entry}");
    assert!(field("MESSAGE").contains(r#"source="scalekit""#), "the message says all by itself: {entry}");
}

#[tokio::test]
async fn without_a_journal_the_log_goes_to_standard_error_and_says_so() {
    let machine = machine_with(VERSION).await;
    machine
        .done("mkdir /tmp/secrets && cp /etc/rolecall/secrets/scalekit /tmp/secrets/secrets_scalekit")
        .await;
    // It ends once it has begun to log, because its store cannot be there.
    let keys = "CREDENTIALS_DIRECTORY=/tmp/secrets ROLECALL__LOG__FORMAT=journal ROLECALL__STORE__PATH=/dev/null/store";
    let hidden = format!("mount -t tmpfs tmpfs /run/systemd/journal && {keys} exec rolecall serve");
    let ran = machine.run(&format!("unshare --mount sh -c '{hidden}'")).await;
    let entry: Value = serde_json::from_str(ran.output.lines().next().unwrap()).expect(&ran.output);
    assert_eq!(entry["level"], "WARN");
    assert!(entry["message"].as_str().unwrap().contains("the journal cannot be reached"), "{entry}");
}

#[tokio::test]
async fn no_webhook_is_refused_while_the_service_restarts() {
    let machine = machine_with(VERSION).await;
    let sends: Vec<String> = (0..10).map(|number| send(&format!("p{number}"))).collect();
    let all = sends.join(" && ");
    machine.done(&format!("systemctl restart rolecall & {all} && wait $!")).await;
    let status = machine.done("rolecall status").await;
    assert!(status.contains("10 active"), "{status}");
}

#[tokio::test]
async fn an_upgrade_keeps_configuration_and_data_and_refuses_no_webhook() {
    let machine = machine_with(VERSION).await;
    service::keeps_all_in_an_upgrade_and_refuses_no_webhook(&machine, Kind::Deb).await;
}

#[tokio::test]
async fn an_older_binary_leaves_a_newer_store_alone_and_goes_on_with_the_one_from_before_the_upgrade() {
    let machine = machine_with(VERSION).await;
    machine.done(&send("ada")).await;
    machine.done("systemctl stop rolecall.socket rolecall.service").await;
    machine.done(&format!("cp -p {STORE} /root/before")).await;
    machine.install(Kind::Deb, NEWER).await;
    machine.done(&send("ben")).await;
    machine.done("systemctl stop rolecall.socket rolecall.service").await;
    // The newer version changed the tables. All that an older one can see of it is the number that SQLite keeps at offset
    // 60 of the file, big-endian.
    assert!(!machine.file(&format!("{STORE}-wal")).exists(), "after a stop the file has everything");
    let mut newer = fs::read(machine.file(STORE)).unwrap();
    newer[63] += 1;
    fs::write(machine.file(STORE), &newer).unwrap();

    machine.install(Kind::Deb, VERSION).await;
    let refused = until(PATIENCE, "the older binary says that it cannot", async || {
        let journal = machine.run("journalctl -u rolecall -o cat -b").await;
        if journal.output.contains("newer") { Ok(journal.output) } else { Err(journal) }
    })
    .await;
    assert!(refused.contains(STORE), "{refused}");
    assert!(!machine.run("systemctl is-active rolecall.service").await.succeeded);
    assert_eq!(fs::read(machine.file(STORE)).unwrap(), newer, "the newer store is as it was");

    machine.done("systemctl stop rolecall.socket rolecall.service").await;
    machine.done(&format!("rm -f {STORE}-wal {STORE}-shm && cp -p /root/before {STORE}")).await;
    machine.done("systemctl start rolecall.socket rolecall.service").await;
    knows(&machine, "ada").await;
}

#[tokio::test]
async fn an_upgrade_can_be_taken_back_while_the_tables_are_the_same() {
    let machine = machine_with(NEWER).await;
    service::goes_back_while_the_tables_are_the_same(&machine, Kind::Deb).await;
}

#[tokio::test]
async fn removal_keeps_configuration_and_data_and_purging_leaves_nothing() {
    let machine = machine_with(VERSION).await;
    machine.done(&send("ada")).await;
    machine.done("apt-get remove --quiet --yes rolecall").await;
    service::is_gone_but_for(
        &machine,
        &[STORE, "/etc/rolecall/rolecall.yaml", "/etc/rolecall/secrets/scalekit"],
    )
    .await;

    machine.install(Kind::Deb, VERSION).await;
    knows(&machine, "ada").await;

    machine.done("apt-get purge --quiet --yes rolecall").await;
    for gone in
        ["/var/lib/rolecall", "/etc/rolecall", "/etc/systemd/system/multi-user.target.wants/rolecall.service"]
    {
        assert!(fs::symlink_metadata(machine.file(gone)).is_err(), "{gone}");
    }
}
