//! What `check` finds out before the first delivery, and what is wrong with a configuration.

use rolecall_sink_api::Sink as _;
use rolecall_testkit::Slapd;
use serde_json::{Value, json};

use crate::fixture::{Directory, mapping, sink, try_sink};

#[tokio::test(flavor = "multi_thread")]
async fn check_names_what_the_schema_and_the_tree_lack() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["people"]["object_classes"] = json!(["inetOrgPerson", "acmePerson"]);
    config["people"]["attributes"] = json!({ "acmeBadge": "{{ user.custom.badge }}" });
    config["roles"]["dn"] = json!("cn={{ role }},ou=nowhere,dc=example,dc=com");
    let lines = sink(config).check().await.unwrap();
    let has = |part: &str| lines.iter().any(|line| line.contains(part));
    assert!(has("OpenLDAP") && has("dc=example,dc=com"), "{lines:#?}");
    assert!(has("people: the schema has no object class acmePerson"), "{lines:#?}");
    assert!(has("people: the schema has no attribute acmeBadge"), "{lines:#?}");
    assert!(has("flavour: openldap") && has("tie: entryUUID, mark in businessCategory"), "{lines:#?}");
    assert!(has("leavers: locked by pwdAccountLockedTime"), "{lines:#?}");
    assert!(has("roles: ou=nowhere,dc=example,dc=com does not exist"), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_has_no_complaint_about_the_default_mapping() {
    let directory = Directory::start().await;
    let lines = directory.sink().check().await.unwrap();
    assert!(
        !lines.iter().any(|line| line.contains("the schema") || line.contains("not exist")),
        "{lines:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_whether_the_account_may_write_and_writes_nothing() {
    let writing = Directory::start().await;
    let reading = Directory::with(Slapd::options().read_only().start().await);
    for (directory, expected) in
        [(&writing, "where we may add entries"), (&reading, "where we may not add entries")]
    {
        let lines = directory.sink().check().await.unwrap();
        let line = lines.iter().find(|line| line.starts_with("people: below")).unwrap();
        assert!(line.contains(expected), "{lines:#?}");
        let people = "ou=people,dc=example,dc=com";
        assert_eq!(directory.slapd.search(people, "(cn=*)", &["1.1"]).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flavour_that_the_server_does_not_look_like_is_said() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["flavour"] = json!("389ds");
    let lines = sink(config).check().await.unwrap();
    let has = |part: &str| lines.iter().any(|line| line.contains(part));
    assert!(has("flavour: 389ds, as configured, though the server looks like openldap"), "{lines:#?}");
    assert!(has("people: the schema has no attribute nsAccountLock"), "{lines:#?}");
}

#[test]
fn a_configuration_that_cannot_work_is_refused_with_its_path() {
    let with = |change: fn(&mut Value)| {
        let mut config = mapping();
        config["url"] = json!("ldaps://ldap.example.com");
        change(&mut config);
        try_sink(config).err().unwrap_or_else(|| panic!("it was accepted"))
    };
    for (error, part) in [
        (with(|c| c["url"] = json!("http://x")), "url: "),
        (with(|c| c["url"] = Value::Null), "url: is missing"),
        (with(|c| c["urls"] = json!(["ldap://x"])), "urls: give either"),
        (with(|c| c["start_tls"] = json!(true)), "start_tls: "),
        (with(|c| c["flavour"] = json!("novell")), "unknown variant `novell`"),
        (with(|c| c["referrals"] = json!({ "hops": 0 })), "referrals.hops: "),
        (with(|c| c["people"] = json!({})), "people.dn: is missing"),
        (with(|c| c["in_flight"] = json!(0)), "in_flight: "),
        (with(|c| c["bind"] = json!({ "dn": "cn=x" })), "bind.password: is missing"),
        (with(|c| c["people"]["dn"] = json!("uid={{ user.nmae }},dc=x")), "people.dn: there is no variable"),
        (with(|c| c["people"]["dn"] = json!("{{ user.id }}")), "people.dn: no part at its end"),
        (with(|c| c["groups"]["attributes"] = json!({ "member": "x" })), "groups.attributes.member: "),
        (with(|c| c["marker"] = json!({ "attribute": "mail" })), "marker.attribute: mail is also mapped"),
        (
            with(|c| c["leavers"] = json!({ "on_deactivate": "delete", "on_delete": "deactivate" })),
            "leavers.on_delete: ",
        ),
        (with(|c| c["ldif"] = json!({ "path": "/x" })), "ldif: give either"),
    ] {
        assert!(error.starts_with(part), "{part}: {error}");
    }
}
