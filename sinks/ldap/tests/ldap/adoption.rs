//! Entries that somebody else made: adopted, refused or ignored; and names that somebody else has.

use rolecall_sink_api::{Action, User};
use serde_json::{Value, json};

use crate::fixture::{
    Daemon, Directory, UserExt as _, action, gone_user, group, person, rejection, retry, sink, team, user,
};

const FILTER: &str = "(|(mail={{ user.email }})(employeeNumber={{ user.employee_number }}))";

fn config(directory: &Directory, on_existing: &str) -> Value {
    let mut config = directory.config();
    config["people"]["match"] = json!(FILTER);
    config["people"]["on_existing"] = json!(on_existing);
    config
}

/// An entry made by hand, under a name of its own.
async fn by_hand(directory: &Directory, name: &str, attributes: &str) -> String {
    let dn = format!("cn={name},ou=people,dc=example,dc=com");
    let entry = format!("dn: {dn}\nobjectClass: inetOrgPerson\ncn: {name}\nsn: {name}\n{attributes}\n");
    directory.slapd.add_ldif(&entry).await;
    dn
}

fn employee(id: &str, number: &str) -> User {
    let mut user = user(id);
    user.profile.employee_number = Some(number.into());
    user
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_found_by_the_filter_and_adopted_with_its_id_its_values_and_its_new_name() {
    let directory = Directory::start().await;
    let dn = by_hand(&directory, "Ada By Hand", "employeeNumber: 7\nroomNumber: 12\n").await;
    let id = directory.value(&dn, "entryUUID").await;
    let (sink, mut daemon) = (sink(config(&directory, "adopt")), Daemon::default());
    let ada = employee("ada", "7").within(&["staff"]);
    let outcomes = daemon.deliver(&sink, [group("staff").into(), ada.into(), user("bob").into()]).await;
    assert_eq!((action(&outcomes[1]), action(&outcomes[2])), (Action::Updated, Action::Created));
    assert_eq!(directory.value(&person("ada"), "entryUUID").await, id);
    assert_eq!(directory.value(&person("ada"), "roomNumber").await.as_deref(), Some("12"));
    assert_eq!(directory.values(&team("staff"), "member").await, [person("ada")]);
    assert_eq!(action(&daemon.deliver(&sink, [gone_user("ada")]).await[0]), Action::Deleted);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_entries_that_fit_are_refused_by_name_and_left_alone() {
    let directory = Directory::start().await;
    let first = by_hand(&directory, "first", "mail: ada@example.com\n").await;
    let second = by_hand(&directory, "second", "employeeNumber: 7\n").await;
    let before = (directory.csn(&first).await, directory.csn(&second).await);
    let (sink, mut daemon) = (sink(config(&directory, "adopt")), Daemon::default());
    let outcomes = daemon.deliver(&sink, [employee("ada", "7").into()]).await;
    let reason = rejection(&outcomes[0]);
    assert!(reason.contains(&format!("{first}; {second}")), "{reason}");
    assert_eq!((directory.csn(&first).await, directory.csn(&second).await), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_several_users_fit_is_nobodys() {
    let directory = Directory::start().await;
    let dn = by_hand(&directory, "shared", "employeeNumber: 7\n").await;
    let (sink, mut daemon) = (sink(config(&directory, "adopt")), Daemon::default());
    let outcomes = daemon.deliver(&sink, [employee("ada", "7").into(), employee("bob", "7").into()]).await;
    for outcome in &outcomes {
        let reason = rejection(outcome);
        assert!(reason.contains(&dn) && reason.contains("rolecall:user:bob"), "{reason}");
    }
    assert_eq!(directory.value(&dn, "businessCategory").await, None);
    // Whoever comes later finds it taken.
    assert_eq!(action(&daemon.deliver(&sink, [employee("ada", "7").into()]).await[0]), Action::Updated);
    let outcomes = daemon.deliver(&sink, [employee("bob", "7").into()]).await;
    assert!(retry(&outcomes[0]).contains("belongs to rolecall:user:ada"), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_fits_is_refused_or_ignored_as_configured() {
    let directory = Directory::start().await;
    let dn = by_hand(&directory, "Ada By Hand", "employeeNumber: 7\n").await;
    let before = directory.csn(&dn).await;
    let mut daemon = Daemon::default();
    let refusing = sink(config(&directory, "refuse"));
    let outcomes = daemon.deliver(&refusing, [employee("ada", "7").into()]).await;
    assert!(rejection(&outcomes[0]).contains(&dn), "{outcomes:?}");

    let ignoring = sink(config(&directory, "ignore"));
    let ada = employee("ada", "7").within(&["staff"]);
    let outcomes = daemon.deliver(&ignoring, [group("staff").into(), ada.clone().into()]).await;
    assert_eq!(action(&outcomes[1]), Action::Unchanged);
    for wanted in [ada.deactivated().into(), gone_user("ada")] {
        assert_eq!(action(&daemon.deliver(&ignoring, [wanted]).await[0]), Action::Unchanged);
    }
    assert_eq!(directory.csn(&dn).await, before);
    assert_eq!(directory.values(&team("staff"), "member").await, ["cn=rolecall-placeholder"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ignored_group_keeps_its_members_and_holds_nobody_up() {
    let directory = Directory::start().await;
    let theirs = "cn=service,dc=example,dc=com";
    let entry =
        format!("dn: {}\nobjectClass: groupOfNames\ncn: staff team\nmember: {theirs}\n", team("staff"));
    directory.slapd.add_ldif(&entry).await;
    let mut config = directory.config();
    config["groups"]["on_existing"] = json!("ignore");
    let (sink, mut daemon) = (sink(config), Daemon::default());
    let outcomes =
        daemon.deliver(&sink, [group("staff").into(), user("ada").within(&["staff"]).into()]).await;
    assert_eq!((action(&outcomes[0]), action(&outcomes[1])), (Action::Unchanged, Action::Created));
    assert_eq!(directory.values(&team("staff"), "member").await, [theirs]);
}

fn named(id: &str, name: &str) -> User {
    let mut user = user(id);
    user.profile.user_name = Some(name.into());
    user
}

fn numbering(directory: &Directory) -> Value {
    let mut config = directory.config();
    config["people"]["on_collision"] = json!("number");
    config["people"]["attributes"] = json!({ "roomNumber": "/home/{{ rdn }}" });
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_want_one_name_at_once_get_a_number_each() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (sink(numbering(&directory)), Daemon::default());
    daemon.deliver(&sink, [named("u1", "jdoe").into()]).await;
    daemon.deliver(&sink, [named("u2", "jdoe").into(), named("u3", "jdoe").into()]).await;
    let mut ids = Vec::new();
    for dn in ["jdoe2", "jdoe3"] {
        ids.extend(directory.values(&person(dn), "businessCategory").await);
    }
    // Which of them comes first is nobody's business.
    ids.sort();
    assert_eq!(ids, ["rolecall:user:u2", "rolecall:user:u3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_gets_a_number_and_keeps_it() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (sink(numbering(&directory)), Daemon::default());
    let (first, second) = (|| named("u1", "jdoe"), || named("u2", "jdoe").within(&["staff"]));
    daemon.deliver(&sink, [group("staff").into(), first().into()]).await;
    daemon.deliver(&sink, [second().into()]).await;
    daemon.deliver(&sink, [named("u3", "jdoe").into()]).await;
    let ids = async |dn: &str| directory.values(&person(dn), "businessCategory").await;
    assert_eq!(ids("jdoe").await, ["rolecall:user:u1"]);
    assert_eq!(ids("jdoe2").await, ["rolecall:user:u2"]);
    assert_eq!(ids("jdoe3").await, ["rolecall:user:u3"]);
    assert_eq!(directory.values(&person("jdoe2"), "uid").await, ["jdoe2"]);
    assert_eq!(directory.values(&person("jdoe2"), "roomNumber").await, ["/home/jdoe2"]);
    assert_eq!(directory.values(&team("staff"), "member").await, [person("jdoe2")]);

    // The name without a number is free, and nobody is renamed for that.
    daemon.deliver(&sink, [gone_user("u1")]).await;
    for knows in [true, false] {
        assert_eq!(action(&daemon.deliver(&sink, [second().into()]).await[0]), Action::Unchanged, "{knows}");
        daemon.forget();
    }
    // Whoever gets another name loses the number, and one who is renamed to a taken name gets one.
    daemon.deliver(&sink, [named("u2", "smith").into()]).await;
    assert_eq!(ids("smith").await, ["rolecall:user:u2"]);
    daemon.deliver(&sink, [named("u3", "smith").into()]).await;
    assert_eq!(ids("smith2").await, ["rolecall:user:u3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_numbers_a_taken_name_waits_for_the_other_to_go() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    daemon.deliver(&sink, [named("u1", "jdoe").into()]).await;
    let outcomes = daemon.deliver(&sink, [named("u2", "jdoe").into()]).await;
    assert!(retry(&outcomes[0]).contains("belongs to rolecall:user:u1"), "{outcomes:?}");
    let outcomes = daemon.deliver(&sink, [gone_user("u1"), named("u2", "jdoe").into()]).await;
    assert_eq!(action(&outcomes[1]), Action::Created);
}
