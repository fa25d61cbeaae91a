//! OpenLDAP starts, answers, survives and is gone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is the report")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rolecall_testkit::{Slapd, until};

const MINUTE: Duration = Duration::from_secs(60);

fn person(uid: &str) -> String {
    format!(
        "dn: uid={uid},ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n"
    )
}

/// A search as rolecall's account, with the tool's own view of certificates.
fn search_as_rolecall(slapd: &Slapd, url: &str, more: &[&str]) -> std::process::Output {
    Command::new("ldapsearch")
        .env("LDAPCONF", "/dev/null")
        .env("LDAPTLS_CACERT", slapd.ca_path())
        .args([
            "-x",
            "-LLL",
            "-H",
            url,
            "-D",
            slapd.bind_dn(),
            "-w",
            slapd.bind_password(),
            "-b",
            slapd.base_dn(),
        ])
        .args(more)
        .output()
        .unwrap()
}

#[tokio::test]
async fn entries_added_are_found_with_the_units_they_belong_under() {
    let slapd = Slapd::start().await;
    slapd.add_ldif(&person("zoë")).await;
    let found = slapd.search(slapd.base_dn(), "(uid=zoë)", &["cn"]).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].values("cn"), ["zoë"]);
    for unit in ["people", "groups", "roles"] {
        let dn = format!("ou={unit},{}", slapd.base_dn());
        assert!(slapd.entry(&dn, &[]).await.is_some(), "{dn}");
    }
    assert!(slapd.search("ou=nowhere,dc=example,dc=com", "(cn=*)", &[]).await.is_empty());
}

#[tokio::test]
async fn overlays_keep_back_links_and_drop_members_that_are_gone() {
    let slapd = Slapd::start().await;
    slapd.add_ldif(&person("ann")).await;
    slapd.add_ldif(&person("bob")).await;
    let group = "cn=staff,ou=groups,dc=example,dc=com";
    slapd
        .add_ldif(&format!(
            "dn: {group}\nobjectClass: groupOfNames\ncn: staff\n\
             member: uid=ann,ou=people,dc=example,dc=com\nmember: uid=bob,ou=people,dc=example,dc=com\n"
        ))
        .await;
    let ann = slapd.entry("uid=ann,ou=people,dc=example,dc=com", &["memberOf"]).await.unwrap();
    assert_eq!(ann.values("memberOf"), [group]);

    slapd.modify_ldif("dn: uid=bob,ou=people,dc=example,dc=com\nchangetype: delete\n").await;
    let members = until(MINUTE, "refint drops the deleted member", async || {
        let members = slapd.entry(group, &["member"]).await.unwrap().values("member").to_vec();
        if members.len() == 1 { Ok(members) } else { Err(members) }
    })
    .await;
    assert_eq!(members, ["uid=ann,ou=people,dc=example,dc=com"]);
}

#[tokio::test]
async fn a_locked_account_cannot_bind() {
    let slapd = Slapd::start().await;
    let dn = "uid=ann,ou=people,dc=example,dc=com";
    slapd.add_ldif(&format!("{}userPassword: hush\n", person("ann"))).await;
    assert!(slapd.can_bind(dn, "hush").await);
    assert!(!slapd.can_bind(dn, "wrong").await);
    slapd
        .modify_ldif(&format!(
            "dn: {dn}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n"
        ))
        .await;
    assert!(!slapd.can_bind(dn, "hush").await);
}

#[tokio::test]
async fn its_certificate_is_valid_for_its_address_under_its_own_authority_only() {
    let slapd = Slapd::start().await;
    let ldaps = search_as_rolecall(&slapd, &slapd.ldaps_url(), &[]);
    assert!(ldaps.status.success(), "{}", String::from_utf8_lossy(&ldaps.stderr));
    let start_tls = search_as_rolecall(&slapd, &slapd.url(), &["-ZZ"]);
    assert!(start_tls.status.success(), "{}", String::from_utf8_lossy(&start_tls.stderr));
    let other = Slapd::start().await;
    let mistrusted = search_as_rolecall(&slapd, &other.ldaps_url(), &[]);
    assert!(!mistrusted.status.success());
}

