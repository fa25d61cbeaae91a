//! How the sink is configured for the application.

use rolecall_sink_rest::{Config, RestSink};
use rolecall_testkit::HttpApplication;
use serde_json::{Value, json};

/// Users and groups as whole documents: memberships and roles are part of the user.
pub(crate) fn whole_documents(url: &str) -> Value {
    let user = json!({
        "external_id": "{{ user.id }}", "user_name": "{{ user.user_name }}", "email": "{{ user.email }}",
        "display_name": "{{ user.display_name }}", "active": "{{ user.active }}",
        "groups": "{{ user.groups | list }}", "roles": "{{ user.roles }}",
    });
    let group = json!({"external_id": "{{ group.id }}", "name": "{{ group.name }}"});
    json!({
        "base_url": url, "id": "/id", "timeout": "5s", "lookup": lookup(),
        "operations": {
            "user_create": {"method": "POST", "path": "/users", "body": user},
            "user_update": {"method": "PUT", "path": "/users/{{ remote }}", "body": user},
            "user_delete": {"method": "DELETE", "path": "/users/{{ remote }}"},
            "group_create": {"method": "POST", "path": "/groups", "body": group},
            "group_update": {"method": "PUT", "path": "/groups/{{ remote }}", "body": group},
            "group_delete": {"method": "DELETE", "path": "/groups/{{ remote }}"},
        },
    })
}

/// A request for each membership and role, each a merge patch of the user.
pub(crate) fn one_by_one(url: &str) -> Value {
    let attributes = json!({
        "external_id": "{{ user.id }}", "user_name": "{{ user.user_name }}", "email": "{{ user.email }}",
        "display_name": "{{ user.display_name }}",
    });
    let patch = |body: Value| json!({"method": "PATCH", "path": "/users/{{ remote }}", "body": body});
    let mut config = whole_documents(url);
    let operations = &mut config["operations"];
    operations["user_create"]["body"] = attributes.clone();
    operations["user_create"]["body"]["active"] = json!(true);
    operations["user_update"] = patch(attributes);
    operations["user_deactivate"] = patch(json!({"active": false}));
    operations["user_reactivate"] = patch(json!({"active": true}));
    operations["member_add"] = patch(json!({"groups": {"{{ group.id }}": "{{ group.remote }}"}}));
    operations["member_remove"] = patch(json!({"groups": {"{{ group.id }}": null}}));
    operations["role_grant"] = patch(json!({"roles": {"{{ role }}": true}}));
    operations["role_revoke"] = patch(json!({"roles": {"{{ role }}": null}}));
    config
}

fn lookup() -> Value {
    json!({
        "user": {"path": "/users?external_id={{ user.id }}", "id": "/0/id"},
        "group": {"path": "/groups?external_id={{ group.id }}", "id": "/0/id"},
    })
}

/// The configuration, with `changes` in place of its values at those keys.
pub(crate) fn config(mut base: Value, changes: Value) -> Config {
    for (key, value) in changes.as_object().unwrap() {
        base[key] = value.clone();
    }
    serde_json::from_value(base).unwrap()
}

/// A sink for `application`, configured for whole documents but for `changes`.
pub(crate) fn sink(application: &HttpApplication, changes: Value) -> RestSink {
    RestSink::new("app", config(whole_documents(&application.url()), changes)).unwrap()
}
