//! People's entries.

use rolecall_sink_api::Action;
use serde_json::json;

use crate::fixture::{
    Daemon, Directory, UserExt as _, action, gone_user, group, person, rejection, retry, sink, team, user,
};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_when_nothing_differs() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    let ada = || user("ada").with_roles(&["reader"]);
    daemon.deliver(&sink, [ada().into()]).await;
    let before =
        (directory.csn(&person("ada")).await, directory.csn("cn=reader,ou=roles,dc=example,dc=com").await);

    assert_eq!(action(&daemon.deliver(&sink, [ada().into()]).await[0]), Action::Unchanged);
    daemon.forget();
    assert_eq!(action(&daemon.deliver(&sink, [ada().into()]).await[0]), Action::Unchanged);
    let after =
        (directory.csn(&person("ada")).await, directory.csn("cn=reader,ou=roles,dc=example,dc=com").await);
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_mapped_attributes_that_differ_are_written() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    let mut ada = user("ada");
    ada.profile.title = Some("Programmer".into());
    daemon.deliver(&sink, [ada.clone().into()]).await;
    let theirs = "add: description\ndescription: by hand\n-\nadd: businessCategory\nbusinessCategory: sales\n-\n\
                  replace: mail\nmail: ADA@example.com\n";
    directory.slapd.modify_ldif(&format!("dn: {}\nchangetype: modify\n{theirs}", person("ada"))).await;

    ada.profile.title = None;
    ada.profile.department = Some("Engines".into());
    assert_eq!(action(&daemon.deliver(&sink, [ada.into()]).await[0]), Action::Updated);
    let entry = directory.slapd.entry(&person("ada"), &[]).await.unwrap();
    assert_eq!(entry.value("title"), None);
    assert_eq!(entry.value("departmentNumber"), Some("Engines"));
    assert_eq!(entry.value("description"), Some("by hand"));
    assert_eq!(entry.value("mail"), Some("ADA@example.com"), "the same by its rule, so left alone");
    assert_eq!(entry.values("businessCategory"), ["rolecall:user:ada", "sales"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_schema_says_whether_case_counts() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    // bootFile is compared by caseExactIA5Match, description by caseIgnoreMatch.
    config["people"]["object_classes"] = json!(["top", "inetOrgPerson", "bootableDevice"]);
    config["people"]["attributes"] =
        json!({ "bootFile": "{{ user.title }}", "description": "{{ user.department }}" });
    let (sink, mut daemon) = (sink(config), Daemon::default());
    let ada = |title: &str, department: &str| {
        let mut ada = user("ada");
        ada.profile.title = Some(title.into());
        ada.profile.department = Some(department.into());
        ada
    };
    daemon.deliver(&sink, [ada("Kernel", "Engines").into()]).await;
    daemon.forget();
    let again = daemon.deliver(&sink, [ada("Kernel", "ENGINES").into()]).await;
    assert_eq!(action(&again[0]), Action::Unchanged);
    daemon.forget();
    let other = daemon.deliver(&sink, [ada("kernel", "Engines").into()]).await;
    assert_eq!(action(&other[0]), Action::Updated);
    assert_eq!(directory.value(&person("ada"), "bootFile").await.as_deref(), Some("kernel"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_spelling_by_the_source_arrives() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    let mut ada = user("ada");
    ada.profile.family_name = Some("mcdonald".into());
    daemon.deliver(&sink, [ada.clone().into()]).await;
    ada.profile.family_name = Some("McDonald".into());
    daemon.deliver(&sink, [ada.into()]).await;
    assert_eq!(directory.value(&person("ada"), "sn").await.as_deref(), Some("McDonald"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_become_several_values() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["people"]["attributes"] = json!({
        "mail": ["{{ user.email }}", "{{ user.custom.aliases }}"],
        "telephoneNumber": null,
    });
    let (sink, mut daemon) = (sink(config), Daemon::default());
    let mut ada = user("ada");
    ada.profile.phone_number = Some("+1 555 0100".into());
    ada.profile.custom.insert("aliases".into(), json!(["countess@example.com", "", "ada@EXAMPLE.com"]));
    daemon.deliver(&sink, [ada.into()]).await;
    let entry = directory.slapd.entry(&person("ada"), &[]).await.unwrap();
    let mut mail = entry.values("mail").to_vec();
    mail.sort();
    assert_eq!(mail, ["ada@example.com", "countess@example.com"]);
    assert_eq!(entry.value("telephoneNumber"), None, "a default that was turned off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_person_is_the_same_entry_in_the_same_groups() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    let ada = user("ada").within(&["staff"]).with_roles(&["reader"]);
    daemon.deliver(&sink, [group("staff").into(), ada.clone().into()]).await;
    let id = directory.value(&person("ada"), "entryUUID").await;

    let mut lovelace = ada;
    lovelace.profile.user_name = Some("lovelace".into());
    assert_eq!(action(&daemon.deliver(&sink, [lovelace.into()]).await[0]), Action::Updated);
    assert_eq!(directory.value(&person("ada"), "uid").await, None);
    assert_eq!(directory.value(&person("lovelace"), "entryUUID").await, id);
    assert_eq!(directory.values(&person("lovelace"), "uid").await, ["lovelace"]);
    for dn in [team("staff"), "cn=reader,ou=roles,dc=example,dc=com".to_owned()] {
        assert_eq!(directory.values(&dn, "member").await, [person("lovelace")], "{dn}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_moves_to_another_parent() {
    let directory = Directory::start().await;
    let units = ["sales", "engines"].map(|unit| {
        format!("dn: ou={unit},ou=people,dc=example,dc=com\nobjectClass: organizationalUnit\nou: {unit}\n")
    });
    directory.slapd.add_ldif(&units.join("\n")).await;
    let mut config = directory.config();
    config["people"]["dn"] =
        json!("uid={{ user.user_name }},ou={{ user.department }},ou=people,dc=example,dc=com");
    let (sink, mut daemon) = (sink(config), Daemon::default());
    let mut ada = user("ada");
    ada.profile.department = Some("sales".into());
    daemon.deliver(&sink, [ada.clone().into()]).await;
    let id = directory.value("uid=ada,ou=sales,ou=people,dc=example,dc=com", "entryUUID").await;
    ada.profile.department = Some("engines".into());
    daemon.deliver(&sink, [ada.clone().into()]).await;
    assert_eq!(directory.value("uid=ada,ou=engines,ou=people,dc=example,dc=com", "entryUUID").await, id);

    ada.profile.department = Some("nowhere".into());
    let outcomes = daemon.deliver(&sink, [ada.into()]).await;
    let reason = retry(&outcomes[0]);
    assert!(reason.contains("rename uid=ada,ou=engines") && reason.contains("noSuchObject (32)"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrators_move_to_anywhere_does_not_break_the_tie() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    daemon.deliver(&sink, [user("ada").into()]).await;
    let id = directory.value(&person("ada"), "entryUUID").await;
    let record = "changetype: modrdn\nnewrdn: uid=byhand\ndeleteoldrdn: 1\nnewsuperior: dc=example,dc=com\n";
    directory.slapd.modify_ldif(&format!("dn: {}\n{record}", person("ada"))).await;
    let mut ada = user("ada");
    ada.profile.title = Some("Countess".into());
    assert_eq!(action(&daemon.deliver(&sink, [ada.into()]).await[0]), Action::Updated);
    assert_eq!(directory.value(&person("ada"), "entryUUID").await, id);
    assert_eq!(directory.value(&person("ada"), "title").await.as_deref(), Some("Countess"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tie_holds_when_the_mark_was_removed() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    daemon.deliver(&sink, [user("ada").into()]).await;
    let record = "changetype: modify\ndelete: businessCategory\n";
    directory.slapd.modify_ldif(&format!("dn: {}\n{record}", person("ada"))).await;
    assert_eq!(action(&daemon.deliver(&sink, [user("ada").into()]).await[0]), Action::Updated);
    assert_eq!(directory.values(&person("ada"), "businessCategory").await, ["rolecall:user:ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_entry_is_left_alone_or_adopted_as_configured() {
    let directory = Directory::start().await;
    let dn = person("ada");
    let entry = format!("dn: {dn}\nobjectClass: inetOrgPerson\ncn: By Hand\nsn: Hand\nroomNumber: 7\n");
    directory.slapd.add_ldif(&entry).await;
    let before = directory.csn(&dn).await;
    let (refusing, mut daemon) = (directory.sink(), Daemon::default());
    let outcomes = daemon.deliver(&refusing, [user("ada").into()]).await;
    let reason = rejection(&outcomes[0]);
    assert!(reason.contains(&dn) && reason.contains("on_existing: adopt"), "{reason}");
    assert_eq!(action(&daemon.deliver(&refusing, [gone_user("ada")]).await[0]), Action::Unchanged);
    assert_eq!(directory.csn(&dn).await, before);

    let mut config = directory.config();
    config["people"]["on_existing"] = json!("adopt");
    let adopting = sink(config);
    assert_eq!(action(&daemon.deliver(&adopting, [user("ada").into()]).await[0]), Action::Updated);
    let entry = directory.slapd.entry(&dn, &[]).await.unwrap();
    assert_eq!((entry.value("sn"), entry.value("roomNumber")), (Some("Example"), Some("7")));
    assert_eq!(action(&daemon.deliver(&adopting, [gone_user("ada")]).await[0]), Action::Deleted);
    assert_eq!(directory.slapd.entry(&dn, &[]).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_mean_something_to_ldap_are_names() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["people"]["dn"] = json!("cn={{ user.display_name }},ou=people,dc=example,dc=com");
    let (sink, mut daemon) = (sink(config), Daemon::default());
    let names = [
        "Doe, Jane+ou=admins",
        "# starts like hex",
        "  both ends  ",
        r#"quotes " and \ back\2c slash"#,
        "a<b>c;d=e",
        "*)(uid=*))(|(uid=*",
        "\u{202e}עברית \u{1f600} Zoë",
        "nul\u{0}inside",
    ];
    for (n, name) in names.into_iter().enumerate() {
        let mut hostile = user(&format!("u{n}")).within(&["staff"]);
        hostile.profile.display_name = Some(name.into());
        let outcomes = daemon.deliver(&sink, [group("staff").into(), hostile.into()]).await;
        assert_eq!(action(&outcomes[1]), Action::Created, "{name}");
        let found =
            directory.slapd.search("ou=people,dc=example,dc=com", &format!("(mail=u{n}@*)"), &[]).await;
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0].values("cn"), [name]);
        assert_eq!(found[0].dn.matches("ou=people").count(), 1, "{}", found[0].dn);
        assert!(directory.values(&team("staff"), "member").await.contains(&found[0].dn), "{name}");
        assert_eq!(action(&daemon.deliver(&sink, [gone_user(&format!("u{n}"))]).await[0]), Action::Deleted);
    }
    assert_eq!(directory.values(&team("staff"), "member").await, ["cn=rolecall-placeholder"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_or_attribute_that_comes_out_empty_is_said() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["people"]["attributes"] = json!({ "sn": "{{ user.family_name }}" });
    let (sink, mut daemon) = (sink(config), Daemon::default());
    let mut nameless = user("a");
    nameless.profile.user_name = None;
    let mut familyless = user("b");
    familyless.profile.family_name = None;
    let outcomes = daemon.deliver(&sink, [nameless.into(), familyless.into(), user("c").into()]).await;
    let reason = rejection(&outcomes[0]);
    assert!(reason.contains("people.dn gives an empty uid"), "{reason}");
    let reason = rejection(&outcomes[1]);
    assert!(reason.contains("people.attributes.sn") && reason.contains("person"), "{reason}");
    assert_eq!(action(&outcomes[2]), Action::Created);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_entry_operation_code_and_the_servers_text() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    let mut ada = user("ada");
    ada.profile.email = Some("ädä@example.com".into());
    let outcomes = daemon.deliver(&sink, [ada.into()]).await;
    let reason = rejection(&outcomes[0]);
    assert!(
        reason.starts_with(&format!("add {}: invalidAttributeSyntax (21): mail", person("ada"))),
        "{reason}"
    );
}