#[tokio::test]
async fn options_limit_what_rolecalls_account_may_do() {
    let slapd = Slapd::options().size_limit(2).encrypted_only().read_only().start().await;
    assert_eq!(
        search_as_rolecall(&slapd, &slapd.url(), &[]).status.code(),
        Some(13),
        "confidentialityRequired"
    );
    assert_eq!(
        search_as_rolecall(&slapd, &slapd.url(), &["-ZZ"]).status.code(),
        Some(4),
        "sizeLimitExceeded"
    );
    let write = Command::new("ldapdelete")
        .env("LDAPCONF", "/dev/null")
        .env("LDAPTLS_CACERT", slapd.ca_path())
        .args(["-x", "-H", &slapd.ldaps_url(), "-D", slapd.bind_dn(), "-w", slapd.bind_password()])
        .arg("ou=roles,dc=example,dc=com")
        .output()
        .unwrap();
    assert_eq!(write.status.code(), Some(50), "insufficientAccessRights");
}

#[tokio::test]
async fn it_comes_back_on_the_same_port_with_the_same_entries() {
    let mut slapd = Slapd::start().await;
    let url = slapd.url();
    slapd.add_ldif(&person("ann")).await;
    slapd.stop().await;
    assert!(!search_as_rolecall(&slapd, &url, &[]).status.success());
    slapd.restart().await;
    assert_eq!(slapd.url(), url);
    assert_eq!(slapd.search(slapd.base_dn(), "(uid=ann)", &[]).await.len(), 1);
}

#[tokio::test]
async fn paused_it_accepts_connections_and_answers_only_when_resumed() {
    let slapd = Slapd::start().await;
    slapd.pause();
    let status = format!("/proc/{}/status", slapd.process_id().unwrap());
    until(MINUTE, "slapd stands still", async || {
        let status = std::fs::read_to_string(&status).unwrap();
        if status.contains("State:\tT (stopped)") { Ok(()) } else { Err(status) }
    })
    .await;
    let address = slapd.url().replace("ldap://", "");
    let mut connection = TcpStream::connect(address).unwrap();
    // An anonymous bind (RFC 4511 §4.2) as message 1, and the answer to it: success.
    connection.write_all(b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00").unwrap();
    connection.set_nonblocking(true).unwrap();
    let mut answer = [0; 14];
    assert_eq!(connection.read(&mut answer).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    slapd.resume();
    connection.set_nonblocking(false).unwrap();
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(&answer[5..10], b"\x61\x07\x0a\x01\x00");
}

#[tokio::test]
async fn dropped_it_is_gone_even_when_paused() {
    let slapd = Slapd::start().await;
    let (pid, directory) = (slapd.process_id().unwrap(), slapd.ca_path());
    slapd.pause();
    drop(slapd);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!directory.exists());
}

#[tokio::test]
async fn eight_at_once_do_not_disturb_each_other() {
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..8 {
        starting.spawn(Slapd::start());
    }
    let all = starting.join_all().await;
    let urls: std::collections::BTreeSet<String> = all.iter().map(Slapd::url).collect();
    assert_eq!(urls.len(), 8);
}

/// Not a test by itself: [`a_killed_test_takes_its_server_along`] runs it in a process that it kills.
#[tokio::test]
#[ignore = "run by another test, in a process of its own"]
async fn hold_a_server_until_killed() {
    let slapd = Slapd::start().await;
    println!("holding {} {}", slapd.process_id().unwrap(), slapd.ca_path().display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_test_takes_its_server_along() {
    let mut test = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "hold_a_server_until_killed"])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(test.stdout.take().unwrap()));
    let (pid, ca) = loop {
        let line = lines.next_line().await.unwrap().expect("the other test starts a server");
        if let Some((_, held)) = line.split_once("holding ") {
            let (pid, ca) = held.split_once(' ').unwrap();
            break (pid.to_owned(), PathBuf::from(ca));
        }
    };
    assert!(ca.exists());
    test.kill().await.unwrap();
    until(MINUTE, "the server and its directory are gone", async || {
        // A process that ended but whose new parent has not looked yet has no command line any more.
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let left = (command.is_empty(), ca.parent().unwrap().exists());
        if left == (true, false) { Ok(()) } else { Err(left) }
    })
    .await;
}
