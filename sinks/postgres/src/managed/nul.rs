//! Text that PostgreSQL cannot keep.

use rolecall_sink_api::{Change, Document, TEXT_ATTRIBUTES};
use serde_json::Value;

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
        Some(Document::User(user)) => TEXT_ATTRIBUTES
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
