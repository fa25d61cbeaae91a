//! What each payload states.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_sink_api::{Address, GroupId, OrganizationId, Profile, UserId};
use serde_json::Value;

use super::payload::{self, Envelope};
use crate::directory::{DirectoryId, Fact, GroupProfile, Origin};
use crate::source::json::{Id, MAX_ID, Object, Text, shorten};

/// Where the custom attributes stand.
const CUSTOM: &str = "data.custom_attributes";
/// How many custom attributes a user may have. What they take together is bounded by the body's length.
const MOST_CUSTOM: usize = 1000;
/// How many lists and objects of a custom attribute may stand within each other. The value is written again
/// inside the user, and that inside what sinks and people are handed; every JSON reader on its way has a limit
/// of its own, the strictest that is known being serde_json's of 128 for all of it.
const MOST_NESTED: usize = 32;

type Facts = Result<Vec<Fact>, String>;

/// The whole user, and, where the keys are there, whether they are active, their groups and their roles.
pub(super) fn user(data: payload::User, envelope: &Envelope) -> Facts {
    let user = UserId::new(required(data.id, "data.id")?);
    let organization = organization(data.organization_id, envelope);
    let mut facts = Vec::with_capacity(4 + data.groups.as_ref().map_or(0, Vec::len));
    if let Some(active) = data.active {
        facts.push(Fact::UserActive { user: user.clone(), active });
    }
    if let Some(roles) = data.roles {
        let roles = roles.into_iter().filter_map(|Object(role)| role.role_name.0).collect();
        facts.push(Fact::UserProviderRoles { user: user.clone(), roles });
    }
    if let Some(listed) = data.groups {
        // A group that is listed twice is named once, so that the order within the event decides nothing.
        let mut named = BTreeMap::<GroupId, Option<String>>::new();
        for Object(group) in listed {
            let name = named.entry(GroupId::new(required(group.id, "data.groups[].id")?)).or_default();
            *name = name.take().or(group.name.0);
        }
        let groups: BTreeSet<_> = named.keys().cloned().collect();
        facts.push(Fact::UserGroups { user: user.clone(), groups });
        facts.extend(named.into_iter().map(|(group, name)| Fact::GroupNamed {
            group,
            name,
            organization: organization.clone(),
        }));
    }
    let profile = Box::new(Profile {
        external_id: data.dp_id.0,
        user_name: data.preferred_username.0,
        email: data.email.0,
        display_name: data.name.0,
        given_name: data.given_name.0,
        family_name: data.family_name.0,
        nick_name: data.nickname.0,
        photo: data.picture.0,
        profile_url: data.profile.0,
        phone_number: data.phone_number.0,
        address: data.address.and_then(|Object(address)| self::address(address)),
        title: data.title.0,
        department: data.department.0,
        division: data.division.0,
        cost_center: data.cost_center.0,
        employee_number: data.employee_id.0,
        user_type: data.user_type.0,
        organization_name: data.organization.0,
        preferred_language: data.language.0,
        locale: data.locale.0,
        timezone: data.zoneinfo.0,
        pronouns: data.gender_pronoun.0,
        custom: custom(data.custom_attributes.unwrap_or_default())?,
    });
    let origin = Origin { directory: data.directory_id.0.map(DirectoryId), source: None };
    facts.push(Fact::UserProfile { user, organization, origin, profile });
    Ok(facts)
}

pub(super) fn user_gone(data: payload::Gone) -> Facts {
    Ok(vec![Fact::UserGone { user: UserId::new(required(data.id, "data.id")?) }])
}

pub(super) fn group(data: payload::Group, envelope: &Envelope) -> Facts {
    let group = GroupId::new(required(data.id, "data.id")?);
    let profile = GroupProfile {
        name: first([data.display_name, data.name]),
        organization: organization(data.organization_id, envelope),
        external_id: first([data.external_id, data.dp_id]),
    };
    Ok(vec![Fact::GroupProfile { group, profile }])
}

pub(super) fn group_gone(data: payload::Gone) -> Facts {
    Ok(vec![Fact::GroupGone { group: GroupId::new(required(data.id, "data.id")?) }])
}

/// These in, those out; of the others nothing.
pub(super) fn membership(data: payload::Membership) -> Facts {
    let group = GroupId::new(required(data.group_id, "data.group_id")?);
    let mut facts = Vec::new();
    for (listed, path, member) in [
        (data.added_members, "data.added_members[]", true),
        (data.removed_members, "data.removed_members[]", false),
    ] {
        for id in listed.unwrap_or_default() {
            let user = UserId::new(required(id, path)?);
            facts.push(Fact::Member { group: group.clone(), user, member });
        }
    }
    Ok(facts)
}

pub(super) fn directory(data: payload::Directory, envelope: &Envelope, enabled: bool) -> Facts {
    Ok(vec![Fact::Directory {
        directory: DirectoryId(required(data.id, "data.id")?),
        organization: organization(data.organization_id, envelope),
        provider: data.provider.0,
        enabled,
    }])
}

fn required(id: Id, path: &str) -> Result<String, String> {
    id.0.ok_or_else(|| format!("{path}: missing or empty"))
}

fn organization(stated: Id, envelope: &Envelope) -> Option<OrganizationId> {
    stated.0.or_else(|| envelope.organization_id.0.clone()).map(OrganizationId::new)
}

fn first<const N: usize>(texts: [Text; N]) -> Option<String> {
    texts.into_iter().find_map(|text| text.0)
}

fn address(address: payload::Address) -> Option<Address> {
    let address = Address {
        formatted: address.formatted.0,
        street_address: address.street_address.0,
        locality: first([address.locality, address.city]),
        region: first([address.region, address.state]),
        postal_code: address.postal_code.0,
        country: address.country.0,
    };
    (address != Address::default()).then_some(address)
}

/// A custom attribute that is null or an empty string is not set, as with the others.
fn custom(mut attributes: BTreeMap<String, Value>) -> Result<BTreeMap<String, Value>, String> {
    let count = attributes.len();
    if count > MOST_CUSTOM {
        return Err(format!("{CUSTOM}: {count} attributes, and a user has at most {MOST_CUSTOM}"));
    }
    for (name, value) in &attributes {
        if name.len() > MAX_ID {
            return Err(shorten(&format!("{CUSTOM}.{name}")) + ": a name is at most 255 bytes long");
        }
        if !nests_at_most(value, MOST_NESTED) {
            let path = shorten(&format!("{CUSTOM}.{name}"));
            return Err(format!("{path}: nested more than {MOST_NESTED} deep"));
        }
    }
    attributes.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
    Ok(attributes)
}

/// Whether at most `levels` lists and objects stand within each other.
fn nests_at_most(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| nests_at_most(item, levels - 1)),
        Value::Object(entries) => levels > 0 && entries.values().all(|item| nests_at_most(item, levels - 1)),
        _ => true,
    }
}
