//! The configuration, compiled: what every user, group and role should look like in the directory.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_sink_api::template::Variables;
use rolecall_sink_api::{ConfigError, Group, GroupId, RoleName, User};
use serde_json::json;

use crate::config::{Config, MemberValue};
use crate::dn::Dn;
use crate::entry::{AttributeName, Entry, Value};
use crate::leavers::Leavers;
use crate::mark::{GroupKey, Marks};
use crate::member;
use crate::template::{self, EntryTemplate, Rendered, Source};

const PEOPLE_DEFAULTS: [(&str, &str); 12] = [
    (
        "cn",
        "{{ user.display_name or ((user.given_name or '') ~ ' ' ~ (user.family_name or ''))|trim or user.user_name \
         or user.email or user.id }}",
    ),
    ("sn", "{{ user.family_name or user.display_name or user.user_name or user.email or user.id }}"),
    ("givenName", "{{ user.given_name }}"),
    ("displayName", "{{ user.display_name }}"),
    ("mail", "{{ user.email }}"),
    ("telephoneNumber", "{{ user.phone_number }}"),
    ("title", "{{ user.title }}"),
    ("departmentNumber", "{{ user.department }}"),
    ("employeeNumber", "{{ user.employee_number }}"),
    ("employeeType", "{{ user.user_type }}"),
    ("preferredLanguage", "{{ user.preferred_language }}"),
    ("o", "{{ user.organization_name }}"),
];

/// The whole mapping.
pub(crate) struct Mapping {
    pub(crate) marks: Marks,
    /// The attribute with the server's own id of an entry.
    pub(crate) id: AttributeName,
    pub(crate) people: EntryTemplate,
    pub(crate) groups: Option<GroupMapping>,
    pub(crate) roles: Option<GroupMapping>,
    role_attribute: Option<AttributeName>,
    pub(crate) leavers: Leavers,
    /// Values in one modification of a group at most.
    pub(crate) members_per_modify: usize,
}

/// How groups, or the groups of roles, are made.
#[derive(Debug)]
pub(crate) struct GroupMapping {
    /// Whether they are the groups of roles.
    pub(crate) are_roles: bool,
    pub(crate) entry: EntryTemplate,
    pub(crate) member: AttributeName,
    pub(crate) member_value: MemberValue,
    pub(crate) placeholder: Option<Dn>,
}

/// What a user's entry should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) rendered: Rendered,
    pub(crate) active: bool,
}

impl Mapping {
    /// Compiles the configuration.
    pub(crate) fn compile(config: &Config) -> Result<Self, ConfigError> {
        let user = Variables::user();
        let people = EntryTemplate::compile(
            &Source {
                section: "people",
                dn: &config.people.dn,
                base: config.people.base.as_deref(),
                classes: &config.people.object_classes,
                defaults: &PEOPLE_DEFAULTS,
                attributes: &config.people.attributes,
                on_existing: config.people.on_existing,
            },
            &user,
        )?;
        let groups = config.groups.as_ref().map(|groups| {
            let entry = EntryTemplate::compile(
                &Source {
                    section: "groups",
                    dn: &groups.dn,
                    base: groups.base.as_deref(),
                    classes: &groups.object_classes,
                    defaults: &[("cn", "{{ group.name }}")],
                    attributes: &groups.attributes,
                    on_existing: groups.on_existing,
                },
                &Variables::group(),
            )?;
            let (member, placeholder) = (&groups.member_attribute, groups.placeholder.as_deref());
            GroupMapping::new(false, entry, member, groups.member_value, placeholder)
        });
        let roles = config.roles.as_ref().and_then(|roles| roles.dn.as_deref().map(|dn| (roles, dn)));
        let roles = roles.map(|(roles, dn)| {
            let entry = EntryTemplate::compile(
                &Source {
                    section: "roles",
                    dn,
                    base: roles.base.as_deref(),
                    classes: &roles.object_classes,
                    defaults: &[("cn", "{{ role }}")],
                    attributes: &roles.attributes,
                    on_existing: roles.on_existing,
                },
                &Variables::new(["role"]),
            )?;
            let (member, placeholder) = (&roles.member_attribute, roles.placeholder.as_deref());
            GroupMapping::new(true, entry, member, roles.member_value, placeholder)
        });
        let role_attribute = config.roles.as_ref().and_then(|roles| roles.attribute.as_deref());
        let mapping = Self {
            marks: Marks::new(&config.marker)?,
            id: template::attribute_name(&config.id_attribute, "id_attribute")?,
            people,
            groups: groups.transpose()?,
            roles: roles.transpose()?,
            role_attribute: role_attribute
                .map(|name| template::attribute_name(name, "roles.attribute"))
                .transpose()?,
            leavers: Leavers::compile(&config.leavers, &user)?,
            members_per_modify: usize::from(config.members_per_modify),
        };
        if !(1..=10_000).contains(&mapping.members_per_modify) {
            return Err(ConfigError::new("members_per_modify", "must be between 1 and 10000"));
        }
        mapping.check_marker()?;
        mapping.check_uids()?;
        Ok(mapping)
    }

