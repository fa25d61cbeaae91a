//! Authentic messages that no event can be made of: answered, counted, kept, and nothing of them applied.

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::support::{Application, Group, Person, Site};

/// A body and what the reason it is unreadable for must speak of.
type Bad = (&'static str, Vec<u8>, &'static str);

/// A body that is an event but for one value.
fn event_but_for(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let event = Person::new("mallory").groups([&Group::new("Engineering")]).created();
    let mut body: Value = serde_json::from_str(&event.body).unwrap();
    change(&mut body);
    body.to_string().into()
}

fn set(path: &'static str, value: impl Into<Value>) -> Vec<u8> {
    event_but_for(|body| *body.pointer_mut(path).unwrap() = value.into())
}

/// A body whose text has one piece replaced, for what JSON values cannot hold.
fn replace(was: &str, becomes: &str) -> Vec<u8> {
    let text = String::from_utf8(event_but_for(|_| {})).unwrap();
    assert!(text.contains(was), "{text}");
    text.replace(was, becomes).into()
}

/// Nearly a megabyte of JSON that nothing is wrong with but its depth.
fn nested() -> String {
    let depth = 500_000;
    "[".repeat(depth) + &"]".repeat(depth)
}

fn bad() -> Vec<Bad> {
    let long = "x".repeat(10_000);
    let name = r#""name":"Mallory Example""#;
    let person = r#""id":"diruser_mallory""#;
    vec![
        ("nothing", b"".to_vec(), "JSON"),
        ("no JSON", b"hello".to_vec(), "JSON"),
        ("no UTF-8", b"{\"id\":\"\xff\"}".to_vec(), "UTF-8"),
        ("half an event", event_but_for(|_| {})[..200].to_vec(), "JSON"),
        ("a list", b"[]".to_vec(), "object"),
        ("a string", b"\"organization.directory.user_created\"".to_vec(), "object"),
        ("null", b"null".to_vec(), "object"),
        ("no type", set("/type", Value::Null), "type"),
        ("a type that is a number", set("/type", 7), "type"),
        ("a directory event of the future", set("/type", "organization.directory.user_promoted"), "type"),
        ("no data", event_but_for(|body| drop(body.as_object_mut().unwrap().remove("data"))), "data"),
        ("data that is a list", set("/data", json!([])), "data"),
        ("a person without an id", set("/data/id", Value::Null), "data.id"),
        ("a person whose id is a number", set("/data/id", 7), "data.id"),
        ("active, in a word", set("/data/active", "yes"), "data.active"),
        ("groups that are an object", set("/data/groups", json!({"id": "dirgroup_1"})), "data.groups"),
        ("a group that is a number", set("/data/groups/0", 1), "data.groups"),
        ("a group without an id", set("/data/groups/0", json!({"name": "Engineering"})), "data.groups"),
        ("a name that is an object", set("/data/name", json!({"given": "M"})), "data.name"),
        ("a megabyte of objects, never closed", r#"{"id":"#.repeat(150_000).into(), "id"),
        ("a megabyte of lists", nested().into(), "object"),
        ("nesting in a name", replace(name, &format!(r#""name":{}"#, nested())), "data.name"),
        (
            "nesting in an attribute of the customer's",
            replace(name, &format!(r#""custom_attributes":{{"a":{}}}"#, nested())),
            "JSON",
        ),
        ("an event id of 10,000 characters", set("/id", long.as_str()), "id"),
        ("a person's id of 10,000 characters", set("/data/id", long.as_str()), "data.id"),
        ("a group's id of 10,000 characters", set("/data/groups/0/id", long.as_str()), "data.groups"),
        ("a control character in an id", set("/data/id", "diruser_\u{7}1"), "data.id"),
        ("a line end in an id", set("/data/id", "diruser_1\n"), "data.id"),
        ("a NUL in an id", set("/data/id", "diruser_\0"), "data.id"),
        ("a lone surrogate in an id", replace(person, r#""id":"diruser_\ud800""#), "data.id"),
        ("a time in the year 9999", set("/occurred_at", "9999-12-31T23:59:59Z"), "occurred_at"),
        ("a time in the year 10000", set("/occurred_at", "10000-01-01T00:00:00Z"), "occurred_at"),
        ("a time in the year 0", set("/occurred_at", "0000-01-01T00:00:00Z"), "occurred_at"),
        ("a time that is a number", set("/occurred_at", 1_764_000_000), "occurred_at"),
        ("a time that is no time", set("/occurred_at", "soon"), "occurred_at"),
    ]
}

#[tokio::test]
async fn what_cannot_be_read_is_answered_counted_and_kept_and_changes_nothing() {
    let app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let daemon = site.start().await;
    let bad = bad();
    for (at, (what, body, reason)) in bad.iter().enumerate() {
        let answer = daemon.sender().send_body(&format!("msg_bad_{at}"), body.clone()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(answer.text(), "200 unreadable", "{what}: {answer:?}");
        let said = answer.json()["reason"].as_str().unwrap().to_owned();
        assert!(said.contains(reason), "{what}: {said}");
        assert!(said.len() < 500, "{what}: {said}");
    }
    let status = site.status().await;
    assert_eq!(status["received"]["unreadable"], bad.len(), "{status}");
    assert_eq!(status["store"]["unreadable_events"], bad.len(), "{status}");

    // The daemon goes on, and has nothing of Mallory.
    daemon.send([&Person::new("ada").groups([&Group::new("Sales")]).created()]).await;
    site.settled().await;
    let store = &site.status().await["store"];
    assert_eq!((&store["active_users"], &store["groups"]), (&json!(1), &json!(1)), "{store}");
    assert_eq!(app.people().into_keys().collect::<Vec<_>>(), ["ada"]);
    assert_eq!(app.groups().into_iter().collect::<Vec<_>>(), ["Sales"]);

    // Each message is in the journal, byte for byte, so that a newer version can read it again.
    daemon.stop().await;
    let store = Connection::open_with_flags(site.store(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    for (at, (what, body, _)) in bad.iter().enumerate() {
        let kept: Vec<u8> = store
            .query_row("SELECT body FROM event WHERE message_id = ?1", [format!("msg_bad_{at}")], |row| {
                row.get(0)
            })
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(&kept == body, "{what} is kept as it came");
    }
}

#[tokio::test]
async fn what_is_odd_but_can_be_read_is_carried_through() {
    let app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let daemon = site.start().await;
    let title = "Señorita \u{1F469}\u{200D}\u{1F4BB}; DROP TABLE users; {{ 7*7 }} \\ \" ' <b>";
    let odd = Person::new("o'brien=x,ou=y+z#").with("title", title);
    // What this version does not know is skipped, however it looks.
    let deep = replace(r#""data":{"#, &format!(r#""data":{{"raw_attributes":{},"#, nested()));

    daemon.send([&odd.created()]).await;
    assert_eq!(daemon.sender().send_body("msg_deep", deep).await.unwrap().text(), "200 committed");
    site.settled().await;

    assert_eq!(app.people()["o'brien=x,ou=y+z#"].title.as_deref(), Some(title));
    assert!(app.people().contains_key("mallory"));
}
