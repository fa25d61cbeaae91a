//! LDIF files: what a crash or an administrator does to them, and that they lead to the same directory as a server.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rolecall_sink_api::{Action, Group, Sink as _};
use rolecall_sink_ldap::LdapSink;
use rolecall_testkit::Entry;
use serde_json::{Value, json};

use crate::fixture::{
    Daemon, Directory, UserExt as _, Wanted, action, gone_group, gone_user, group, mapping, person, sink,
    user,
};

pub(crate) struct File {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl File {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("changes.ldif");
        Self { directory, path }
    }

    pub(crate) fn sink(&self) -> LdapSink {
        let mut config = mapping();
        config["ldif"] = json!({ "path": self.path });
        sink(config)
    }

    pub(crate) fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }
}

pub(crate) fn records(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().filter(|line| line.starts_with("changetype: ")).count()
}

/// A few batches in which everything happens that can.
fn story() -> Vec<Vec<Wanted>> {
    let ada = user("ada").within(&["staff", "engines"]).with_roles(&["admin", "reader"]);
    let mut zoe = user("zoë").within(&["staff"]);
    zoe.profile.email = Some("zoe@example.com".into());
    zoe.profile.display_name = Some(" Doe, Zoë+x ".into());
    let mut renamed = ada.clone();
    renamed.profile.user_name = Some("lovelace".into());
    renamed.profile.title = Some("Countess\nof Lovelace".into());
    vec![
        vec![group("staff").into(), group("engines").into(), ada.into(), zoe.clone().into()],
        vec![
            zoe.clone().deactivated().into(),
            renamed.clone().into(),
            user("bob").within(&["engines"]).into(),
        ],
        vec![Group { name: "Ünits & co".into(), ..group("engines") }.into(), zoe.into()],
        vec![
            gone_user("bob"),
            renamed.within(&["staff"]).with_roles(&["reader"]).into(),
            gone_group("engines"),
        ],
    ]
}

