//! People who leave, and come back.

use rolecall_sink_api::Action;
use serde_json::json;

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
