//! The configuration, compiled: what every user, group and role should look like in the directory.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_sink_api::template::{Template, Variables};
use rolecall_sink_api::{ConfigError, Group, GroupId, RoleName, User};
use serde_json::json;

use crate::config::{Config, OnDeactivate, OnDelete};
use crate::dn::Dn;
use crate::entry::{AttributeName, Entry, Value};
use crate::mark::{GroupKey, Marks};
use crate::template::{self, EntryTemplate, Rendered, Source};

/// The attribute that the password policy overlay of OpenLDAP (draft-behera-ldap-password-policy §5.3.3) reads.
pub(crate) const LOCKED_TIME: &str = "pwdAccountLockedTime";
/// Its value for "locked until an administrator says otherwise".
pub(crate) const LOCKED: &str = "000001010000Z";

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
    on_deactivate: Deactivation,
    pub(crate) on_delete: OnDelete,
    strip_groups: bool,
}

/// How groups, or the groups of roles, are made.
#[derive(Debug)]
pub(crate) struct GroupMapping {
    pub(crate) entry: EntryTemplate,
    pub(crate) member: AttributeName,
    pub(crate) placeholder: Option<Dn>,
}

/// [`OnDeactivate`], compiled.
enum Deactivation {
    Lock,
    Attributes(BTreeMap<AttributeName, Vec<Template>>),
    Delete,
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
            GroupMapping::new(entry, &groups.member_attribute, groups.placeholder.as_deref(), "groups")
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
            GroupMapping::new(entry, &roles.member_attribute, roles.placeholder.as_deref(), "roles")
        });
        let on_deactivate = match &config.leavers.on_deactivate {
            OnDeactivate::Lock => Deactivation::Lock,
            OnDeactivate::Delete => Deactivation::Delete,
            OnDeactivate::Attributes(attributes) => {
                let mut compiled = BTreeMap::new();
                for (name, templates) in attributes {
                    let path = format!("leavers.on_deactivate.attributes.{name}");
                    let name = template::attribute_name(name, &path)?;
                    compiled.insert(name, template::attribute(templates, &user, &path)?);
                }
                Deactivation::Attributes(compiled)
            }
        };
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
            on_deactivate,
            on_delete: config.leavers.on_delete,
            strip_groups: config.leavers.strip_groups,
        };
        mapping.check_marker()?;
        if mapping.on_delete == OnDelete::Deactivate && mapping.deletes_inactive() {
            return Err(ConfigError::new(
                "leavers.on_delete",
                "deactivate says to keep the entry, and leavers.on_deactivate: delete says not to",
            ));
        }
        Ok(mapping)
    }

    /// The marker's attribute keeps values of others, a mapped one does not: it cannot be both.
    fn check_marker(&self) -> Result<(), ConfigError> {
        let marker = &self.marks.attribute;
        let groups = self.groups.iter().chain(&self.roles);
        let mapped = self
            .person_attributes()
            .chain(groups.flat_map(|g| g.entry.attribute_names().chain(std::iter::once(&g.member))))
            .any(|name| name == marker);
        if mapped {
            return Err(ConfigError::new(
                "marker.attribute",
                format!("{marker} is also mapped: choose another attribute for the marker"),
            ));
        }
        Ok(())
    }

    /// Every attribute of a person's entry that the sink may set, but for the marker.
    pub(crate) fn person_attributes(&self) -> impl Iterator<Item = &AttributeName> {
        let leaving: Box<dyn Iterator<Item = &AttributeName>> = match &self.on_deactivate {
            Deactivation::Attributes(attributes) => Box::new(attributes.keys()),
            Deactivation::Lock | Deactivation::Delete => Box::new(std::iter::empty()),
        };
        self.people.attribute_names().chain(&self.role_attribute).chain(leaving)
    }

    /// The attributes to fetch of a person's entry: what may be compared.
    pub(crate) fn person_fetch(&self) -> Vec<AttributeName> {
        let mut names: Vec<_> = self.person_attributes().cloned().collect();
        names.extend(self.common_fetch());
        if matches!(self.on_deactivate, Deactivation::Lock) {
            names.push(LOCKED_TIME.into());
        }
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
        let mut leaving = BTreeMap::new();
        match &self.on_deactivate {
            Deactivation::Delete => return Ok(None),
            Deactivation::Lock => _ = leaving.insert(LOCKED_TIME.into(), vec![LOCKED.into()]),
            Deactivation::Attributes(attributes) => {
                for (name, templates) in attributes {
                    let values = template::render_values(templates, json!({ "user": user }))
                        .map_err(|e| format!("leavers.on_deactivate.attributes.{name}: {e}"))?;
                    leaving.insert(name.clone(), values);
                }
            }
        }
        if let Some(attribute) = &self.role_attribute {
            leaving.insert(attribute.clone(), Vec::new());
        }
        Ok(Some(leaving))
    }

    /// What has to go from the entry of a user who is active again: nothing unless the entry carries the mark of
    /// a deactivation by this sink. Attributes without values are to be absent.
    pub(crate) fn reactivation(&self, entry: &Entry) -> Vec<(AttributeName, Undo)> {
        if !self.marks.is_inactive(entry) {
            return Vec::new();
        }
        match &self.on_deactivate {
            Deactivation::Lock => vec![(LOCKED_TIME.into(), Undo::Value(LOCKED.into()))],
            Deactivation::Attributes(attributes) => {
                attributes.keys().map(|name| (name.clone(), Undo::Attribute)).collect()
            }
            Deactivation::Delete => Vec::new(),
        }
    }

    /// Whether an entry gives its user access.
    pub(crate) fn is_active(&self, entry: &Entry) -> bool {
        let locked = entry.attributes.texts(&LOCKED_TIME.into()).any(|value| value == LOCKED);
        match self.on_deactivate {
            Deactivation::Lock => !locked,
            Deactivation::Attributes(_) | Deactivation::Delete => !self.marks.is_inactive(entry),
        }
    }

    /// The groups and role groups the user should be in, each with the group's name.
    pub(crate) fn memberships(&self, user: &User) -> BTreeMap<GroupKey, String> {
        let groups = user.groups.iter().filter(|_| {
            self.groups.is_some() && (user.active || !(self.strip_groups || self.deletes_inactive()))
        });
        let groups = groups.map(|(id, name)| (GroupKey::Group(id.clone()), name.clone()));
        let roles = self.roles_of(user).filter(|_| self.roles.is_some());
        let roles = roles.map(|role| (GroupKey::Role(role.clone()), role.to_string()));
        groups.chain(roles).collect()
    }

    /// Whether leavers are locked by the server's password policy.
    pub(crate) fn locks(&self) -> bool {
        matches!(self.on_deactivate, Deactivation::Lock)
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

    fn deletes_inactive(&self) -> bool {
        matches!(self.on_deactivate, Deactivation::Delete)
    }

    /// An inactive user holds no roles, whatever the document says.
    fn roles_of<'a>(&self, user: &'a User) -> impl Iterator<Item = &'a RoleName> + use<'a> {
        user.roles.iter().filter(|_| user.active)
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

/// Something that deactivation put there and reactivation takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undo {
    /// This value.
    Value(Value),
    /// All values, unless the mapping sets the attribute.
    Attribute,
}

impl GroupMapping {
    fn new(
        entry: EntryTemplate,
        member: &str,
        placeholder: Option<&str>,
        section: &str,
    ) -> Result<Self, ConfigError> {
        let member = template::attribute_name(member, &format!("{section}.member_attribute"))?;
        if entry.attribute_names().any(|name| *name == member) {
            return Err(ConfigError::new(
                format!("{section}.attributes.{member}"),
                "members are the sink's business: leave them out of the mapping",
            ));
        }
        let placeholder = placeholder.map(Dn::parse).transpose();
        let placeholder =
            placeholder.map_err(|e| ConfigError::new(format!("{section}.placeholder"), e.to_string()))?;
        Ok(Self { entry, member, placeholder })
    }
}

fn bare_group(id: &GroupId, name: &str) -> Group {
    Group { id: id.clone(), organization: None, name: name.to_owned(), external_id: None }
}
