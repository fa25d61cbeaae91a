use std::collections::BTreeSet;

use proptest::prelude::*;
use rolecall_sink_api::{Address, GroupId, OrganizationId, Profile, UserId};
use serde_json::{Value, json};

use super::*;
use crate::directory::{DirectoryId, GroupProfile, Origin};
use crate::source::{SAMPLES, Sample};

const MARIA: &str = "diruser_130000000000000001";
const SIGNED_AT: &str = "2026-02-11T09:31:10Z";

fn read_bytes(body: &[u8]) -> Reading {
    Scalekit.read(Verified { message_id: "msg_1", signed_at: SIGNED_AT.parse().unwrap(), body })
}

fn read_json(body: &Value) -> Reading {
    read_bytes(body.to_string().as_bytes())
}

fn sample(name: &str) -> Reading {
    read_bytes(Sample::named(name).unwrap().body.as_bytes())
}

fn event(reading: Reading) -> Event {
    match reading {
        Reading::Event { event, .. } => event,
        other => panic!("no event: {other:?}"),
    }
}

fn facts_of(body: &Value) -> Vec<Fact> {
    event(read_json(body)).facts
}

fn reason(reading: Reading) -> String {
    match reading {
        Reading::Unreadable { reason, .. } => reason,
        other => panic!("was read: {other:?}"),
    }
}

fn user_event(data: Value) -> Value {
    json!({"id": "evt_1", "type": "organization.directory.user_updated",
           "occurred_at": "2026-02-11T09:31:09Z", "data": data})
}

fn maria() -> UserId {
    UserId::new(MARIA)
}

fn group_id(number: u8) -> GroupId {
    GroupId::new(format!("dirgroup_14000000000000000{number}"))
}

