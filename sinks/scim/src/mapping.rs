//! How a user or a group becomes a resource: templates, with defaults for all that SCIM has a name for.

use rolecall_sink_api::template::{Escape, Template, Variables};
use rolecall_sink_api::{ConfigError, Group, Profile, User, UserId};
use rolecall_sink_http::Body;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::attribute::{Attributes, get};
use crate::config::{AttributeTemplates, Config, Groups, Roles, Users};
use crate::urn::{ENTERPRISE, is_extension};

/// Attributes that the sink writes itself, or that only the application writes.
const RESERVED: [&str; 7] = ["id", "meta", "schemas", "externalId", "active", "groups", "members"];

/// What says nothing about an item of a multi-valued attribute but where it belongs.
const LABELS: [&str; 3] = ["type", "primary", "display"];

/// The mapping, compiled.
pub(crate) struct Mapping {
    user: Body,
    external_id: Template,
    group: Option<Body>,
    /// The attribute that holds the user's roles.
    pub(crate) roles_attribute: Option<String>,
}

impl Mapping {
    pub(crate) fn compile(config: &Config) -> Result<Self, ConfigError> {
        let Users { external_id, attributes, .. } = &config.users;
        let external_id = Template::parse(external_id, Escape::None, &Variables::user())
            .map_err(|e| ConfigError::new("users.external_id", e.to_string()))?;
        let roles = config.roles.as_ref().map(|Roles { attribute }| attribute.clone());
        let mut reserved = RESERVED.to_vec();
        if let Some(attribute) = &roles {
            if attribute.is_empty() || RESERVED.iter().any(|name| name.eq_ignore_ascii_case(attribute)) {
                return Err(ConfigError::new(
                    "roles.attribute",
                    "cannot hold roles: it is roles or entitlements",
                ));
            }
            reserved.push(attribute);
        }
        let user = merge(default_user(), attributes, &reserved, "users.attributes")?;
        let group = config.groups.as_ref().map(|Groups { attributes, .. }| {
            let group = merge(default_group(), attributes, &RESERVED, "groups.attributes")?;
            Body::compile(&group, &Variables::group(), "groups.attributes")
        });
        Ok(Self {
            user: Body::compile(&user, &Variables::user(), "users.attributes")?,
            external_id,
            group: group.transpose()?,
            roles_attribute: roles,
        })
    }

    /// The attributes of a user who should have access.
    ///
    /// # Errors
    /// When a template cannot be evaluated for this user, or says nothing where SCIM wants something.
    pub(crate) fn user(&self, user: &User) -> Result<Attributes, String> {
        let mut attributes = rendered(&self.user, &Context { user: Some(user), group: None })?;
        if get(&attributes, "userName").is_none() {
            return Err("there is nothing to make a userName of: set users.attributes.userName".into());
        }
        let external_id = self.external_id(user)?.ok_or("users.external_id says nothing for this user")?;
        attributes.insert("externalId".into(), external_id.into());
        attributes.insert("active".into(), true.into());
        attributes.extend(self.roles(user));
        Ok(attributes)
    }

    /// All that is written of a user who should have no access.
    pub(crate) fn leaver(&self) -> Attributes {
        Map::from_iter([("active".to_owned(), false.into())])
    }

    /// The roles alone: what is taken from a leaver.
    pub(crate) fn roles(&self, user: &User) -> Attributes {
        let items: Vec<Value> = user.roles.iter().map(|role| json!({ "value": role })).collect();
        let attribute = self.roles_attribute.iter().filter(|_| !items.is_empty());
        attribute.map(|attribute| (attribute.clone(), items.clone().into())).collect()
    }

    /// The user's `externalId`; `None` when it says nothing.
    pub(crate) fn external_id(&self, user: &User) -> Result<Option<String>, String> {
        let text = self.external_id.render(Context { user: Some(user), group: None });
        let text = text.map_err(|e| format!("users.external_id: {e}"))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// Whether the `externalId` of a user is their id.
    pub(crate) fn keeps_the_id(&self) -> bool {
        let probe = User { id: UserId::new("\u{1}the id\u{1}"), ..nobody(&UserId::new("")) };
        self.external_id(&probe).is_ok_and(|text| text.as_deref() == Some(probe.id.as_str()))
    }

    /// Whether there are groups at all.
    pub(crate) fn has_groups(&self) -> bool {
        self.group.is_some()
    }

    /// The attributes of a group.
    ///
    /// # Errors
    /// When a template cannot be evaluated for this group, or says nothing where SCIM wants something.
    pub(crate) fn group(&self, group: &Group) -> Result<Attributes, String> {
        let mut attributes = match &self.group {
            Some(body) => rendered(body, &Context { user: None, group: Some(group) })?,
            None => Attributes::new(),
        };
        if get(&attributes, "displayName").is_none() {
            return Err("there is nothing to make a displayName of: set groups.attributes.displayName".into());
        }
        attributes.insert("externalId".into(), group.id.as_str().into());
        Ok(attributes)
    }
}

/// A user of whom only the id is known: one who goes and was never confirmed.
pub(crate) fn nobody(id: &UserId) -> User {
    User {
        id: id.clone(),
        organization: None,
        active: false,
        profile: Profile::default(),
        groups: std::collections::BTreeMap::new(),
        roles: std::collections::BTreeSet::new(),
    }
}

#[derive(Serialize)]
struct Context<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a User>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a Group>,
}

