//! A user's attributes by name, for sinks that keep each in a place of its own.

use crate::User;

/// The name of an attribute, and where its value is.
pub type TextAttribute = (&'static str, fn(&User) -> Option<&str>);

/// Every attribute that is one text, the organization's id among them. `address` and `custom` are not.
pub const TEXT_ATTRIBUTES: [TextAttribute; 22] = [
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

#[cfg(test)]
mod tests {
    use schemars::schema_for;

    use super::*;
    use crate::Profile;

    #[test]
    fn no_attribute_of_the_profile_is_left_out() {
        let schema = schema_for!(Profile);
        let fields = schema.get("properties").and_then(serde_json::Value::as_object).unwrap();
        let mut named: Vec<&str> = TEXT_ATTRIBUTES.iter().map(|(name, _)| *name).collect();
        named.extend(["address", "custom"]);
        named.retain(|name| *name != "organization_id");
        named.sort_unstable();
        let mut fields: Vec<&str> = fields.keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(named, fields);
    }
}
