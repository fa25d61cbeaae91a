//! Which column of `users` holds which attribute.

use rolecall_sink_api::{Change, Document, User};
use serde_json::Value;

/// A column of text, and where its value comes from.
pub(crate) type TextColumn = (&'static str, fn(&User) -> Option<&str>);

/// The text columns of `users`, in the order in which statements take them.
pub(crate) const TEXT: [TextColumn; 22] = [
    ("organization_id", |u| u.organization.as_ref().map(|id| id.as_str())),
    ("external_id", |u| u.profile.external_id.as_deref()),
    ("user_name", |u| u.profile.user_name.as_deref()),
    ("email", |u| u.profile.email.as_deref()),
    ("display_name", |u| u.profile.display_name.as_deref()),
    ("given_name", |u| u.profile.given_name.as_deref()),
    ("family_name", |u| u.profile.family_name.as_deref()),
    ("nick_name", |u| u.profile.nick_name.as_deref()),
    ("photo", |u| u.profile.photo.as_deref()),
    ("profile_url", |u| u.profile.profile_url.as_deref()),
    ("phone_number", |u| u.profile.phone_number.as_deref()),
    ("title", |u| u.profile.title.as_deref()),
    ("department", |u| u.profile.department.as_deref()),
    ("division", |u| u.profile.division.as_deref()),
    ("cost_center", |u| u.profile.cost_center.as_deref()),
    ("employee_number", |u| u.profile.employee_number.as_deref()),
    ("user_type", |u| u.profile.user_type.as_deref()),
    ("organization_name", |u| u.profile.organization_name.as_deref()),
    ("preferred_language", |u| u.profile.preferred_language.as_deref()),
    ("locale", |u| u.profile.locale.as_deref()),
    ("timezone", |u| u.profile.timezone.as_deref()),
    ("pronouns", |u| u.profile.pronouns.as_deref()),
];

/// Where a change holds U+0000, which PostgreSQL can keep neither in `text` nor in `jsonb`. Found before
/// anything is sent: the server's own error names neither the row nor the column.
pub(crate) fn nul_in(change: &Change) -> Option<String> {
    let has_nul = |text: &str| text.contains('\0');
    if has_nul(change.entity.id()) {
        return Some("the id".into());
    }
    match &change.desired {
        None => None,
        Some(Document::Group(group)) => [
            ("organization_id", group.organization.as_ref().map(|id| id.as_str())),
            ("name", Some(group.name.as_str())),
            ("external_id", group.external_id.as_deref()),
        ]
        .into_iter()
        .find(|(_, value)| value.is_some_and(has_nul))
        .map(|(column, _)| column.into()),
        Some(Document::User(user)) => TEXT
            .iter()
            .find(|(_, value)| value(user).is_some_and(has_nul))
            .map(|(column, _)| (*column).into())
            .or_else(|| {
                let address = user.profile.address.as_ref()?;
                let parts = [
                    &address.formatted,
                    &address.street_address,
                    &address.locality,
                    &address.region,
                    &address.postal_code,
                    &address.country,
                ];
                parts.into_iter().flatten().any(|part| has_nul(part)).then(|| "address".into())
            })
            .or_else(|| {
                let custom = &user.profile.custom;
                custom
                    .iter()
                    .find(|(key, value)| has_nul(key) || json_has_nul(value))
                    .map(|(key, _)| format!("custom attribute {key:?}"))
            })
            .or_else(|| {
                user.groups
                    .iter()
                    .find(|(id, name)| has_nul(id.as_str()) || has_nul(name))
                    .map(|(id, _)| format!("group {:?}", id.as_str()))
            })
            .or_else(|| {
                user.roles
                    .iter()
                    .find(|role| has_nul(role.as_str()))
                    .map(|role| format!("role {:?}", role.as_str()))
            }),
    }
}

fn json_has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(json_has_nul),
        Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || json_has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
