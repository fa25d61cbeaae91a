use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::patch::{patch, replacement};

fn attributes(value: Value) -> Attributes {
    value.as_object().unwrap().clone()
}

/// The operations of the PATCH from `current` to `desired`.
fn operations(current: Value, desired: Value, before: &[Value]) -> Value {
    let before: Vec<Attributes> = before.iter().cloned().map(attributes).collect();
    patch(&edits(&attributes(current), &attributes(desired), &before))["Operations"].clone()
}

#[test]
fn what_is_as_it_should_be_is_not_written() {
    let there = json!({
        "id": "1", "userName": "ada", "active": true, "name": { "givenName": "Ada", "formatted": "Ada L." },
        "emails": [{ "value": "a@x", "type": "work", "primary": true }, { "value": "b@x", "type": "home" }],
        "urn:example:User": { "department": "D", "other": "O" },
    });
    let desired = json!({
        "userName": "ada", "active": true, "name": { "givenName": "Ada" },
        "emails": [{ "value": "a@x", "type": "work", "primary": true }],
        "urn:example:User": { "department": "D" },
    });
    assert_eq!(operations(there, desired.clone(), &[desired]), json!([]));
}

#[test]
fn only_what_differs_is_written() {
    let there = json!({ "userName": "ada", "title": "T", "name": { "givenName": "Ada", "familyName": "B" } });
    let desired = json!({
        "userName": "ada", "title": "U", "name": { "givenName": "Ada", "familyName": "L" },
        "urn:example:User": { "department": "D" },
    });
    let expected = json!([
        { "op": "replace", "path": "name.familyName", "value": "L" },
        { "op": "replace", "path": "title", "value": "U" },
        { "op": "add", "path": "urn:example:User:department", "value": "D" },
    ]);
    assert_eq!(operations(there, desired, &[]), expected);
}

#[test]
fn names_are_the_same_in_any_case() {
    let there = json!({ "username": "ada", "NAME": { "GivenName": "Ada" } });
    assert_eq!(
        operations(there, json!({ "userName": "ada", "name": { "givenName": "Ada" } }), &[]),
        json!([])
    );
}

#[test]
fn what_was_ours_goes_and_what_others_wrote_stays() {
    let there = json!({
        "title": "ours", "nickName": "theirs",
        "roles": [{ "value": "ours" }, { "value": "theirs" }, { "value": "kept" }],
    });
    let before = json!({ "title": "ours", "roles": [{ "value": "ours" }, { "value": "kept" }] });
    let desired = json!({ "roles": [{ "value": "kept" }] });
    let expected = json!([
        { "op": "remove", "path": "title" },
        { "op": "remove", "path": "roles[value eq \"ours\"]" },
    ]);
    assert_eq!(operations(there, desired, &[before]), expected);
}

#[test]
fn what_the_application_keeps_twice_goes_as_one_and_nothing_of_others_with_it() {
    let twice = json!({ "roles": [{ "value": "ours" }, { "value": "ours" }] });
    let before = json!({ "roles": [{ "value": "ours" }] });
    let expected = json!([{ "op": "remove", "path": "roles[value eq \"ours\"]" }]);
    assert_eq!(operations(twice, json!({}), std::slice::from_ref(&before)), expected);

    let ours_and_anothers = json!({ "roles": [{ "value": "a", "display": "x" }, { "value": "a" }] });
    let before = json!({ "roles": [{ "value": "a", "display": "x" }] });
    assert_eq!(operations(ours_and_anothers, json!({}), &[before]), json!([]));
}

#[test]
fn what_is_gone_already_is_not_removed() {
    let before = json!({ "title": "ours", "roles": [{ "value": "ours" }] });
    assert_eq!(operations(json!({}), json!({}), &[before]), json!([]));
}