    /// The marker's attribute keeps values of others, a mapped one does not: it cannot be both.
    fn check_marker(&self) -> Result<(), ConfigError> {
        let marker = &self.marks.attribute;
        let mapped = self
            .person_attributes()
            .chain(
                self.group_mappings()
                    .flat_map(|g| g.entry.attribute_names().chain(std::iter::once(&g.member))),
            )
            .any(|name| name == marker);
        if mapped {
            return Err(ConfigError::new(
                "marker.attribute",
                format!("{marker} is also mapped: choose another attribute for the marker"),
            ));
        }
        Ok(())
    }

    /// Groups that hold uids are of use to people only who have one.
    fn check_uids(&self) -> Result<(), ConfigError> {
        let uid = member::uid();
        let have_one = self.people.is_named_by(&uid) || self.person_attributes().any(|name| *name == uid);
        match self.group_mappings().find(|group| group.member_value == MemberValue::Uid) {
            Some(group) if !have_one => Err(ConfigError::new(
                format!("{}.member_value", group.entry.section),
                "groups cannot hold uids of people who have none: map uid in people.attributes",
            )),
            _ => Ok(()),
        }
    }

    /// Every attribute of a person's entry that the sink may set, but for the marker.
    pub(crate) fn person_attributes(&self) -> impl Iterator<Item = &AttributeName> {
        self.people.attribute_names().chain(&self.role_attribute).chain(self.leavers.attribute_names())
    }

    /// The attributes to fetch of a person's entry: what may be compared.
    pub(crate) fn person_fetch(&self) -> Vec<AttributeName> {
        let mut names: Vec<_> = self.person_attributes().cloned().collect();
        names.extend(self.common_fetch());
        names.extend(self.leavers.lock_attribute());
        names.push(member::uid());
        names
    }

    /// The attributes to fetch of a group's entry. Its members are not among them: there may be many.
    pub(crate) fn group_fetch(&self, group: &GroupMapping) -> Vec<AttributeName> {
        group.entry.attribute_names().cloned().chain(self.common_fetch()).collect()
    }

    fn common_fetch(&self) -> [AttributeName; 3] {
        ["objectClass".into(), self.marks.attribute.clone(), self.id.clone()]
    }

    /// The server's own id of an entry that was fetched; its DN where the server has none.
    pub(crate) fn remote_of(&self, entry: &Entry) -> String {
        match entry.attributes.texts(&self.id).next() {
            Some(id) => id.to_owned(),
            None => format!("dn:{}", entry.dn),
        }
    }

    /// What the user's entry should be; `None` when there should be none.
    ///
    /// # Errors
    /// Why the user cannot have one, for a person to read.
    pub(crate) fn person(&self, user: &User) -> Result<Option<Person>, String> {
        let variables = json!({ "user": user });
        let mut rendered = self.people.render(&variables)?;
        if let Some(attribute) = &self.role_attribute {
            let roles = self.roles_of(user).map(|role| Value::from(role.as_str())).collect();
            rendered.attributes.insert(attribute.clone(), roles);
        }
        if !user.active {
            match self.leaving(Some(user))? {
                None => return Ok(None),
                Some(attributes) => rendered.attributes.extend(attributes),
            }
        }
        Ok(Some(Person { rendered, active: user.active }))
    }

    /// The attributes that take a leaver's access away, and the role attribute emptied; `None` when the entry
    /// itself goes.
    ///
    /// # Errors
    /// When a template fails.
    pub(crate) fn leaving(
        &self,
        user: Option<&User>,
    ) -> Result<Option<BTreeMap<AttributeName, Vec<Value>>>, String> {
        let Some(mut leaving) = self.leavers.attributes(user)? else { return Ok(None) };
        if let Some(attribute) = &self.role_attribute {
            leaving.insert(attribute.clone(), Vec::new());
        }
        Ok(Some(leaving))
    }

