use rolecall_sink_api::{Address, GroupId, RoleName};

use super::*;

fn config(more: Value) -> Config {
    let mut config = json!({ "base_url": "https://app.example.com" });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

fn mapping(more: Value) -> Mapping {
    Mapping::compile(&config(more)).unwrap()
}

fn ada() -> User {
    User {
        active: true,
        profile: Profile {
            email: Some("ada@example.com".into()),
            given_name: Some("Ada".into()),
            department: Some("Engines".into()),
            address: Some(Address { locality: Some("London".into()), ..Address::default() }),
            ..Profile::default()
        },
        roles: [RoleName::new("admin")].into(),
        ..nobody(&UserId::new("diruser_1"))
    }
}

#[test]
fn what_is_set_is_written_under_scims_names_and_nothing_else() {
    let expected = json!({
        "userName": "ada@example.com",
        "externalId": "diruser_1",
        "active": true,
        "name": { "givenName": "Ada" },
        "emails": [{ "value": "ada@example.com", "type": "work", "primary": true }],
        "addresses": [{ "locality": "London", "type": "work" }],
        "roles": [{ "value": "admin" }],
        ENTERPRISE: { "department": "Engines" },
    });
    assert_eq!(Value::Object(mapping(json!({})).user(&ada()).unwrap()), expected);
}

#[test]
fn what_is_configured_takes_the_place_of_the_default() {
    let mapping = mapping(json!({
        "users": { "external_id": "x-{{ user.id }}", "attributes": {
            "emails": null, "title": "{{ user.department }}",
            ENTERPRISE: { "department": null, "costCenter": "{{ user.department }}" },
            "urn:example:User": { "colours": ["{{ user.given_name }}", "blue"] },
        } },
        "roles": { "attribute": "entitlements" },
    }));
    let user = mapping.user(&ada()).unwrap();
    assert_eq!(user.get("emails"), None);
    assert_eq!(user["title"], "Engines");
    assert_eq!(user["externalId"], "x-diruser_1");
    assert_eq!(user[ENTERPRISE], json!({ "costCenter": "Engines" }));
    assert_eq!(user["urn:example:User"], json!({ "colours": ["Ada", "blue"] }));
    assert_eq!(user["entitlements"], json!([{ "value": "admin" }]));
    assert!(!mapping.keeps_the_id());
}

#[test]
fn what_the_sink_writes_itself_cannot_be_mapped() {
    for (more, at) in [
        (json!({ "users": { "attributes": { "Active": "{{ user.active }}" } } }), "users.attributes.Active"),
        (json!({ "users": { "attributes": { "roles": [] } } }), "users.attributes.roles"),
        (json!({ "users": { "attributes": { "name.givenName": "x" } } }), "users.attributes.name.givenName"),
        (json!({ "users": { "attributes": { "urn:x": "x" } } }), "users.attributes.urn:x"),
        (json!({ "users": { "attributes": { "title": "{{ user.titel }}" } } }), "users.attributes.title"),
        (json!({ "users": { "external_id": "{{ usr.id }}" } }), "users.external_id"),
        (json!({ "groups": { "attributes": { "members": [] } } }), "groups.attributes.members"),
        (json!({ "roles": { "attribute": "groups" } }), "roles.attribute"),
    ] {
        let Err(error) = Mapping::compile(&config(more)) else { panic!("{at} is taken") };
        assert_eq!(error.path, at);
    }
}

#[test]
fn a_user_without_a_name_is_refused_and_says_what_to_do() {
    let error = mapping(json!({})).user(&User { active: true, ..nobody(&UserId::new("u")) }).unwrap_err();
    assert!(error.contains("users.attributes.userName"), "{error}");
}

#[test]
fn a_group_has_its_name_and_its_id() {
    let group = Group {
        id: GroupId::new("g1"),
        organization: None,
        name: "Staff".into(),
        external_id: Some("x".into()),
    };
    let expected = json!({ "displayName": "Staff", "externalId": "g1" });
    assert_eq!(Value::Object(mapping(json!({})).group(&group).unwrap()), expected);
    assert!(!mapping(json!({ "groups": null })).has_groups());
}

#[test]
fn without_roles_none_are_written() {
    let user = mapping(json!({ "roles": null })).user(&ada()).unwrap();
    assert_eq!(user.get("roles"), None);
}