#[test]
fn an_address_of_ours_changes_and_those_of_others_stay() {
    let there = json!({ "emails": [
        { "value": "home@x", "type": "home" }, { "value": "old@x", "type": "work", "primary": true },
    ] });
    let desired = json!({ "emails": [{ "value": "new@x", "type": "work", "primary": true }] });
    let expected = json!([{ "op": "replace", "path": "emails[type eq \"work\"].value", "value": "new@x" }]);
    assert_eq!(operations(there, desired, &[]), expected);
}

#[test]
fn of_two_of_a_type_just_one_is_changed() {
    let there = json!({ "emails": [
        { "value": "a\"@x", "type": "work" }, { "value": "b@x", "type": "work" },
    ] });
    let desired = json!({ "emails": [{ "value": "c@x", "type": "work", "primary": true }] });
    // The value comes last: after it the item is not selected any more.
    let expected = json!([
        { "op": "replace", "path": "emails[value eq \"a\\\"@x\"].primary", "value": true },
        { "op": "replace", "path": "emails[value eq \"a\\\"@x\"].value", "value": "c@x" },
    ]);
    assert_eq!(operations(there, desired, &[]), expected);
}

#[test]
fn what_is_missing_is_added_all_at_once() {
    let there = json!({ "roles": [{ "value": "a" }] });
    let desired = json!({ "roles": [{ "value": "a" }, { "value": "b" }, { "value": "c" }] });
    let expected = json!([{ "op": "add", "path": "roles", "value": [{ "value": "b" }, { "value": "c" }] }]);
    assert_eq!(operations(there, desired, &[]), expected);
}

#[test]
fn a_replacement_keeps_what_is_others_and_leaves_out_what_is_read_only() {
    let there = attributes(json!({
        "id": "1", "meta": { "version": "v" }, "groups": [{ "value": "g" }], "nickName": "theirs", "title": "T",
        "roles": [{ "value": "ours" }, { "value": "theirs" }],
    }));
    let before = [attributes(json!({ "title": "T", "roles": [{ "value": "ours" }] }))];
    let edits = edits(&there, &attributes(json!({ "active": false })), &before);
    let expected =
        json!({ "id": "1", "nickName": "theirs", "active": false, "roles": [{ "value": "theirs" }] });
    assert_eq!(Value::Object(replacement(there, &edits)), expected);
}

fn a_word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned)
}

fn an_item() -> impl Strategy<Value = Value> {
    (a_word(), prop::option::of(a_word())).prop_map(|(value, kind)| match kind {
        Some(kind) => json!({ "value": value, "type": kind }),
        None => json!({ "value": value }),
    })
}

/// A resource that has at most one item of each type and value, as RFC 7643 §2.4 wants it.
fn a_resource() -> impl Strategy<Value = Attributes> {
    let roles = prop::collection::btree_set(a_word(), 0..3);
    (
        prop::option::of(a_word()),
        prop::option::of(a_word()),
        prop::collection::vec(an_item(), 0..2),
        roles,
        prop::option::of(a_word()),
    )
        .prop_map(|(title, given, emails, roles, department)| {
            let mut resource = Attributes::new();
            resource.extend(title.map(|title| ("title".to_owned(), title.into())));
            resource.extend(given.map(|given| ("name".to_owned(), json!({ "givenName": given }))));
            resource
                .extend(department.map(|it| ("urn:example:User".to_owned(), json!({ "department": it }))));
            if !emails.is_empty() {
                resource.insert("emails".into(), emails.into());
            }
            if !roles.is_empty() {
                let roles: Vec<Value> = roles.iter().map(|role| json!({ "value": role })).collect();
                resource.insert("roles".into(), roles.into());
            }
            resource
        })
}

proptest! {
    #[test]
    fn after_the_edits_nothing_differs(
        current in a_resource(), desired in a_resource(), before in prop::collection::vec(a_resource(), 0..3),
    ) {
        let after = replacement(current.clone(), &edits(&current, &desired, &before));
        let left = edits(&after, &desired, &before);
        prop_assert!(left.is_empty(), "{current:?} became {after:?}, and there is left {left:?}");
    }
}
