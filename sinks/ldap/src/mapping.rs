//! The configuration, compiled: what every user, group and role should look like in the directory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rolecall_sink_api::template::Variables;
use rolecall_sink_api::{ConfigError, Group, GroupId, RoleName, User};
use serde_json::json;

use crate::compare::Rules;
use crate::config::{Config, FirstPassword, MemberValue};
use crate::dn::Dn;
use crate::entry::{AttributeName, Entry, Value};
use crate::id::IdAttribute;
use crate::leavers::Leavers;
use crate::mark::{GroupKey, Marks};
use crate::member;
use crate::preset::Preset;
use crate::server_kind::ServerKind;
use crate::template::{self, EntryTemplate, Rendered, Source};

/// The whole mapping.
pub(crate) struct Mapping {
    /// The kind of server that it is for.
    pub(crate) kind: ServerKind,
    pub(crate) marks: Marks,
    /// The attribute with the server's own id of an entry.
    pub(crate) id: IdAttribute,
    pub(crate) people: EntryTemplate,
    pub(crate) groups: Option<GroupMapping>,
    pub(crate) roles: Option<GroupMapping>,
    role_attribute: Option<AttributeName>,
    pub(crate) leavers: Leavers,
    /// Whether a new account gets a password.
    first_password: FirstPassword,
    /// How values are compared.
    pub(crate) rules: Arc<Rules>,
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
    /// Compiles the configuration for one kind of server: what it does not say, the kind's preset says. `rules` are
    /// how the server compares values.
    pub(crate) fn compile(config: &Config, kind: ServerKind, rules: Rules) -> Result<Self, ConfigError> {
        let user = Variables::user();
        let preset = Preset::of(kind);
        let rules = Arc::new(rules);
        let people = EntryTemplate::compile(
            &Source {
                section: "people",
                dn: config.people.dn.as_deref(),
                base: config.people.base.as_deref(),
                classes: config.people.object_classes.as_deref(),
                attributes: &config.people.attributes,
                on_existing: config.people.on_existing,
                preset: &preset.people,
                nul_in_names: preset.nul_in_names,
                rules: &rules,
            },
            &user,
        )?;
        let groups = config.groups.as_ref().map(|groups| {
            let entry = EntryTemplate::compile(
                &Source {
                    section: "groups",
                    dn: groups.dn.as_deref(),
                    base: groups.base.as_deref(),
                    classes: groups.object_classes.as_deref(),
                    attributes: &groups.attributes,
                    on_existing: groups.on_existing,
                    preset: &preset.groups,
                    nul_in_names: preset.nul_in_names,
                    rules: &rules,
                },
                &Variables::group(),
            )?;
            let (member, placeholder) = (groups.member_attribute.as_deref(), groups.placeholder.as_ref());
            GroupMapping::new(false, entry, member, groups.member_value, placeholder, preset)
        });
        let roles = config.roles.as_ref().filter(|roles| roles.dn.is_some() || roles.base.is_some());
        let roles = roles.map(|roles| {
            let entry = EntryTemplate::compile(
                &Source {
                    section: "roles",
                    dn: roles.dn.as_deref(),
                    base: roles.base.as_deref(),
                    classes: roles.object_classes.as_deref(),
                    attributes: &roles.attributes,
                    on_existing: roles.on_existing,
                    preset: &preset.roles,
                    nul_in_names: preset.nul_in_names,
                    rules: &rules,
                },
                &Variables::new(["role"]),
            )?;
            let (member, placeholder) = (roles.member_attribute.as_deref(), roles.placeholder.as_ref());
            GroupMapping::new(true, entry, member, roles.member_value, placeholder, preset)
        });
        let role_attribute = config.roles.as_ref().and_then(|roles| roles.attribute.as_deref());
        let id = config.id_attribute.as_deref().unwrap_or(preset.id);
        let mapping = Self {
            kind,
            marks: Marks::new(&config.marker, preset.marker)?,
            id: IdAttribute::new(template::attribute_name(id, "id_attribute")?),
            people,
            groups: groups.transpose()?,
            roles: roles.transpose()?,
            role_attribute: role_attribute
                .map(|name| template::attribute_name(name, "roles.attribute"))
                .transpose()?,
            leavers: Leavers::compile(&config.leavers, preset.lock, &user)?,
            first_password: config.people.first_password.unwrap_or(preset.first_password),
            rules,
            members_per_modify: usize::from(config.members_per_modify),
        };
        if !(1..=10_000).contains(&mapping.members_per_modify) {
            return Err(ConfigError::new("members_per_modify", "must be between 1 and 10000"));
        }
        mapping.check_marker()?;
        mapping.check_lock()?;
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

    /// The lock keeps its attribute; a mapping would write over it.
    fn check_lock(&self) -> Result<(), ConfigError> {
        let lock = self.leavers.lock_attribute();
        match self.people.attribute_names().find(|name| lock.as_ref() == Some(name)) {
            Some(name) => Err(ConfigError::new(
                format!("people.attributes.{name}"),
                "leavers are locked by it: leave it out of the mapping, or choose another leavers.on_deactivate",
            )),
            None => Ok(()),
        }
    }

    /// Whether new accounts get a password.
    pub(crate) fn sets_passwords(&self) -> bool {
        self.first_password == FirstPassword::Random
    }

    /// Whether the password is an attribute of the new entry: Active Directory's way.
    pub(crate) fn password_comes_with_the_entry(&self) -> bool {
        self.sets_passwords() && self.kind == ServerKind::ActiveDirectory
    }

    /// Whether it is set by a request of its own.
    pub(crate) fn password_comes_after_the_entry(&self) -> bool {
        self.sets_passwords() && self.kind != ServerKind::ActiveDirectory
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
        ["objectClass".into(), self.marks.attribute.clone(), self.id.name.clone()]
    }

    /// The server's own id of an entry that was fetched; its DN where the server has none.
    pub(crate) fn remote_of(&self, entry: &Entry) -> String {
        self.id.of(entry).unwrap_or_else(|| format!("dn:{}", entry.dn))
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
        member: Option<&str>,
        member_value: Option<MemberValue>,
        placeholder: Option<&Option<String>>,
        preset: &Preset,
    ) -> Result<Self, ConfigError> {
        let section = entry.section;
        let member = member.unwrap_or(preset.member);
        let placeholder = placeholder.map_or(preset.placeholder, |said| said.as_deref());
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
