//! The RPM package. The machine is Debian with rpm, which runs the package's scripts as they are; what the package needs of
//! a machine is looked at apart from that.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use super::machine::{Kind, Machine, packages};
use super::service::{self, STORE, send};
use super::{NEWER, VERSION};

/// Installs it where a service is off until somebody turns it on, which is so on Fedora and its relatives.
async fn machine_with(version: &str) -> Machine {
    let machine = Machine::boot().await;
    machine.done("mkdir /etc/systemd/system-preset").await;
    fs::write(machine.file("/etc/systemd/system-preset/99-default-disable.preset"), "disable *\n").unwrap();
    machine.install(Kind::Rpm, version).await;
    machine
}

/// Installs it and turns it on, as the README says.
async fn machine_that_runs(version: &str) -> Machine {
    let machine = machine_with(version).await;
    machine.done("systemctl enable --now rolecall.socket rolecall.service").await;
    machine
}

#[tokio::test]
async fn what_is_installed_runs_as_it_is_once_it_is_turned_on_and_takes_an_event() {
    let machine = machine_with(VERSION).await;
    let off = machine.run("systemctl is-enabled rolecall.service rolecall.socket").await;
    assert_eq!(off.output, "disabled\ndisabled");
    let off = machine.run("systemctl is-active rolecall.service rolecall.socket").await;
    assert_eq!(off.output, "inactive\ninactive");

    machine.done("systemctl enable --now rolecall.socket rolecall.service").await;
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
644 root root /usr/lib/systemd/system/rolecall.service
644 root root /usr/lib/systemd/system/rolecall.socket
644 root root /usr/lib/sysusers.d/rolecall.conf
644 root root /usr/lib/tmpfiles.d/rolecall.conf
644 root root /usr/share/man/man1/rolecall-serve.1
644 root root /usr/share/man/man5/rolecall.yaml.5
644 root root /usr/share/bash-completion/completions/rolecall
644 root root /usr/share/fish/vendor_completions.d/rolecall.fish
644 root root /usr/share/zsh/site-functions/_rolecall
644 root root /usr/share/licenses/rolecall/LICENSE
644 root root /usr/share/doc/rolecall/README.md
644 root root /usr/share/doc/rolecall/config/schemas/rolecall.schema.json
644 root root /usr/share/doc/rolecall/sinks/ldap/README.md";
    service::has_files(&machine, expected).await;

    assert_eq!(
        machine.done("rpm --verify --nodeps rolecall").await,
        "",
        "nothing was changed after unpacking"
    );
    // `c` is a configuration file, `n` one that an upgrade does not replace.
    let flags = machine
        .done("rpm --query --queryformat='[%{FILEFLAGS:fflags} %{FILENAMES}\n]' rolecall | grep /etc")
        .await;
    assert_eq!(flags, "cn /etc/rolecall/rolecall.yaml\ncn /etc/rolecall/rules.yaml");
}

#[tokio::test]
async fn an_upgrade_keeps_configuration_and_data_and_refuses_no_webhook() {
    let machine = machine_that_runs(VERSION).await;
    service::keeps_all_in_an_upgrade_and_refuses_no_webhook(&machine, Kind::Rpm).await;
    let enabled = machine.done("systemctl is-enabled rolecall.service rolecall.socket").await;
    assert_eq!(enabled, "enabled\nenabled");
}

#[tokio::test]
async fn an_upgrade_can_be_taken_back_while_the_tables_are_the_same() {
    let machine = machine_that_runs(NEWER).await;
    service::goes_back_while_the_tables_are_the_same(&machine, Kind::Rpm).await;
}

#[tokio::test]
async fn an_upgrade_does_not_start_what_was_off() {
    let machine = machine_with(VERSION).await;
    machine.install(Kind::Rpm, NEWER).await;
    let off = machine.run("systemctl is-active rolecall.service rolecall.socket").await;
    assert_eq!(off.output, "inactive\ninactive");
}

#[tokio::test]
async fn removal_keeps_data_secrets_and_what_was_changed() {
    let machine = machine_that_runs(VERSION).await;
    machine.done(&send("ada")).await;
    let rules = machine.file("/etc/rolecall/rules.yaml");
    fs::write(&rules, "default: member\n").unwrap();
    machine.done("rpm --erase rolecall").await;
    let saved = "/etc/rolecall/rules.yaml.rpmsave";
    service::is_gone_but_for(&machine, &[STORE, "/etc/rolecall/secrets/scalekit", saved]).await;
    let left = machine.done("find /usr /etc/systemd -name '*rolecall*'").await;
    assert_eq!(left, "", "nothing else is left");

    machine.install(Kind::Rpm, VERSION).await;
    machine.done(&format!("mv {saved} /etc/rolecall/rules.yaml")).await;
    machine.done("systemctl enable --now rolecall.socket rolecall.service").await;
    service::knows(&machine, "ada").await;
}

#[test]
fn it_needs_what_its_scripts_and_its_unit_need_and_no_library_but_those_of_c() {
    let package = packages().join(format!("rolecall-{VERSION}-1.{}.rpm", std::env::consts::ARCH));
    let output =
        Command::new("rpm").args(["--query", "--requires", "--package"]).arg(package).output().unwrap();
    let needs = String::from_utf8(output.stdout).unwrap();
    for expected in ["systemd >= 250", "/usr/bin/kill", "/bin/sh", "coreutils", "findutils"] {
        assert!(needs.lines().any(|need| need == expected), "no {expected} in\n{needs}");
    }

    // Such as libc.so.6(GLIBC_2.34)(64bit); packaging/build sees to the version.
    let libraries: BTreeSet<&str> = needs
        .lines()
        .filter(|need| need.contains(".so."))
        .filter_map(|need| need.split('(').next())
        .collect();
    let (linker, libraries): (Vec<&str>, Vec<&str>) =
        libraries.into_iter().partition(|library| library.starts_with("ld-linux"));
    assert_eq!((linker.len(), libraries), (1, vec!["libc.so.6", "libgcc_s.so.1", "libm.so.6"]));
}

#[test]
fn its_scripts_make_the_same_user_as_the_units_have() {
    let users = include_str!("../../../systemd/rolecall.sysusers");
    let user = users.lines().find(|line| line.starts_with("u ")).unwrap();
    assert!(include_str!("../../rpm/pre").contains(user), "rpm/pre makes another user than {user}");
}
