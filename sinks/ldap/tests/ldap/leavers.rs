//! People who leave, and come back.

use std::time::Duration;

use rolecall_sink_api::{Action, Outcome};
use rolecall_testkit::Slapd;
use serde_json::{Value, json};

use crate::fixture::{
    Daemon, Directory, UserExt as _, action, gone_user, group, person, rejection, role, sink, team, user,
};

async fn set_password(directory: &Directory, dn: &str) {
    let record = "changetype: modify\nreplace: userPassword\nuserPassword: hunter2\n";
    directory.slapd.modify_ldif(&format!("dn: {dn}\n{record}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivated_user_cannot_sign_in_until_they_are_active_again() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    let ada = || user("ada").within(&["staff"]).with_roles(&["admin"]);
    daemon.deliver(&sink, [group("staff").into(), ada().into()]).await;
    set_password(&directory, &person("ada")).await;
    assert!(directory.slapd.can_bind(&person("ada"), "hunter2").await);

    assert_eq!(action(&daemon.deliver(&sink, [ada().deactivated().into()]).await[0]), Action::Deactivated);
    assert!(!directory.slapd.can_bind(&person("ada"), "hunter2").await);
    assert_eq!(directory.values(&role("admin"), "member").await, ["cn=rolecall-placeholder"]);
    assert_eq!(directory.values(&team("staff"), "member").await, [person("ada")], "as the document says");

    assert_eq!(action(&daemon.deliver(&sink, [ada().into()]).await[0]), Action::Reactivated);
    assert!(directory.slapd.can_bind(&person("ada"), "hunter2").await);
    assert_eq!(directory.values(&person("ada"), "businessCategory").await, ["rolecall:user:ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_outlives_a_crash_and_is_undone_all_the_same() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    daemon.deliver(&sink, [user("ada").into()]).await;
    daemon.deliver(&sink, [user("ada").deactivated().into()]).await;
    daemon.forget();
    assert_eq!(action(&daemon.deliver(&sink, [user("ada").into()]).await[0]), Action::Reactivated);
    assert_eq!(directory.value(&person("ada"), "pwdAccountLockedTime").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrators_lock_stays() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    daemon.deliver(&sink, [user("ada").into()]).await;
    let record = "changetype: modify\nreplace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n";
    directory.slapd.modify_ldif(&format!("dn: {}\n{record}", person("ada"))).await;
    let mut ada = user("ada");
    ada.profile.title = Some("Countess".into());
    daemon.deliver(&sink, [ada.into()]).await;
    assert_eq!(
        directory.value(&person("ada"), "pwdAccountLockedTime").await.as_deref(),
        Some("000001010000Z")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_was_there_before_outlives_the_time_away() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    daemon.deliver(&sink, [user("ada").into()]).await;
    let record = "changetype: modify\nreplace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n";
    directory.slapd.modify_ldif(&format!("dn: {}\n{record}", person("ada"))).await;
    assert_eq!(
        action(&daemon.deliver(&sink, [user("ada").deactivated().into()]).await[0]),
        Action::Deactivated
    );
    assert_eq!(action(&daemon.deliver(&sink, [user("ada").into()]).await[0]), Action::Reactivated);
    let lock = directory.value(&person("ada"), "pwdAccountLockedTime").await;
    assert_eq!(lock.as_deref(), Some("000001010000Z"));
    assert_eq!(directory.values(&person("ada"), "businessCategory").await, ["rolecall:user:ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_whose_attributes_cannot_be_mapped_is_locked_all_the_same() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    daemon.deliver(&sink, [user("ada").with_roles(&["admin"]).into()]).await;
    let mut nameless = user("ada").deactivated();
    nameless.profile.user_name = None;
    assert_eq!(action(&daemon.deliver(&sink, [nameless.into()]).await[0]), Action::Deactivated);
    assert!(directory.value(&person("ada"), "pwdAccountLockedTime").await.is_some());
    assert_eq!(directory.values(&role("admin"), "member").await, ["cn=rolecall-placeholder"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_whose_attributes_the_server_refuses_is_locked_all_the_same() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    daemon.deliver(&sink, [user("ada").with_roles(&["admin"]).into()]).await;
    let mut broken = user("ada").deactivated();
    broken.profile.email = Some("ädä@example.com".into());
    let outcomes = daemon.deliver(&sink, [broken.into()]).await;
    assert!(rejection(&outcomes[0]).contains("mail"));
    assert!(directory.value(&person("ada"), "pwdAccountLockedTime").await.is_some());
    assert_eq!(directory.values(&role("admin"), "member").await, ["cn=rolecall-placeholder"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_that_mark_a_leaver_are_put_back() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["leavers"] = json!({
        "on_deactivate": { "attributes": { "title": "left", "description": "was {{ user.display_name }}" } },
        "strip_groups": true,
    });
    let (sink, mut daemon) = (sink(config), Daemon::default());
    let mut ada = user("ada").within(&["staff"]);
    ada.profile.title = Some("Programmer".into());
    daemon.deliver(&sink, [group("staff").into(), ada.clone().into()]).await;
    daemon.deliver(&sink, [ada.clone().deactivated().into()]).await;
    let entry = directory.slapd.entry(&person("ada"), &[]).await.unwrap();
    assert_eq!((entry.value("title"), entry.value("description")), (Some("left"), Some("was ada Example")));
    assert_eq!(directory.values(&team("staff"), "member").await, ["cn=rolecall-placeholder"]);
    daemon.deliver(&sink, [ada.into()]).await;
    let entry = directory.slapd.entry(&person("ada"), &[]).await.unwrap();
    assert_eq!((entry.value("title"), entry.value("description")), (Some("Programmer"), None));
    assert_eq!(directory.values(&team("staff"), "member").await, [person("ada")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_gone_stays_locked_and_without_groups_when_configured() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["leavers"] = json!({ "on_delete": "deactivate" });
    let (sink, mut daemon) = (sink(config), Daemon::default());
    let ada = || user("ada").within(&["staff"]).with_roles(&["admin"]);
    daemon.deliver(&sink, [group("staff").into(), ada().into()]).await;
    assert_eq!(action(&daemon.deliver(&sink, [gone_user("ada")]).await[0]), Action::Deactivated);
    assert_eq!(action(&daemon.deliver(&sink, [gone_user("ada")]).await[0]), Action::Unchanged);
    assert!(directory.value(&person("ada"), "pwdAccountLockedTime").await.is_some());
    for dn in [team("staff"), role("admin")] {
        assert_eq!(directory.values(&dn, "member").await, ["cn=rolecall-placeholder"], "{dn}");
    }
    assert_eq!(action(&daemon.deliver(&sink, [ada().into()]).await[0]), Action::Reactivated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivated_user_is_deleted_when_configured() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["leavers"] = json!({ "on_deactivate": "delete" });
    let (sink, mut daemon) = (sink(config), Daemon::default());
    daemon.deliver(&sink, [user("ada").with_roles(&["admin"]).into()]).await;
    assert_eq!(action(&daemon.deliver(&sink, [user("ada").deactivated().into()]).await[0]), Action::Deleted);
    assert_eq!(directory.slapd.entry(&person("ada"), &[]).await, None);
    assert_eq!(directory.values(&role("admin"), "member").await, ["cn=rolecall-placeholder"]);
    assert_eq!(action(&daemon.deliver(&sink, [user("ada").into()]).await[0]), Action::Created);
}

/// A container for leavers beside the one for people, both below the base.
async fn with_container(directory: &Directory, leavers: Value) -> Value {
    let units = ["active", "left"].map(|unit| {
        format!("dn: ou={unit},ou=people,dc=example,dc=com\nobjectClass: organizationalUnit\nou: {unit}\n")
    });
    directory.slapd.add_ldif(&units.join("\n")).await;
    let mut config = directory.config();
    config["people"]["base"] = json!("ou=people,dc=example,dc=com");
    config["people"]["dn"] = json!("uid={{ user.user_name }},ou=active,ou=people,dc=example,dc=com");
    config["leavers"] = leavers;
    config
}

const ACTIVE: &str = "uid=ada,ou=active,ou=people,dc=example,dc=com";
const LEFT: &str = "uid=ada,ou=left,ou=people,dc=example,dc=com";

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_is_moved_and_comes_back_to_their_place() {
    let directory = Directory::with(Slapd::options().plain().start().await);
    let config =
        with_container(&directory, json!({ "move_to": "ou=left,ou=people,dc=example,dc=com" })).await;
    let (sink, mut daemon) = (sink(config), Daemon::default());
    let ada = || user("ada").within(&["staff"]).with_roles(&["admin"]);
    daemon.deliver(&sink, [group("staff").into(), ada().into()]).await;
    let id = directory.value(ACTIVE, "entryUUID").await;
    assert_eq!(action(&daemon.deliver(&sink, [ada().deactivated().into()]).await[0]), Action::Deactivated);
    assert_eq!(directory.value(LEFT, "entryUUID").await, id);
    assert!(directory.value(LEFT, "pwdAccountLockedTime").await.is_some());
    assert_eq!(directory.values(&team("staff"), "member").await, [LEFT]);
    assert_eq!(action(&daemon.deliver(&sink, [ada().deactivated().into()]).await[0]), Action::Unchanged);

    daemon.forget();
    assert_eq!(action(&daemon.deliver(&sink, [ada().into()]).await[0]), Action::Reactivated);
    assert_eq!(directory.value(ACTIVE, "entryUUID").await, id);
    assert_eq!(directory.values(&team("staff"), "member").await, [ACTIVE]);
    assert_eq!(directory.values(&role("admin"), "member").await, [ACTIVE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_whom_the_server_does_not_let_go_is_locked_all_the_same() {
    let directory = Directory::start().await;
    let config =
        with_container(&directory, json!({ "move_to": "ou=nowhere,ou=people,dc=example,dc=com" })).await;
    let (sink, mut daemon) = (sink(config), Daemon::default());
    daemon.deliver(&sink, [user("ada").into()]).await;
    let outcomes = daemon.deliver(&sink, [user("ada").deactivated().into()]).await;
    assert!(
        matches!(&outcomes[0], Outcome::Retry { reason, .. } if reason.contains("rename")),
        "{outcomes:?}"
    );
    assert!(directory.value(ACTIVE, "pwdAccountLockedTime").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_deactivation_overwrites_and_nobody_mapped_comes_back_as_it_was() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["leavers"] = json!({
        "on_deactivate": { "attributes": { "roomNumber": "none" } }, "login_shell": "/usr/sbin/nologin",
    });
    let (sink, mut daemon) = (sink(config), Daemon::default());
    daemon.deliver(&sink, ["ada", "bob"].map(user).map(Into::into)).await;
    let by_hand = "changetype: modify\nadd: objectClass\nobjectClass: posixAccount\n-\nadd: uidNumber\nuidNumber: 1\n-\n\
                   add: gidNumber\ngidNumber: 1\n-\nadd: homeDirectory\nhomeDirectory: /\n-\nadd: loginShell\n\
                   loginShell: /bin/zsh\n-\nadd: roomNumber\nroomNumber: 12\n";
    directory.slapd.modify_ldif(&format!("dn: {}\n{by_hand}", person("ada"))).await;

    daemon.deliver(&sink, ["ada", "bob"].map(|id| user(id).deactivated().into())).await;
    let shell_and_room = async |id: &str| {
        let entry = directory.slapd.entry(&person(id), &[]).await.unwrap();
        ["loginShell", "roomNumber"].map(|name| entry.value(name).map(str::to_owned))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(shell_and_room("ada").await, [some("/usr/sbin/nologin"), some("none")]);
    assert_eq!(shell_and_room("bob").await, [None, some("none")], "bob has no shell that could be taken");
    assert_eq!(
        action(&daemon.deliver(&sink, [user("ada").deactivated().into()]).await[0]),
        Action::Unchanged
    );

    daemon.forget();
    daemon.deliver(&sink, ["ada", "bob"].map(user).map(Into::into)).await;
    assert_eq!(shell_and_room("ada").await, [some("/bin/zsh"), some("12")]);
    assert_eq!(shell_and_room("bob").await, [None, None]);
    assert_eq!(directory.values(&person("ada"), "businessCategory").await, ["rolecall:user:ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_gone_stays_for_the_grace_and_then_goes() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["leavers"] = json!({ "grace": "30d" });
    let (sink, mut daemon) = (sink(config), Daemon::default());
    let ada = || user("ada").within(&["staff"]).with_roles(&["admin"]);
    daemon.deliver(&sink, [group("staff").into(), ada().into()]).await;
    let outcomes = daemon.deliver(&sink, [gone_user("ada")]).await;
    let Outcome::Applied { action: Action::Deactivated, again: Some(again), .. } = outcomes[0] else {
        panic!("{outcomes:?}")
    };
    let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
    assert!(again <= days(30) && again > days(29), "{again:?}");
    assert!(directory.value(&person("ada"), "pwdAccountLockedTime").await.is_some());
    for dn in [team("staff"), role("admin")] {
        assert_eq!(directory.values(&dn, "member").await, ["cn=rolecall-placeholder"], "{dn}");
    }

    // Back in time: all is undone, and the next grace is a whole one.
    assert_eq!(action(&daemon.deliver(&sink, [ada().into()]).await[0]), Action::Reactivated);
    assert_eq!(directory.values(&person("ada"), "businessCategory").await, ["rolecall:user:ada"]);
    daemon.deliver(&sink, [gone_user("ada")]).await;

    // Too early it stays, also for a daemon that has forgotten everything; in time it goes.
    daemon.forget();
    assert_eq!(action(&daemon.deliver(&sink, [gone_user("ada")]).await[0]), Action::Unchanged);
    let marks = directory.values(&person("ada"), "businessCategory").await;
    let since = marks.iter().find(|mark| mark.contains(":gone:")).unwrap();
    let long_ago = format!(
        "dn: {}\nchangetype: modify\ndelete: businessCategory\nbusinessCategory: {since}\n-\n\
         add: businessCategory\nbusinessCategory: rolecall:gone:2020-01-01T00:00:00Z\n",
        person("ada")
    );
    directory.slapd.modify_ldif(&long_ago).await;
    let outcomes = daemon.deliver(&sink, [gone_user("ada")]).await;
    assert!(
        matches!(outcomes[0], Outcome::Applied { action: Action::Deleted, again: None, .. }),
        "{outcomes:?}"
    );
    assert_eq!(directory.slapd.entry(&person("ada"), &[]).await, None);
    assert_eq!(action(&daemon.deliver(&sink, [gone_user("ada")]).await[0]), Action::Unchanged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_gone_is_kept_without_groups_when_configured() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["leavers"] = json!({ "on_delete": "keep" });
    let (sink, mut daemon) = (sink(config), Daemon::default());
    daemon.deliver(&sink, [group("staff").into(), user("ada").within(&["staff"]).into()]).await;
    let before = directory.value(&person("ada"), "businessCategory").await;
    assert_eq!(action(&daemon.deliver(&sink, [gone_user("ada")]).await[0]), Action::Updated);
    assert_eq!(directory.values(&team("staff"), "member").await, ["cn=rolecall-placeholder"]);
    assert_eq!(directory.value(&person("ada"), "pwdAccountLockedTime").await, None);
    assert_eq!(directory.value(&person("ada"), "businessCategory").await, before);
    assert_eq!(action(&daemon.deliver(&sink, [gone_user("ada")]).await[0]), Action::Unchanged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leavers_password_is_replaced_once_and_only_after_the_lock() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["leavers"] = json!({ "on_deactivate": { "attributes": {} }, "random_password": true });
    let (sink, mut daemon) = (sink(config), Daemon::default());
    daemon.deliver(&sink, [user("ada").into()]).await;
    set_password(&directory, &person("ada")).await;
    daemon.deliver(&sink, [user("ada").deactivated().into()]).await;
    assert!(!directory.slapd.can_bind(&person("ada"), "hunter2").await);
    let password = directory.value(&person("ada"), "userPassword").await;
    assert!(password.is_some());
    assert_eq!(
        action(&daemon.deliver(&sink, [user("ada").deactivated().into()]).await[0]),
        Action::Unchanged
    );
    assert_eq!(directory.value(&person("ada"), "userPassword").await, password);

    daemon.deliver(&sink, [user("ada").into()]).await;
    assert_eq!(directory.values(&person("ada"), "businessCategory").await, ["rolecall:user:ada"]);
    assert!(!directory.slapd.can_bind(&person("ada"), "hunter2").await, "whoever comes back needs a new one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_could_not_be_replaced_is_replaced_by_the_next_attempt() {
    let rule = "to attrs=userPassword by dn.exact=cn=rolecall,ou=services,dc=example,dc=com read by * auth";
    let directory = Directory::with(Slapd::options().access(rule).start().await);
    let mut config = directory.config();
    config["leavers"] = json!({ "random_password": true });
    let (sink, mut daemon) = (sink(config), Daemon::default());
    daemon.deliver(&sink, [user("ada").into()]).await;
    let outcomes = daemon.deliver(&sink, [user("ada").deactivated().into()]).await;
    assert!(rejection(&outcomes[0]).contains("set the password of"), "{outcomes:?}");
    assert!(directory.value(&person("ada"), "pwdAccountLockedTime").await.is_some());
    // It is not forgotten: with nothing else to do, the refusal is all there is.
    let down = daemon.try_deliver(&sink, [user("ada").deactivated().into()]).await.unwrap_err();
    assert!(down.reason.contains("set the password of"), "{down}");
}
