//! What is different about Active Directory.

use futures_util::TryStreamExt as _;
use rolecall_sink_api::{Action, Findings, Group, Observed, Sink as _};
use serde_json::json;

use crate::fixture::{Daemon, UserExt as _, action, gone_user, group, retry, sink, try_sink, user};
use crate::server::{Server, person, role, team};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_made_as_administrators_expect_one() {
    let server = Server::start().await;
    let (sink, mut daemon) = (server.sink(), Daemon::default());
    let mut ada = user("ada").within(&["staff"]).with_roles(&["admin"]);
    ada.profile.user_name = Some("Ada.Lovelace@example.com".into());
    daemon.deliver(&sink, [group("staff").into(), ada.clone().into()]).await;
    let dn = person("Ada.Lovelace@example.com");
    let entry = server.entry(&dn).await;
    assert_eq!(entry.value("sAMAccountName"), Some("ada-lovelace"));
    assert_eq!(entry.value("userPrincipalName"), Some("Ada.Lovelace@example.com"));
    assert_eq!(entry.value("userAccountControl"), Some("512"), "enabled, with a password that nobody knows");
    let mut groups = entry.values("memberOf").to_vec();
    groups.sort();
    assert_eq!(groups, [role("admin"), team("staff")]);
    let staff = server.entry(&team("staff")).await;
    assert_eq!(
        (staff.value("groupType"), staff.value("sAMAccountName")),
        (Some("-2147483646"), Some("staff-team"))
    );
    assert_eq!(action(&daemon.deliver(&sink, [ada.into()]).await[0]), Action::Unchanged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_is_disabled_and_enabled_again_and_the_other_flags_stay() {
    let server = Server::start().await;
    let (sink, mut daemon) = (server.sink(), Daemon::default());
    daemon.deliver(&sink, [user("ada").into()]).await;
    let set_flags = async |flags: &str| {
        let record =
            format!("changetype: modify\nreplace: userAccountControl\nuserAccountControl: {flags}\n");
        server.samba.modify_ldif(&format!("dn: {}\n{record}", person("ada"))).await;
    };
    let flags = async || server.entry(&person("ada")).await.value("userAccountControl").map(str::to_owned);
    // NORMAL_ACCOUNT and DONT_EXPIRE_PASSWORD.
    set_flags("66048").await;
    let inactive = || user("ada").deactivated();
    assert_eq!(action(&daemon.deliver(&sink, [inactive().into()]).await[0]), Action::Deactivated);
    assert_eq!(flags().await.as_deref(), Some("66050"));
    daemon.forget();
    assert_eq!(action(&daemon.deliver(&sink, [user("ada").into()]).await[0]), Action::Reactivated);
    assert_eq!(flags().await.as_deref(), Some("66048"));

    // An administrator's own lock is not undone.
    set_flags("66050").await;
    daemon.deliver(&sink, [inactive().into()]).await;
    daemon.deliver(&sink, [user("ada").into()]).await;
    assert_eq!(flags().await.as_deref(), Some("66050"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_tied_by_its_guid_wherever_it_is_moved() {
    let server = Server::start().await;
    let (sink, mut daemon) = (server.sink(), Daemon::default());
    daemon.deliver(&sink, [group("staff").into(), user("ada").within(&["staff"]).into()]).await;
    let guid = server.entry(&person("ada")).await.value("objectGUID").map(str::to_owned);
    let moved = "changetype: modrdn\nnewrdn: cn=by hand\ndeleteoldrdn: 1\nnewsuperior: CN=Users,DC=ad,DC=example,DC=com\n";
    server.samba.modify_ldif(&format!("dn: {}\n{moved}", person("ada"))).await;
    let unmarked = "changetype: modify\ndelete: extensionName\n";
    server.samba.modify_ldif(&format!("dn: CN=by hand,CN=Users,DC=ad,DC=example,DC=com\n{unmarked}")).await;
    let outcomes = daemon.deliver(&sink, [user("ada").within(&["staff"]).into()]).await;
    assert_eq!(action(&outcomes[0]), Action::Updated);
    let entry = server.entry(&person("ada")).await;
    assert_eq!(entry.value("objectGUID").map(str::to_owned), guid);
    assert_eq!(entry.values("memberOf"), [team("staff")]);
    assert_eq!(action(&daemon.deliver(&sink, [gone_user("ada")]).await[0]), Action::Deleted);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_means_by_its_numbers_is_said() {
    let server = Server::start().await;
    let (guarded, mut daemon) = (server.sink(), Daemon::default());
    daemon.deliver(&guarded, [user("ada").into()]).await;
    // Another container, the same account name: the domain allows it once.
    let mut config = server.config();
    config["people"]["base"] = json!("OU=services,DC=ad,DC=example,DC=com");
    config["marker"] = json!({ "prefix": "other" });
    let outcomes = Daemon::default().deliver(&sink(config), [user("ada").into()]).await;
    let reason = retry(&outcomes[0]);
    assert!(reason.contains("cn=ada,OU=services"), "{reason}");
    assert!(reason.contains("samAccountName 'ada' already in use"), "{reason}");

    let wrong = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(wrong.path(), "wrong").unwrap();
    let mut config = server.config();
    config["bind"]["password"] = json!({ "file": wrong.path() });
    let reason = sink(config).probe().await.unwrap_err().reason;
    assert!(reason.contains("invalidCredentials (49)"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_never_sent_in_the_clear() {
    let server = Server::start().await;
    let mut config = server.config();
    config["url"] = json!(server.samba.url());
    assert!(try_sink(config).err().unwrap().starts_with("url: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_group_is_read_part_by_part() {
    let server = Server::start().await;
    let (sink, mut daemon) = (server.sink(), Daemon::default());
    // Which part a member is in is chance: so many are hardly all in the first.
    let people = (0..10).map(|n| user(&format!("u{n}")).within(&["staff"]).into());
    daemon.deliver(&sink, std::iter::once(group("staff").into()).chain(people)).await;
    // More than two parts of them. Contacts, because they are made faster than accounts.
    let others: Vec<String> = (0..3_200).map(|n| person(&format!("other{n}"))).collect();
    let records = others.iter().map(|dn| format!("dn: {dn}\nobjectClass: contact\n\n"));
    server.samba.add_ldif(&records.collect::<String>()).await;
    let members: String = others.iter().map(|dn| format!("member: {dn}\n")).collect();
    server
        .samba
        .modify_ldif(&format!("dn: {}\nchangetype: modify\nadd: member\n{members}", team("staff")))
        .await;
    let observed: Vec<Observed> = sink.observe().unwrap().try_collect().await.unwrap();
    let Some(Observed::Group(staff)) = observed.first() else { panic!("{observed:?}") };
    let members = observed
        .iter()
        .filter(|one| matches!(one, Observed::User(user) if user.groups.contains(&staff.remote)));
    assert_eq!(members.count(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_renamed_and_members_that_are_there_already_are_no_trouble() {
    let server = Server::start().await;
    let (sink, mut daemon) = (server.sink(), Daemon::default());
    let ada = || user("ada").within(&["staff"]);
    daemon.deliver(&sink, [group("staff").into(), ada().into(), user("bob").into()]).await;
    let record = format!("changetype: modify\nadd: member\nmember: {}\n", person("bob"));
    server.samba.modify_ldif(&format!("dn: {}\n{record}", team("staff"))).await;
    let renamed = Group { name: "Everybody, really".into(), ..group("staff") };
    let outcomes =
        daemon.deliver(&sink, [renamed.into(), ada().into(), user("bob").within(&["staff"]).into()]).await;
    assert_eq!(action(&outcomes[0]), Action::Updated);
    let dn = r"CN=Everybody\, really,OU=groups,DC=ad,DC=example,DC=com";
    let mut members = server.entry(dn).await.values("member").to_vec();
    members.sort();
    assert_eq!(members, [person("ada"), person("bob")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_what_it_is_and_what_is_allowed() {
    let server = Server::start().await;
    let Findings { found: lines, faults } = server.sink().check().await.unwrap();
    let has = |part: &str| lines.iter().any(|line| line.contains(part));
    assert!(has("Samba Team") && has("flavour: active-directory"), "{lines:#?}");
    assert!(has("tie: objectGUID, mark in extensionName"), "{lines:#?}");
    assert!(has("leavers: locked by userAccountControl"), "{lines:#?}");
    assert!(has("people: below OU=people,DC=ad,DC=example,DC=com, where we may add entries"), "{lines:#?}");
    assert_eq!(faults, [""; 0]);

    let mut config = server.config();
    config["people"]["attributes"] = json!({ "acmeBadge": "{{ user.custom.badge }}" });
    config["people"]["object_classes"] = json!(["top", "person", "acmePerson", "user"]);
    let faults = sink(config).check().await.unwrap().faults;
    let has = |part: &str| faults.iter().any(|fault| fault.contains(part));
    assert!(has("people: the schema has no attribute acmeBadge"), "{faults:#?}");
    assert!(has("people: the schema has no object class acmePerson"), "{faults:#?}");
}