    /// The groups and role groups the user should be in, each with the group's name.
    pub(crate) fn memberships(&self, user: &User) -> BTreeMap<GroupKey, String> {
        let groups = user
            .groups
            .iter()
            .filter(|_| self.groups.is_some() && (user.active || self.leavers.keep_groups()));
        let groups = groups.map(|(id, name)| (GroupKey::Group(id.clone()), name.clone()));
        let roles = self.roles_of(user).filter(|_| self.roles.is_some());
        let roles = roles.map(|role| (GroupKey::Role(role.clone()), role.to_string()));
        groups.chain(roles).collect()
    }

    /// The roles that an entry shows: as `groups` tell, and as the role attribute tells.
    pub(crate) fn roles_shown(&self, entry: &Entry, groups: BTreeSet<RoleName>) -> BTreeSet<RoleName> {
        let values = self.role_attribute.iter().flat_map(|name| entry.attributes.texts(name));
        let shown: BTreeSet<RoleName> = values.map(RoleName::new).collect();
        match (&self.role_attribute, &self.roles) {
            // A role that shows in one place of two is not there as it should be.
            (Some(_), Some(_)) => groups.intersection(&shown).cloned().collect(),
            (Some(_), None) => shown,
            (None, _) => groups,
        }
    }

    /// An inactive user holds no roles, whatever the document says.
    fn roles_of<'a>(&self, user: &'a User) -> impl Iterator<Item = &'a RoleName> + use<'a> {
        user.roles.iter().filter(|_| user.active)
    }

    /// How groups and the groups of roles are made, where there are any.
    pub(crate) fn group_mappings(&self) -> impl Iterator<Item = &GroupMapping> {
        self.groups.iter().chain(&self.roles)
    }

    /// How the groups of this kind are made.
    pub(crate) fn group_mapping(&self, key: &GroupKey) -> Option<&GroupMapping> {
        match key {
            GroupKey::Group(_) => self.groups.as_ref(),
            GroupKey::Role(_) => self.roles.as_ref(),
        }
    }

    /// What the group's entry should be.
    pub(crate) fn group(&self, mapping: &GroupMapping, group: &Group) -> Result<Rendered, String> {
        mapping.entry.render(json!({ "group": group }))
    }

    /// What the entry of a group or role group should be, as far as a user's document tells.
    pub(crate) fn group_from_name(&self, key: &GroupKey, name: &str) -> Result<Rendered, String> {
        match (key, &self.groups, &self.roles) {
            (GroupKey::Group(id), Some(mapping), _) => self.group(mapping, &bare_group(id, name)),
            (GroupKey::Role(role), _, Some(mapping)) => mapping.entry.render(json!({ "role": role })),
            _ => Err(format!("{key} is not mapped")),
        }
    }
}

impl GroupMapping {
    fn new(
        are_roles: bool,
        entry: EntryTemplate,
        member: &str,
        member_value: Option<MemberValue>,
        placeholder: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let section = entry.section;
        let member = template::attribute_name(member, &format!("{section}.member_attribute"))?;
        if entry.attribute_names().any(|name| *name == member) {
            return Err(ConfigError::new(
                format!("{section}.attributes.{member}"),
                "members are the sink's business: leave them out of the mapping",
            ));
        }
        let default = if member == "memberUid".into() { MemberValue::Uid } else { MemberValue::Dn };
        let member_value = member_value.unwrap_or(default);
        let placeholder = placeholder.filter(|_| member_value == MemberValue::Dn).map(Dn::parse).transpose();
        let placeholder =
            placeholder.map_err(|e| ConfigError::new(format!("{section}.placeholder"), e.to_string()))?;
        Ok(Self { are_roles, entry, member, member_value, placeholder })
    }

    /// What a new group's member attribute holds: `members`, or the placeholder when there are none.
    pub(crate) fn first_members(&self, members: Vec<Value>) -> Option<(&AttributeName, Vec<Value>)> {
        let first = if members.is_empty() {
            self.placeholder.iter().map(|dn| dn.as_str().into()).collect()
        } else {
            members
        };
        (!first.is_empty()).then_some((&self.member, first))
    }
}

fn bare_group(id: &GroupId, name: &str) -> Group {
    Group { id: id.clone(), organization: None, name: name.to_owned(), external_id: None }
}
