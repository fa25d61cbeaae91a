//! The RPM package, as rpm reads it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

use std::path::Path;
use std::process::Command;

fn rpm(arguments: &[&str]) -> String {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/packages");
    let name = format!("rolecall-{}-1.{}.rpm", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let output = Command::new("rpm").args(arguments).arg(packages.join(name)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_file_is_in_its_place_and_belongs_to_whom_it_should() {
    let format = "[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILEFLAGS:fflags} %{FILENAMES}\n]";
    let files = rpm(&["-qp", "--qf", format]);
    for expected in [
        "-rwxr-xr-x root root  /usr/bin/rolecall",
        // `c` is a configuration file, `n` one that an upgrade does not replace, `d` documentation.
        "-rw-r----- root rolecall cn /etc/rolecall/rolecall.yaml",
        "-rw-r----- root rolecall cn /etc/rolecall/rules.yaml",
        "-rw-r--r-- root root  /usr/lib/systemd/system/rolecall.service",
        "-rw-r--r-- root root  /usr/lib/systemd/system/rolecall.socket",
        "-rw-r--r-- root root  /usr/lib/sysusers.d/rolecall.conf",
        "-rw-r--r-- root root  /usr/lib/tmpfiles.d/rolecall.conf",
        "-rw-r--r-- root root d /usr/share/man/man1/rolecall-serve.1",
        "-rw-r--r-- root root d /usr/share/man/man5/rolecall.yaml.5",
        "-rw-r--r-- root root  /usr/share/bash-completion/completions/rolecall",
        "-rw-r--r-- root root  /usr/share/zsh/site-functions/_rolecall",
        "-rw-r--r-- root root d /usr/share/doc/rolecall/config/schemas/rolecall.schema.json",
        "-rw-r--r-- root root d /usr/share/doc/rolecall/sinks/ldap/README.md",
    ] {
        assert!(files.lines().any(|line| line == expected), "no {expected} in\n{files}");
    }
}

#[test]
fn it_needs_what_its_scripts_and_its_binary_need() {
    let needs = rpm(&["-qp", "--requires"]);
    for expected in ["systemd >= 250", "/usr/bin/kill", "/bin/sh", "libc.so.6"] {
        assert!(needs.contains(expected), "no {expected} in\n{needs}");
    }
}

#[test]
fn its_scripts_are_those_of_the_folder_and_make_the_same_user_as_the_units_have() {
    let scripts = rpm(&["-qp", "--scripts"]);
    let read =
        |file: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    for script in ["rpm/pre", "rpm/post", "rpm/preun", "rpm/postun"] {
        assert!(scripts.contains(read(script).trim()), "{script} is not in\n{scripts}");
    }
    let users = read("../systemd/rolecall.sysusers");
    let user = users.lines().find(|line| line.starts_with("u ")).unwrap();
    assert!(read("rpm/pre").contains(user), "rpm/pre makes another user than {user}");
}
