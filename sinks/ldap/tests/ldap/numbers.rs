//! Numbers from ranges, and octets.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rolecall_sink_api::{Action, User};
use serde_json::{Value, json};

use crate::fixture::{Daemon, Directory, action, gone_user, group, person, rejection, sink, team, user};

const COUNTER: &str = "cn=uidNumber,ou=services,dc=example,dc=com";

fn posix(directory: &Directory) -> Value {
    let mut config = directory.config();
    config["marker"] = json!({ "attribute": "description" });
    config["people"]["object_classes"] = json!(["top", "inetOrgPerson", "posixAccount"]);
    config["people"]["attributes"] = json!({ "homeDirectory": "/home/{{ rdn }}", "gidNumber": "100" });
    config["people"]["numbers"] = json!({ "uidNumber": { "from": 1000, "to": 1999, "counter": COUNTER } });
    config["groups"] = json!({
        "dn": "cn={{ group.name }},ou=groups,dc=example,dc=com",
        "object_classes": ["top", "posixGroup"],
        "member_attribute": "memberUid",
        "numbers": { "gidNumber": { "from": 1000, "to": 1999, "counter": "cn=gidNumber,ou=services,dc=example,dc=com" } },
    });
    config
}

async fn number(directory: &Directory, id: &str) -> Option<String> {
    directory.value(&person(id), "uidNumber").await
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_a_number_of_their_own_and_keeps_it() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (sink(posix(&directory)), Daemon::default());
    let everybody = || ["ada", "bob", "eve"].map(user).map(Into::into);
    daemon.deliver(&sink, [group("staff").into(), group("guests").into()]).await;
    daemon.deliver(&sink, everybody()).await;
    for (id, expected) in [("ada", "1000"), ("bob", "1001"), ("eve", "1002")] {
        assert_eq!(number(&directory, id).await.as_deref(), Some(expected));
    }
    assert_eq!(directory.value(&team("staff"), "gidNumber").await.as_deref(), Some("1000"));
    assert_eq!(directory.value(&team("guests"), "gidNumber").await.as_deref(), Some("1001"));
    for outcome in daemon.deliver(&sink, everybody()).await {
        assert_eq!(action(&outcome), Action::Unchanged);
    }
    assert_eq!(directory.value(COUNTER, "serialNumber").await.as_deref(), Some("1003"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_returns_to_its_user_and_is_never_given_to_another() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (sink(posix(&directory)), Daemon::default());
    daemon.deliver(&sink, ["ada", "bob"].map(user).map(Into::into)).await;
    daemon.deliver(&sink, [gone_user("bob")]).await;
    daemon.deliver(&sink, [user("eve").into()]).await;
    assert_eq!(number(&directory, "eve").await.as_deref(), Some("1002"), "bob's is bob's");
    daemon.deliver(&sink, [user("bob").into()]).await;
    assert_eq!(number(&directory, "bob").await.as_deref(), Some("1001"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_somebody_took_by_hand_is_left_out_and_one_that_an_entry_has_stays() {
    let directory = Directory::start().await;
    let by_hand = |id: &str, number: u32| {
        format!(
            "dn: {}\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\ncn: {id}\nsn: {id}\nuid: {id}\n\
             uidNumber: {number}\ngidNumber: 7\nhomeDirectory: /\n\n",
            person(id)
        )
    };
    directory.slapd.add_ldif(&(by_hand("theirs", 1001) + &by_hand("ada", 77))).await;
    let mut config = posix(&directory);
    config["people"]["on_existing"] = json!("adopt");
    let (sink, mut daemon) = (sink(config), Daemon::default());
    daemon.deliver(&sink, ["ada", "bob", "eve"].map(user).map(Into::into)).await;
    assert_eq!(number(&directory, "ada").await.as_deref(), Some("77"), "an adopted entry keeps its own");
    let numbers = [number(&directory, "bob").await.unwrap(), number(&directory, "eve").await.unwrap()];
    assert!(!numbers.contains(&"1001".to_owned()) && numbers[0] != numbers[1], "{numbers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_beside_each_other_never_give_one_number_twice() {
    let directory = Directory::start().await;
    let deliver = async |name: &str| {
        let (sink, mut daemon) = (sink(posix(&directory)), Daemon::default());
        for batch in 0..10 {
            let people: Vec<_> = (0..5).map(|n| user(&format!("{name}{batch}-{n}")).into()).collect();
            daemon.deliver(&sink, people).await.iter().for_each(|outcome| _ = action(outcome));
        }
    };
    tokio::join!(deliver("a"), deliver("b"), deliver("c"), deliver("d"));
    let found = directory.slapd.search("ou=people,dc=example,dc=com", "(uidNumber=*)", &["uidNumber"]).await;
    let numbers: BTreeSet<&str> = found.iter().filter_map(|entry| entry.value("uidNumber")).collect();
    assert_eq!((found.len(), numbers.len()), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_refused_again_and_again_costs_one_number() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (sink(posix(&directory)), Daemon::default());
    let mut broken = user("ada");
    broken.profile.email = Some("ädä@example.com".into());
    for _ in 0..5 {
        rejection(&daemon.deliver(&sink, [broken.clone().into()]).await[0]);
    }
    daemon.deliver(&sink, [user("ada").into()]).await;
    assert_eq!(number(&directory, "ada").await.as_deref(), Some("1000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_is_used_up_is_said() {
    let directory = Directory::start().await;
    let mut config = posix(&directory);
    config["people"]["numbers"]["uidNumber"]["to"] = json!(1001);
    let (sink, mut daemon) = (sink(config), Daemon::default());
    let outcomes = daemon.deliver(&sink, ["ada", "bob", "eve"].map(user).map(Into::into)).await;
    assert_eq!((action(&outcomes[0]), action(&outcomes[1])), (Action::Created, Action::Created));
    let reason = rejection(&outcomes[2]);
    assert!(reason.contains("no uidNumber is left between 1000 and 1001"), "{reason}");
}

fn with_photo(photo: &str) -> User {
    let mut ada = user("ada");
    ada.profile.custom.insert("photo".into(), json!(photo));
    ada
}

#[tokio::test(flavor = "multi_thread")]
async fn octets_come_from_base64_and_are_written_when_they_differ() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["people"]["attributes"] = json!({ "jpegPhoto": "{{ user.custom.photo }}" });
    config["people"]["binary"] = json!(["jpegPhoto"]);
    let (sink, mut daemon) = (sink(config), Daemon::default());
    let octets = [0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F', 0];
    let photo = STANDARD.encode(octets);
    daemon.deliver(&sink, [with_photo(&photo).into()]).await;
    let shown = String::from_utf8_lossy(&octets);
    assert_eq!(directory.value(&person("ada"), "jpegPhoto").await.as_deref(), Some(&*shown));
    daemon.forget();
    assert_eq!(action(&daemon.deliver(&sink, [with_photo(&photo).into()]).await[0]), Action::Unchanged);

    let other = STANDARD.encode([0xff, 0xd8, 1]);
    assert_eq!(action(&daemon.deliver(&sink, [with_photo(&other).into()]).await[0]), Action::Updated);
    let reason = daemon.deliver(&sink, [with_photo("not base64!").into()]).await;
    assert!(rejection(&reason[0]).contains("people.attributes.jpegPhoto: is no base64"), "{reason:?}");
    daemon.deliver(&sink, [user("ada").into()]).await;
    assert_eq!(directory.value(&person("ada"), "jpegPhoto").await, None);
}
