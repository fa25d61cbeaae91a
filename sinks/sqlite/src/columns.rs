//! Which column of `users` holds which attribute.

use rolecall_sink_api::User;
use rusqlite::types::Value;

/// A column of text, and where its value comes from.
type TextColumn = (&'static str, fn(&User) -> Option<&str>);

const TEXT: [TextColumn; 22] = [
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

/// The columns that a user's document fills, in the order of [`values`].
pub(crate) fn names() -> Vec<&'static str> {
    TEXT.iter().map(|(name, _)| *name).chain(["address", "custom", "active"]).collect()
}

/// A user's document as a row: JSON has its keys sorted, so that equal documents are equal text.
pub(crate) fn values(user: &User) -> Result<Vec<Value>, serde_json::Error> {
    let mut row: Vec<Value> = TEXT.iter().map(|(_, value)| value(user).map(str::to_owned).into()).collect();
    row.push(user.profile.address.as_ref().map(serde_json::to_string).transpose()?.into());
    row.push(serde_json::to_string(&user.profile.custom)?.into());
    row.push(user.active.into());
    Ok(row)
}
