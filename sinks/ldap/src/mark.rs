//! The sink's mark in what it made: one value of a multi-valued attribute, beside the values of others.

use std::fmt;

use rolecall_sink_api::{ConfigError, Entity, GroupId, RoleName};

use crate::config::Marker;
use crate::entry::{AttributeName, Entry, Value};
use crate::template;

/// A group in the target: one of the source's, or the group of a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum GroupKey {
    /// A group of the source.
    Group(GroupId),
    /// The group that shows a role.
    Role(RoleName),
}

impl GroupKey {
    /// Whether it is the group of a role.
    pub(crate) fn is_role(&self) -> bool {
        matches!(self, GroupKey::Role(_))
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupKey::Group(id) => write!(f, "group {id}"),
            GroupKey::Role(role) => write!(f, "role {role}"),
        }
    }
}

/// How marks are written.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    pub(crate) attribute: AttributeName,
    prefix: String,
}

/// Whose an entry is, by its marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The one that was asked for.
    This,
    /// Another user, group or role of this sink: its mark.
    Other(String),
    /// Nobody this sink knows.
    Nobody,
}

impl Marks {
    /// The configured marks; `attribute` is where they go unless that is configured too.
    pub(crate) fn new(marker: &Marker, attribute: &str) -> Result<Self, ConfigError> {
        let attribute = marker.attribute.as_deref().unwrap_or(attribute);
        if marker.prefix.trim().is_empty() {
            return Err(ConfigError::new("marker.prefix", "must not be empty"));
        }
        Ok(Self {
            attribute: template::attribute_name(attribute, "marker.attribute")?,
            prefix: marker.prefix.trim().to_owned(),
        })
    }

    /// The mark of a user's or group's entry.
    pub(crate) fn entity(&self, entity: &Entity) -> String {
        match entity {
            Entity::User(id) => format!("{}{id}", self.users()),
            Entity::Group(id) => self.group(&GroupKey::Group(id.clone())),
        }
    }

    /// The mark of a group's entry.
    pub(crate) fn group(&self, key: &GroupKey) -> String {
        match key {
            GroupKey::Group(id) => format!("{}{id}", self.groups()),
            GroupKey::Role(role) => format!("{}{role}", self.roles()),
        }
    }

    /// How the marks of all users begin.
    pub(crate) fn users(&self) -> String {
        format!("{}:user:", self.prefix)
    }

    /// How the marks of all groups begin.
    pub(crate) fn groups(&self) -> String {
        format!("{}:group:", self.prefix)
    }

    fn roles(&self) -> String {
        format!("{}:role:", self.prefix)
    }

    /// How all marks begin.
    pub(crate) fn all(&self) -> String {
        format!("{}:", self.prefix)
    }

    /// The mark of an entry that this sink deactivated, which tells its lock from an administrator's.
    pub(crate) fn inactive(&self) -> Value {
        format!("{}:inactive", self.prefix).into()
    }

    /// The mark of an entry that was locked already when this sink deactivated it: that lock is somebody else's.
    pub(crate) fn locked_before(&self) -> Value {
        format!("{}:locked-before", self.prefix).into()
    }

    /// Whether somebody else had locked the entry when this sink deactivated it.
    pub(crate) fn is_locked_before(&self, entry: &Entry) -> bool {
        entry.attributes.get(&self.attribute).contains(&self.locked_before())
    }

    /// Whether this sink deactivated the entry.
    pub(crate) fn is_inactive(&self, entry: &Entry) -> bool {
        entry.attributes.get(&self.attribute).contains(&self.inactive())
    }

    /// Whose `entry` is, when `mark` is asked for.
    pub(crate) fn owner(&self, entry: &Entry, mark: &str) -> Owner {
        let kinds = [self.users(), self.groups(), self.roles()];
        let marks = || entry.attributes.texts(&self.attribute);
        // Ids differ by case where the directory's comparison may not: this one does.
        if marks().any(|found| found == mark) {
            return Owner::This;
        }
        match marks().find(|found| kinds.iter().any(|kind| found.starts_with(kind.as_str()))) {
            Some(other) => Owner::Other(other.to_owned()),
            None => Owner::Nobody,
        }
    }

    /// The user's id in an entry's marks.
    pub(crate) fn user_of(&self, entry: &Entry) -> Option<String> {
        let start = self.users();
        entry.attributes.texts(&self.attribute).find_map(|mark| mark.strip_prefix(&start)).map(str::to_owned)
    }

    /// Which group an entry is, by its marks.
    pub(crate) fn group_of(&self, entry: &Entry) -> Option<GroupKey> {
        let (groups, roles) = (self.groups(), self.roles());
        entry.attributes.texts(&self.attribute).find_map(|mark| {
            let group = mark.strip_prefix(&groups).map(|id| GroupKey::Group(GroupId::new(id)));
            group.or_else(|| mark.strip_prefix(&roles).map(|role| GroupKey::Role(RoleName::new(role))))
        })
    }
}