fn rendered(body: &Body, context: &Context<'_>) -> Result<Attributes, String> {
    match body.render(context).map(pruned)? {
        Some(Value::Object(attributes)) => Ok(attributes),
        _ => Ok(Attributes::new()),
    }
}

/// The value without what is empty; `None` when nothing is left. An item that is only labelled is empty.
fn pruned(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(items) => {
            let said = |item: &Value| match item {
                Value::Object(item) => item.keys().any(|key| !LABELS.contains(&key.as_str())),
                _ => true,
            };
            let items: Vec<Value> = items.into_iter().filter_map(pruned).filter(said).collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::Object(fields) => {
            let fields: Attributes =
                fields.into_iter().filter_map(|(name, value)| Some((name, pruned(value)?))).collect();
            (!fields.is_empty()).then_some(Value::Object(fields))
        }
        value => Some(value),
    }
}

/// The defaults with what is configured in their place.
fn merge(
    mut attributes: Attributes,
    configured: &AttributeTemplates,
    reserved: &[&str],
    at: &str,
) -> Result<Value, ConfigError> {
    for (name, value) in configured {
        let refuse = |why: &str| Err(ConfigError::new(format!("{at}.{name}"), why));
        if reserved.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
            return refuse("is written by the sink itself, or by the application alone");
        }
        if name.contains('.') && !is_extension(name) {
            return refuse("is no attribute: write a sub-attribute below its attribute");
        }
        match (value, attributes.get_mut(name)) {
            (Value::Null, _) => {
                attributes.remove(name);
            }
            (Value::Object(inner), Some(Value::Object(there))) if is_extension(name) => {
                there.extend(inner.clone());
            }
            (Value::Object(_), _) => {
                attributes.insert(name.clone(), value.clone());
            }
            _ if is_extension(name) => return refuse("is an extension: its attributes stand below it"),
            _ => {
                attributes.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(Value::Object(attributes))
}

fn default_user() -> Attributes {
    object(json!({
        "userName": "{{ user.user_name or user.email }}",
        "displayName": "{{ user.display_name }}",
        "name": { "givenName": "{{ user.given_name }}", "familyName": "{{ user.family_name }}" },
        "nickName": "{{ user.nick_name }}",
        "profileUrl": "{{ user.profile_url }}",
        "title": "{{ user.title }}",
        "userType": "{{ user.user_type }}",
        "preferredLanguage": "{{ user.preferred_language }}",
        "locale": "{{ user.locale }}",
        "timezone": "{{ user.timezone }}",
        "emails": [{ "value": "{{ user.email }}", "type": "work", "primary": true }],
        "phoneNumbers": [{ "value": "{{ user.phone_number }}", "type": "work" }],
        "photos": [{ "value": "{{ user.photo }}", "type": "photo" }],
        "addresses": [{
            "formatted": "{{ user.address.formatted }}",
            "streetAddress": "{{ user.address.street_address }}",
            "locality": "{{ user.address.locality }}",
            "region": "{{ user.address.region }}",
            "postalCode": "{{ user.address.postal_code }}",
            "country": "{{ user.address.country }}",
            "type": "work",
        }],
        ENTERPRISE: {
            "employeeNumber": "{{ user.employee_number }}",
            "costCenter": "{{ user.cost_center }}",
            "organization": "{{ user.organization_name }}",
            "division": "{{ user.division }}",
            "department": "{{ user.department }}",
        },
    }))
}

fn default_group() -> Attributes {
    object(json!({ "displayName": "{{ group.name }}" }))
}

fn object(value: Value) -> Attributes {
    match value {
        Value::Object(object) => object,
        _ => Attributes::new(),
    }
}

#[cfg(test)]
mod tests;