/// Entries without what a server or a clock makes up itself.
async fn comparable(directory: &Directory) -> Vec<Entry> {
    let attributes = ["*", "pwdAccountLockedTime", "memberOf"];
    let ours = "(|(businessCategory=rolecall:*)(description=rolecall:*)(serialNumber=*))";
    let mut entries = directory.slapd.search("dc=example,dc=com", ours, &attributes).await;
    for entry in &mut entries {
        for value in entry.attributes.values_mut().flatten().filter(|value| value.contains(":gone:")) {
            *value = "gone since some time".to_owned();
        }
        entry.attributes.values_mut().for_each(|values| values.sort());
    }
    entries.sort_by(|a, b| a.dn.cmp(&b.dn));
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_leads_to_the_same_directory_as_the_server() {
    let (online, offline, file) = (Directory::start().await, Directory::start().await, File::new());
    let (on, off) = (online.sink(), file.sink());
    let (mut on_daemon, mut off_daemon) = (Daemon::default(), Daemon::default());
    for (on_batch, off_batch) in story().into_iter().zip(story()) {
        let on = on_daemon.deliver(&on, on_batch).await;
        let off = off_daemon.deliver(&off, off_batch).await;
        let actions = |outcomes: &[_]| outcomes.iter().map(action).collect::<Vec<_>>();
        assert_eq!(actions(&on), actions(&off));
    }
    offline.slapd.modify_ldif(&file.text()).await;
    let entries = comparable(&online).await;
    assert_eq!(entries.len(), 5, "two people, a group, two roles: {entries:#?}");
    assert_eq!(comparable(&offline).await, entries);
}

/// A mapping with everything that a file can have, on top of where it goes to.
fn everything(mut config: Value) -> Value {
    let counter = "cn=numbers,ou=services,dc=example,dc=com";
    let numbers = json!({ "from": 1000, "to": 1099, "counter": counter });
    config["marker"] = json!({ "attribute": "description" });
    config["people"] = json!({
        "dn": "uid={{ user.user_name | ascii | lower }},ou={{ user.department }},ou=people,dc=example,dc=com",
        "base": "ou=people,dc=example,dc=com",
        "object_classes": ["top", "inetOrgPerson", "posixAccount"],
        "attributes": {
            "jpegPhoto": "{{ user.custom.photo }}",
            "mail": ["{{ user.email }}", "{{ user.custom.aliases }}"],
            "homeDirectory": "/home/{{ rdn }}", "loginShell": "/bin/sh", "gidNumber": "100",
        },
        "binary": ["jpegPhoto"],
        "numbers": { "uidNumber": numbers },
        "on_collision": "number",
    });
    config["groups"] = json!({
        "dn": "cn={{ group.name }},ou=groups,dc=example,dc=com",
        "object_classes": ["top", "posixGroup"],
        "member_attribute": "memberUid",
        "numbers": { "gidNumber": numbers },
    });
    config["roles"] = json!({
        "dn": "cn={{ role }},ou=roles,dc=example,dc=com",
        "object_classes": ["top", "groupOfUniqueNames"],
        "member_attribute": "uniqueMember",
        "attribute": "employeeType",
    });
    config["leavers"] = json!({
        "on_deactivate": { "attributes": { "roomNumber": "none" } },
        "strip_groups": true,
        "move_to": "ou=left,ou=people,dc=example,dc=com",
        "login_shell": "/usr/sbin/nologin",
        "grace": "30d",
    });
    config
}

/// A few batches for that mapping: numbers behind names, photos, a rename, a move, who leaves and who comes back.
fn full_story() -> Vec<Vec<Wanted>> {
    let placed = |id: &str, name: &str, unit: &str| {
        let mut user = user(id).within(&["staff"]).with_roles(&["reader"]);
        user.profile.user_name = Some(name.into());
        user.profile.department = Some(unit.into());
        user.profile.custom.insert("aliases".into(), json!([format!("{id}@example.org")]));
        user
    };
    let mut ada = placed("u1", "Jdoe", "sales");
    ada.profile.custom.insert("photo".into(), json!("/9j/4AAQ"));
    let (bob, eve) = (placed("u2", "jdoe", "sales"), placed("u3", "Zoë", "sales"));
    let mut moved = bob.clone();
    moved.profile.department = Some("engines".into());
    let mut plain = ada.clone();
    plain.profile.custom.clear();
    let mut named = eve.clone();
    named.profile.user_name = Some(r#"x,+"\<>;=# *()"#.into());
    vec![
        vec![group("staff").into(), group("guests").into(), ada.clone().into(), bob.clone().into()],
        vec![bob.clone().deactivated().into(), eve.clone().into(), ada.clone().with_roles(&["admin"]).into()],
        vec![gone_user("u3"), moved.into(), plain.into()],
        vec![gone_group("guests"), named.into()],
        vec![gone_user("u1")],
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_leads_to_the_same_directory_whatever_the_mapping_says() {
    let (online, offline, file) = (Directory::start().await, Directory::start().await, File::new());
    let units = ["sales", "engines", "left"].map(|unit| {
        format!("dn: ou={unit},ou=people,dc=example,dc=com\nobjectClass: organizationalUnit\nou: {unit}\n")
    });
    online.slapd.add_ldif(&units.join("\n")).await;
    offline.slapd.add_ldif(&units.join("\n")).await;
    let on = sink(everything(online.config()));
    let off = sink(everything(json!({ "ldif": { "path": file.path } })));
    let (mut on_daemon, mut off_daemon) = (Daemon::default(), Daemon::default());
    for (at, (on_batch, off_batch)) in full_story().into_iter().zip(full_story()).enumerate() {
        let on = on_daemon.deliver(&on, on_batch).await;
        let off = off_daemon.deliver(&off, off_batch).await;
        let actions = |outcomes: &[_]| outcomes.iter().map(action).collect::<Vec<_>>();
        assert_eq!(actions(&on), actions(&off), "batch {at}");
    }
    offline.slapd.modify_ldif(&file.text()).await;
    let entries = comparable(&online).await;
    assert_eq!(entries.len(), 7, "three people, a group, two roles, a counter: {entries:#?}");
    assert_eq!(comparable(&offline).await, entries);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_one_ldif_file_however_often_it_was_opened() {
    let file = File::new();
    let mut daemon = Daemon::default();
    for batch in story() {
        daemon.deliver(&file.sink(), batch).await;
    }
    let text = file.text();
    assert!(text.starts_with("version: 1\n\ndn: "), "{text}");
    assert_eq!(text.matches("version:").count(), 1);
    assert!(text.is_ascii(), "what is not ASCII is base64");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_again_after_a_crash_is_not_written_again() {
    let file = File::new();
    let mut daemon = Daemon::default();
    daemon.deliver(&file.sink(), story().swap_remove(0)).await;
    let before = file.text();
    daemon.forget();
    for outcome in daemon.deliver(&file.sink(), story().swap_remove(0)).await {
        assert_eq!(action(&outcome), Action::Unchanged);
    }
    assert_eq!(file.text(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_a_crash_cut_short_is_written_anew() {
    let file = File::new();
    daemon_wrote(&file, "ada").await;
    let whole = file.text();
    daemon_wrote(&file, "bob").await;
    let both = file.text();
    for cut in [1, 2, 5, 11, 30, both.len() - whole.len() - 1] {
        fs::write(&file.path, &both[..both.len() - cut]).unwrap();
        daemon_wrote(&file, "bob").await;
        assert_eq!(file.text(), both, "{cut} bytes were cut off");
    }
}

async fn daemon_wrote(file: &File, id: &str) {
    Daemon::default().deliver(&file.sink(), [user(id).into()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_may_be_taken_away_between_two_batches_and_between_two_starts() {
    let (offline, file) = (Directory::start().await, File::new());
    let mut daemon = Daemon::default();
    for batch in story() {
        let sink = file.sink();
        daemon.deliver(&sink, batch).await;
        offline.slapd.modify_ldif(&file.text()).await;
        fs::remove_file(&file.path).unwrap();
        sink.probe().await.unwrap();
        assert_eq!(records(&file.path), 0);
    }
    let (online, mut daemon) = (Directory::start().await, Daemon::default());
    for batch in story() {
        daemon.deliver(&online.sink(), batch).await;
    }
    let names = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.dn).collect::<Vec<_>>();
    assert_eq!(names(comparable(&offline).await), names(comparable(&online).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_follow_a_renamed_person_where_the_server_does_not_see_to_it() {
    let file = File::new();
    let (sink, mut daemon) = (file.sink(), Daemon::default());
    let mut ada = user("ada").within(&["staff"]);
    daemon.deliver(&sink, [group("staff").into(), ada.clone().into()]).await;
    let before = file.text().len();
    ada.profile.user_name = Some("lovelace".into());
    daemon.deliver(&sink, [ada.into()]).await;
    let text = file.text();
    let (came, went) = (person("lovelace"), person("ada"));
    let record = format!(
        "add: member\nmember: {came}\n-\nadd: member\nmember: {went}\n-\ndelete: member\nmember: {went}\n-\n"
    );
    assert!(text[before..].contains(&record), "{}", &text[before..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_changes_each_group_once() {
    let file = File::new();
    let (sink, mut daemon) = (file.sink(), Daemon::default());
    let teams = ["a", "b", "c"];
    daemon.deliver(&sink, teams.map(|id| group(id).into())).await;
    let before = records(&file.path);
    let users = (0..50).map(|n| user(&format!("u{n}")).within(&teams).with_roles(&["reader"]).into());
    daemon.deliver(&sink, users.collect::<Vec<Wanted>>()).await;
    assert_eq!(records(&file.path) - before, 50 + 3 + 1, "the people, the groups, the role");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_somebody_else_wrote_to_is_refused() {
    let file = File::new();
    daemon_wrote(&file, "ada").await;
    let mut handle = fs::OpenOptions::new().append(true).open(&file.path).unwrap();
    handle.write_all(b"\ndn: cn=x\nchangetype: frobnicate\n\ndn: cn=y\nchangetype: delete\n").unwrap();
    let text = file.text();
    let sink = file.sink();
    for down in [sink.probe().await.unwrap_err(), sink.check().await.unwrap_err()] {
        assert!(down.reason.starts_with(file.path.to_str().unwrap()), "{down}");
        assert!(down.reason.contains("frobnicate"), "{down}");
    }
    assert_eq!(file.text(), text);
}