fn organization_id() -> Option<OrganizationId> {
    Some(OrganizationId::new("org_110000000000000001"))
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn every_sample_is_read_and_stands_on_its_own() {
    let mut ids = BTreeSet::new();
    for sample in SAMPLES {
        let id = match read_bytes(sample.body.as_bytes()) {
            Reading::Event { event, kind } => {
                assert!(!event.facts.is_empty(), "{} states nothing", sample.name);
                assert!(kind.starts_with("organization.directory"), "{}: {kind}", sample.name);
                event.stamp.event
            }
            Reading::Ignored { id, .. } => {
                assert_eq!(sample.name, "organization_created");
                id
            }
            Reading::Unreadable { reason, .. } => panic!("{}: {reason}", sample.name),
        };
        assert!(ids.insert(id.to_string()), "{}: id {id} is another sample's too", sample.name);
    }
}

#[test]
fn a_sample_can_be_sent_as_something_new() {
    for sample in SAMPLES.iter().filter(|sample| sample.name != "organization_created") {
        let at: Timestamp = "2026-02-11T09:31:09.5Z".parse().unwrap();
        let stamp = event(read_bytes(sample.as_of("evt_new", at).as_bytes())).stamp;
        assert_eq!(stamp, Stamp { at, event: EventId::new("evt_new") }, "{}", sample.name);
    }
}

#[test]
fn a_created_user_brings_profile_groups_and_roles() {
    let created = event(sample("user_created"));
    assert_eq!(created.stamp.event.as_str(), "evt_121000000000000001");
    assert_eq!(created.stamp.at.to_string(), "2026-01-05T08:30:00.190748Z");
    let profile = Profile {
        external_id: text("00u0exampleMariaLopez"),
        user_name: text("maria.lopez@example.com"),
        email: text("maria.lopez@example.com"),
        display_name: text("Maria Lopez"),
        given_name: text("Maria"),
        family_name: text("Lopez"),
        nick_name: text("Mari"),
        photo: text("https://pictures.example.com/maria.jpg"),
        profile_url: text("https://people.example.com/maria"),
        phone_number: text("+1-202-555-0143"),
        address: Some(Address {
            formatted: text("1 Harbour Street\nSpringfield, IL 62701"),
            street_address: text("1 Harbour Street"),
            locality: text("Springfield"),
            region: text("IL"),
            postal_code: text("62701"),
            country: text("US"),
        }),
        title: text("Site Reliability Engineer"),
        department: text("Engineering"),
        division: text("Platform"),
        cost_center: text("4130"),
        employee_number: text("10042"),
        user_type: text("employee"),
        organization_name: text("Example Corp"),
        preferred_language: text("en"),
        locale: text("en-US"),
        timezone: text("America/Chicago"),
        pronouns: text("she/her"),
        custom: [("badge".to_owned(), json!("B-77")), ("on_call".to_owned(), json!(true))].into(),
    };
    assert_eq!(
        created.facts,
        [
            Fact::UserActive { user: maria(), active: true },
            Fact::UserProviderRoles { user: maria(), roles: ["member".to_owned()].into() },
            Fact::UserGroups { user: maria(), groups: [group_id(1), group_id(2)].into() },
            Fact::GroupNamed {
                group: group_id(1),
                name: text("Engineering"),
                organization: organization_id()
            },
            Fact::GroupNamed { group: group_id(2), name: text("On-call"), organization: organization_id() },
            Fact::UserProfile {
                user: maria(),
                organization: organization_id(),
                origin: Origin::default(),
                profile: Box::new(profile)
            },
        ]
    );
}

#[test]
fn no_groups_and_groups_not_stated_are_two_things() {
    let groups_of = |data: Value| {
        facts_of(&user_event(data)).into_iter().find_map(|fact| match fact {
            Fact::UserGroups { groups, .. } => Some(groups),
            _ => None,
        })
    };
    assert_eq!(groups_of(json!({"id": "diruser_1"})), None);
    assert_eq!(groups_of(json!({"id": "diruser_1", "groups": null})), Some(BTreeSet::new()));
    assert_eq!(groups_of(json!({"id": "diruser_1", "groups": []})), Some(BTreeSet::new()));
    let listed = groups_of(json!({"id": "diruser_1", "groups": [{"id": "g1"}, {"id": "g1", "name": "A"}]}));
    assert_eq!(listed, Some([GroupId::new("g1")].into()));
}

#[test]
fn a_group_that_is_listed_twice_is_named_once() {
    for groups in
        [json!([{"id": "g"}, {"id": "g", "name": "A"}]), json!([{"id": "g", "name": "A"}, {"id": "g"}])]
    {
        let facts = facts_of(&user_event(json!({"id": "u", "groups": groups})));
        let named = facts.iter().filter_map(|fact| match fact {
            Fact::GroupNamed { name, .. } => Some(name.clone()),
            _ => None,
        });
        assert_eq!(named.collect::<Vec<_>>(), [text("A")]);
    }
}

#[test]
fn roles_and_active_are_stated_only_where_their_keys_say_something() {
    let stated = |data: Value| {
        let facts = facts_of(&user_event(data));
        let roles = facts.iter().find_map(|fact| match fact {
            Fact::UserProviderRoles { roles, .. } => Some(roles.iter().cloned().collect::<Vec<_>>()),
            _ => None,
        });
        let active = facts.iter().find_map(|fact| match fact {
            Fact::UserActive { active, .. } => Some(*active),
            _ => None,
        });
        (roles, active)
    };
    assert_eq!(stated(json!({"id": "u"})), (None, None));
    assert_eq!(stated(json!({"id": "u", "roles": null, "active": null})), (Some(vec![]), None));
    assert_eq!(stated(json!({"id": "u", "roles": [], "active": false})), (Some(vec![]), Some(false)));
    let roles = json!([{"role_name": "b"}, {"id": "role_1", "role_name": "a"}, {"role_name": ""}, {}]);
    let expected = Some(vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(stated(json!({"id": "u", "roles": roles})), (expected, None));
}

#[test]
fn what_okta_really_sent_is_read() {
    let body = json!({"spec_version":"1","id":"evt_111962867057559304",
        "type":"organization.directory.user_created","occurred_at":"2026-02-11T09:31:09.190748Z",
        "environment_id":"env_111951842212053263","organization_id":"org_111960706403795990",
        "object":"DirectoryUser",
        "data":{"active":true,"dp_id":"00u1010p7z3iTcjOG698","email":"user@example.com",
            "family_name":"Shines","given_name":"Saif","groups":null,"id":"diruser_111962867007293192",
            "locale":"en-US","name":"Saif Shines","organization_id":"org_111960706403795990",
            "preferred_username":"user@example.com",
            "raw_attributes":{"active":true,"groups":[],"userName":"user@example.com"},
            "roles":[{"role_name":"member"}]},
        "display_name":""});
    let user = UserId::new("diruser_111962867007293192");
    let facts = facts_of(&body);
    assert!(facts.contains(&Fact::UserGroups { user: user.clone(), groups: BTreeSet::new() }));
    assert!(facts.contains(&Fact::UserActive { user, active: true }));
}

#[test]
fn groups_are_read_in_both_shapes() {
    let profile = |name: &str, external_id: Option<&str>| GroupProfile {
        name: text(name),
        organization: organization_id(),
        external_id: external_id.map(str::to_owned),
    };
    for (name, group, profile) in [
        ("group_created", group_id(1), profile("Engineering", None)),
        ("group_updated", group_id(1), profile("Platform Engineering", Some("00g0examplePlatform"))),
        ("simple_group_created", group_id(3), profile("Finance", None)),
    ] {
        assert_eq!(event(sample(name)).facts, [Fact::GroupProfile { group, profile }], "{name}");
    }
    assert_eq!(event(sample("group_deleted")).facts, [Fact::GroupGone { group: group_id(1) }]);
}

#[test]
fn a_deleted_user_is_gone() {
    let deleted = event(sample("user_deleted"));
    assert_eq!(deleted.facts, [Fact::UserGone { user: maria() }]);
    assert_eq!(deleted.stamp.at.to_string(), "2026-01-09T08:00:00.123456789Z");
}

#[test]
fn membership_told_by_the_group_says_what_it_lists() {
    let member = |user: &str, member| Fact::Member { group: group_id(3), user: UserId::new(user), member };
    assert_eq!(
        event(sample("group_membership_updated")).facts,
        [member("diruser_130000000000000002", true), member(MARIA, false)]
    );
    let membership = |data: Value| {
        facts_of(&json!({"id": "e", "type": "organization.directory.group_membership_updated", "data": data}))
    };
    assert_eq!(membership(json!({"group_id": "g", "added_members": null})), []);
    assert_eq!(
        membership(json!({"group_id": "g", "removed_members": ["u"]})),
        [Fact::Member { group: GroupId::new("g"), user: UserId::new("u"), member: false }]
    );
}

#[test]
fn whether_a_directory_is_enabled_is_what_the_type_says() {
    for (name, enabled) in [("directory_enabled", true), ("directory_disabled", false)] {
        let directory = Fact::Directory {
            directory: DirectoryId("dir_120000000000000001".into()),
            organization: organization_id(),
            provider: text("OKTA"),
            enabled,
        };
        assert_eq!(event(sample(name)).facts, [directory]);
    }
}

#[test]
fn what_is_not_about_a_directory_is_ignored_whatever_it_holds() {
    for kind in ["organization.created", "role.updated", "user.login", "organization.sso_enabled", "new.kind"]
    {
        let reading = read_json(&json!({"id": "evt_1", "type": kind, "occurred_at": "soon", "data": [1]}));
        assert_eq!(reading, Reading::Ignored { id: EventId::new("evt_1"), kind: kind.into() });
    }
}

#[test]
fn an_unknown_directory_event_waits_for_a_version_that_knows_it() {
    let kind = "organization.directory.user_merged";
    let reading = read_json(&json!({"id": "evt_1", "type": kind, "data": {}}));
    assert_eq!(
        reading,
        Reading::Unreadable {
            id: EventId::new("evt_1"),
            kind: Some(kind.into()),
            reason: "type: this version knows no such directory event".into(),
        }
    );
}

#[test]
fn the_message_stands_in_for_an_id_or_a_time_that_is_missing() {
    for missing in [json!({}), json!({"id": null, "occurred_at": null}), json!({"id": "", "timestamp": ""})] {
        let mut body = missing;
        body["type"] = json!("organization.directory.user_deleted");
        body["data"] = json!({"id": "diruser_1"});
        let stamp = event(read_json(&body)).stamp;
        assert_eq!(stamp, Stamp { at: SIGNED_AT.parse().unwrap(), event: EventId::new("msg_1") });
    }
}

#[test]
fn the_organization_of_the_envelope_stands_in_for_the_users() {
    let mut body = user_event(json!({"id": "diruser_1", "organization_id": ""}));
    body["organization_id"] = json!("org_9");
    let stated = facts_of(&body).into_iter().find_map(|fact| match fact {
        Fact::UserProfile { organization, .. } => organization,
        _ => None,
    });
    assert_eq!(stated, Some(OrganizationId::new("org_9")));
}

#[test]
fn the_directory_that_a_user_comes_from_is_read() {
    let body = user_event(json!({"id": "diruser_1", "directory_id": "dir_9"}));
    let stated = facts_of(&body).into_iter().find_map(|fact| match fact {
        Fact::UserProfile { origin, .. } => Some(origin),
        _ => None,
    });
    assert_eq!(stated, Some(Origin { directory: Some(DirectoryId("dir_9".into())), source: None }));
}

#[test]
fn an_attribute_that_is_null_or_empty_is_not_set() {
    let facts = facts_of(&user_event(json!({
        "id": "diruser_1", "email": "", "title": null, "address": {"city": "", "state": null},
        "custom_attributes": {"a": null, "b": "", "c": 0}
    })));
    let expected = Profile { custom: [("c".to_owned(), json!(0))].into(), ..Profile::default() };
    assert_eq!(
        facts,
        [Fact::UserProfile {
            user: UserId::new("diruser_1"),
            organization: None,
            origin: Origin::default(),
            profile: Box::new(expected)
        }]
    );
}

/// A user whose custom attribute `a` is so many lists within each other.
fn nested(levels: usize) -> Reading {
    let value = "[".repeat(levels) + &"]".repeat(levels);
    let data = format!(r#"{{"id":"u","custom_attributes":{{"a":{value}}}}}"#);
    let kind = "organization.directory.user_created";
    read_bytes(format!(r#"{{"id":"evt_1","type":"{kind}","data":{data}}}"#).as_bytes())
}

#[test]
fn what_was_read_can_be_stored_and_read_again() {
    for levels in 0..130 {
        let Reading::Event { event, .. } = nested(levels) else { continue };
        let mut directory = crate::directory::Directory::default();
        directory.merge(event);
        let stored = serde_json::to_string(&directory.users[&UserId::new("u")]).unwrap();
        let again = serde_json::from_str::<crate::directory::UserState>(&stored);
        assert_eq!(again.ok().as_ref(), directory.users.get(&UserId::new("u")), "{levels}");
    }
}

#[test]
fn custom_attributes_are_bounded() {
    assert!(matches!(nested(32), Reading::Event { .. }));
    assert_eq!(reason(nested(33)), "data.custom_attributes.a: nested more than 32 deep");
    assert_eq!(reason(nested(123)), "data.custom_attributes.a: nested more than 32 deep");
    let many = |n: usize| {
        let attributes: serde_json::Map<_, _> = (0..n).map(|n| (format!("a{n}"), json!(n))).collect();
        read_json(&user_event(json!({"id": "u", "custom_attributes": attributes})))
    };
    assert!(matches!(many(1000), Reading::Event { .. }));
    assert_eq!(reason(many(1001)), "data.custom_attributes: 1001 attributes, and a user has at most 1000");
    let name = "x".repeat(256);
    let reason = reason(read_json(&user_event(json!({"id": "u", "custom_attributes": {name: 1}}))));
    assert!(reason.starts_with("data.custom_attributes.xxx") && reason.len() < 300, "{reason}");
    assert!(reason.ends_with("…: a name is at most 255 bytes long"), "{reason}");
}

#[test]
fn a_time_that_no_clock_showed_is_not_believed() {
    for (key, time, expected) in [
        ("occurred_at", "9999-12-30T00:00:00Z", "occurred_at: more than a day after the message was signed"),
        ("timestamp", "2026-02-12T09:31:11Z", "timestamp: more than a day after the message was signed"),
        ("occurred_at", "0000-01-01T00:00:00Z", "occurred_at: a time before 1970, so it was never set"),
        ("occurred_at", "0001-01-01T00:00:00Z", "occurred_at: a time before 1970, so it was never set"),
        (
            "occurred_at",
            "9999-12-31T23:59:60Z",
            "occurred_at: not a time that RFC 3339 has, up to the year 9999",
        ),
        (
            "occurred_at",
            "10000-01-01T00:00:00Z",
            "occurred_at: not a time that RFC 3339 has, up to the year 9999",
        ),
        (
            "occurred_at",
            "2026-02-11 at noon",
            "occurred_at: not a time that RFC 3339 has, up to the year 9999",
        ),
        (
            "occurred_at",
            "2026-02-11T09:31:09",
            "occurred_at: not a time that RFC 3339 has, up to the year 9999",
        ),
    ] {
        let mut body = json!({"id": "e", "type": "organization.directory.user_deleted", "data": {"id": "u"}});
        body[key] = json!(time);
        assert_eq!(reason(read_json(&body)), expected, "{time}");
    }
    let mut body = json!({"id": "e", "type": "organization.directory.user_deleted", "data": {"id": "u"}});
    body["occurred_at"] = json!("2026-02-12T09:31:10Z");
    assert_eq!(event(read_json(&body)).stamp.at.to_string(), "2026-02-12T09:31:10Z", "a day ahead passes");
}

/// What a sender could get wrong, and what we say of it. `hunter2` stands for what must not be repeated.
#[test]
fn bad_input_is_told_by_its_place_and_without_its_values() {
    let user = |data: &str| {
        format!(r#"{{"id":"evt_1","type":"organization.directory.user_created","data":{data}}}"#)
    };
    let deep = "[".repeat(500_000) + &"]".repeat(500_000);
    let long = "x".repeat(10_000);
    for (body, expected) in [
        ("".to_owned(), "not JSON: EOF while parsing a value, in the body"),
        ("hunter2".to_owned(), "not JSON: expected value (line 1 column 1), in the body"),
        (r#"{"id":"hunter2"#.to_owned(), "not JSON: EOF while parsing a string (line 1 column 14), in id"),
        (r#""hunter2""#.to_owned(), "the body: expected an object, found a string (line 1 column 9)"),
        (r#"["evt_1","hunter2"]"#.to_owned(), "the body: expected an object, found a list"),
        ("null".to_owned(), "the body: expected an object, found null (line 1 column 4)"),
        ("{}".to_owned(), "type: missing or empty"),
        ("{} hunter2".to_owned(), "not JSON: trailing characters (line 1 column 4), in the body"),
        (r#"{"id":7,"type":"t"}"#.to_owned(), "id: expected a string, found a number (line 1 column 7)"),
        (r#"{"id":"a","id":"hunter2"}"#.to_owned(), "the body: duplicate field `id` (line 1 column 14)"),
        (r#"{"id":"evt_1","type":["hunter2"]}"#.to_owned(), "type: expected a string, found a list"),
        (user("null"), "data: expected an object, found null"),
        (user(r#"["diruser_1"]"#), "data: expected an object, found a list"),
        (user("{}"), "data.id: missing or empty"),
        (user(r#"{"id":""}"#), "data.id: missing or empty"),
        (user(r#"{"id":12345}"#), "data.id: expected a string, found a number"),
        (user(&format!(r#"{{"id":"{long}"}}"#)), "data.id: an id is at most 255 bytes long"),
        (user(r#"{"id":"a\u0000b"}"#), "data.id: an id holds no control characters"),
        (
            user("{\"id\":\"a\nb\"}"),
            "not JSON: control character (\\u0000-\\u001F) found while parsing a string",
        ),
        (user(r#"{"id":"a\u009fb"}"#), "data.id: an id holds no control characters"),
        (user(r#"{"id":"u","email":"\ud800"}"#), "not JSON: unexpected end of hex escape"),
        (user(r#"{"id":"u","email":{"a":"hunter2"}}"#), "data.email: expected a string, found an object"),
        (user(r#"{"id":"u","active":"hunter2"}"#), "data.active: expected a boolean, found a string"),
        (user(r#"{"id":"u","groups":"hunter2"}"#), "data.groups: expected a list, found a string"),
        (user(r#"{"id":"u","groups":["hunter2"]}"#), "data.groups[0]: expected an object, found a string"),
        (
            user(r#"{"id":"u","groups":[{"id":"g"},{"name":"hunter2"}]}"#),
            "data.groups[].id: missing or empty",
        ),
        (user(r#"{"id":"u","address":"hunter2"}"#), "data.address: expected an object, found a string"),
        (user(r#"{"id":"u","email":", expected hunter2","email":1}"#), "data: duplicate field `email`"),
        (
            user(r#"{"id":"u","active":", expected hunter2"}"#),
            "data.active: expected a boolean, found a string",
        ),
        (
            user(&format!(r#"{{"id":"u","custom_attributes":{{"a":{deep}}}}}"#)),
            "not JSON: recursion limit exceeded",
        ),
        (deep.clone(), "the body: expected an object, found a list"),
        (r#"{"a":"#.repeat(200_000), "not JSON: EOF while parsing a value"),
    ] {
        let reason = reason(read_bytes(body.as_bytes()));
        let shown: String = body.chars().take(100).collect();
        assert!(reason.starts_with(expected), "{shown}\n  said: {reason}\n  not:  {expected}");
        assert!(!reason.contains("hunter2"), "{reason}");
        assert!(reason.len() < 300, "{reason}");
    }
    assert_eq!(reason(read_bytes(b"{\"id\":\"\xff\"}")), "not JSON: the body is not UTF-8");
}

#[test]
fn what_can_be_read_of_an_unreadable_message_is_kept_with_it() {
    let body = json!({"id": "evt_1", "type": "organization.directory.user_created", "occurred_at": 5});
    match read_json(&body) {
        Reading::Unreadable { id, kind, .. } => {
            assert_eq!(id.as_str(), "evt_1");
            assert_eq!(kind.as_deref(), Some("organization.directory.user_created"));
        }
        other => panic!("was read: {other:?}"),
    }
    match read_json(&json!({"id": "x".repeat(256), "type": "a\nb"})) {
        Reading::Unreadable { id, kind, .. } => assert_eq!((id.as_str(), kind), ("msg_1", None)),
        other => panic!("was read: {other:?}"),
    }
}

#[test]
fn nesting_in_what_is_not_read_does_no_harm() {
    let deep = "[".repeat(400_000) + &"]".repeat(400_000);
    let body = format!(
        r#"{{"id":"e","type":"organization.directory.user_created","data":{{"id":"u","raw_attributes":{deep}}}}}"#
    );
    assert_eq!(event(read_bytes(body.as_bytes())).facts.len(), 1);
}

/// Any JSON, not too large.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The keys of a user that are plain attributes.
const ATTRIBUTES: &[&str] = &["email", "name", "title", "department", "locale", "dp_id", "employee_id"];

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        read_bytes(&body);
    }

    #[test]
    fn no_body_cut_off_or_damaged_makes_it_panic(
        sample in prop::sample::select(SAMPLES),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut body = sample.body.as_bytes().to_vec();
        let at = at.index(body.len());
        if cut {
            body.truncate(at);
        } else {
            body[at] = byte;
        }
        let reading = read_bytes(&body);
        if cut && at < sample.body.trim_end().len() {
            prop_assert!(matches!(reading, Reading::Unreadable { .. }), "{reading:?}");
        }
    }

    #[test]
    fn no_value_in_any_place_makes_it_panic(
        sample in prop::sample::select(SAMPLES),
        key in prop::sample::select(&["id", "type", "occurred_at", "data", "organization_id"][..]),
        inner in prop::sample::select(&["id", "groups", "roles", "active", "address", "custom_attributes",
                                        "added_members", "group_id", "email"][..]),
        value in any_json(),
        inside in any::<bool>(),
    ) {
        let mut body: Value = serde_json::from_str(sample.body).unwrap();
        if inside { body["data"][inner] = value } else { body[key] = value }
        read_json(&body);
    }

    /// A missing key, null and an empty string are one thing for an attribute; a key nobody knows is nothing.
    #[test]
    fn a_user_reads_the_same_whatever_else_is_there(
        set in prop::collection::btree_map(prop::sample::select(ATTRIBUTES), "[a-z]{1,9}", 0..7),
        unset in prop::collection::btree_map(
            prop::sample::select(ATTRIBUTES),
            prop_oneof![Just(Value::Null), Just(Value::from(""))],
            0..7,
        ),
        unknown in prop::collection::btree_map("x_[a-z]{1,8}", any_json(), 0..5),
        unknown_outside in prop::collection::btree_map("x_[a-z]{1,8}", any_json(), 0..5),
    ) {
        let mut plain = user_event(json!({"id": "diruser_1"}));
        for (key, value) in &set {
            plain["data"][*key] = json!(value);
        }
        let mut noisy = plain.clone();
        for (key, value) in unset {
            if !set.contains_key(key) {
                noisy["data"][key] = value;
            }
        }
        for (key, value) in unknown {
            noisy["data"][&key] = value;
        }
        for (key, value) in unknown_outside {
            noisy[&key] = value;
        }
        let read = read_json(&plain);
        prop_assert!(matches!(read, Reading::Event { .. }), "{read:?}");
        prop_assert_eq!(read, read_json(&noisy));
    }
}
