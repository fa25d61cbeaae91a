//! What `check` finds out before the first delivery, and what is wrong with a configuration.

use rolecall_sink_api::{Findings, Sink as _};
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
    let Findings { found, faults } = sink(config).check().await.unwrap();
    let has = |part: &str| found.iter().any(|line| line.contains(part));
    assert!(has("OpenLDAP") && has("dc=example,dc=com"), "{found:#?}");
    assert!(has("flavour: openldap") && has("tie: entryUUID, mark in businessCategory"), "{found:#?}");
    assert!(has("leavers: locked by pwdAccountLockedTime"), "{found:#?}");
    let lacks = |part: &str| faults.iter().any(|line| line.contains(part));
    assert!(lacks("people: the schema has no object class acmePerson"), "{faults:#?}");
    assert!(lacks("people: the schema has no attribute acmeBadge"), "{faults:#?}");
    assert!(lacks("roles: ou=nowhere,dc=example,dc=com does not exist"), "{faults:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_has_no_complaint_about_the_default_mapping() {
    let directory = Directory::start().await;
    assert_eq!(directory.sink().check().await.unwrap().faults, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_whether_the_account_may_write_and_writes_nothing() {
    let writing = Directory::start().await;
    let reading = Directory::with(Slapd::options().read_only().start().await);
    for (directory, expected) in
        [(&writing, "where we may add entries"), (&reading, "where we may not add entries")]
    {
        let Findings { found, faults } = directory.sink().check().await.unwrap();
        let mut lines = found.iter().chain(&faults);
        let line = lines.find(|line| line.starts_with("people: below")).unwrap();
        assert!(line.contains(expected), "{found:#?} {faults:#?}");
        let below = "ou=people,dc=example,dc=com";
        assert_eq!(directory.slapd.search(below, "(!(ou=people))", &["1.1"]).await, []);
    }
}

/// A database that has never seen an attribute is harmed when a request with it is tried without effect.
#[tokio::test(flavor = "multi_thread")]
async fn check_does_not_harm_a_server_that_is_new() {
    let directory = Directory::with(Slapd::options().bare().start().await);
    let mut config = directory.config();
    config["bind"]["dn"] = json!(directory.slapd.admin_dn());
    let Findings { found, .. } = sink(config).check().await.unwrap();
    assert!(
        found.iter().any(|line| line.contains("people: below") && line.contains("may add")),
        "{found:#?}"
    );
    let entry = "dn: uid=ann,ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: ann\ncn: Ann\nsn: Lee\n\
                 businessCategory: reads\n";
    directory.slapd.add_ldif(entry).await;
    let names = ["uid", "cn", "sn", "businessCategory"];
    let stored = directory.slapd.search("ou=people,dc=example,dc=com", "(uid=ann)", &names).await.remove(0);
    let values: Vec<&str> = names.iter().map(|name| stored.value(name).unwrap_or_default()).collect();
    assert_eq!(values, ["ann", "Ann", "Lee", "reads"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flavour_that_the_server_does_not_look_like_is_said() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["flavour"] = json!("389ds");
    let Findings { found, faults } = sink(config).check().await.unwrap();
    let has = |lines: &[String], part: &str| lines.iter().any(|line| line.contains(part));
    assert!(
        has(&found, "flavour: 389ds, as configured, though the server looks like openldap"),
        "{found:#?}"
    );
    assert!(has(&faults, "people: the schema has no attribute nsAccountLock"), "{faults:#?}");
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
        (with(|c| c["people"]["match"] = json!("mail={{ user.email }}")), "people.match: "),
        (
            with(|c| {
                let range = json!({ "from": 2, "to": 1, "counter": "cn=x,dc=x" });
                c["people"]["numbers"] = json!({ "uidNumber": range });
            }),
            "people.numbers.uidNumber.to: ",
        ),
        (with(|c| c["leavers"] = json!({ "move_to": "ou=left,dc=example,dc=com" })), "leavers.move_to: "),
        (with(|c| c["leavers"] = json!({ "grace": "1d", "on_delete": "keep" })), "leavers.grace: "),
    ] {
        assert!(error.starts_with(part), "{part}: {error}");
    }
}
