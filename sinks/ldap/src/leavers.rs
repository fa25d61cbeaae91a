//! What becomes of the entry of somebody who leaves, and how it is undone.

use std::collections::BTreeMap;

use rolecall_sink_api::template::{Template, Variables};
use rolecall_sink_api::{ConfigError, User};
use serde_json::json;

use crate::config::{self, OnDeactivate, OnDelete};
use crate::entry::{AttributeName, Entry, Value};
use crate::lock::Lock;
use crate::mark::Marks;
use crate::template;

/// The section `leavers`, compiled.
pub(crate) struct Leavers {
    on_deactivate: Deactivation,
    pub(crate) on_delete: OnDelete,
    strip_groups: bool,
}

/// [`OnDeactivate`], compiled.
enum Deactivation {
    Lock(Lock),
    Attributes(BTreeMap<AttributeName, Vec<Template>>),
    Delete,
}

/// Something that deactivation put there and reactivation takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undo {
    /// This value.
    Value(Value),
    /// All values, unless the mapping sets the attribute.
    Attribute,
    /// The lock, which knows what it put there.
    Lock(Lock),
}

impl Leavers {
    /// Compiles the section; `lock` is how the server locks accounts.
    pub(crate) fn compile(
        config: &config::Leavers,
        lock: Lock,
        variables: &Variables,
    ) -> Result<Self, ConfigError> {
        let on_deactivate = match &config.on_deactivate {
            OnDeactivate::Lock => Deactivation::Lock(lock),
            OnDeactivate::Delete if config.on_delete == OnDelete::Deactivate => {
                return Err(ConfigError::new(
                    "leavers.on_delete",
                    "deactivate says to keep the entry, and leavers.on_deactivate: delete says not to",
                ));
            }
            OnDeactivate::Delete => Deactivation::Delete,
            OnDeactivate::Attributes(attributes) => {
                let mut compiled = BTreeMap::new();
                for (name, templates) in attributes {
                    let path = format!("leavers.on_deactivate.attributes.{name}");
                    let name = template::attribute_name(name, &path)?;
                    compiled.insert(name, template::attribute(templates, variables, &path)?);
                }
                Deactivation::Attributes(compiled)
            }
        };
        Ok(Self { on_deactivate, on_delete: config.on_delete, strip_groups: config.strip_groups })
    }

    /// The attributes that deactivation sets by configuration.
    pub(crate) fn attribute_names(&self) -> impl Iterator<Item = &AttributeName> {
        let attributes = match &self.on_deactivate {
            Deactivation::Attributes(attributes) => Some(attributes),
            Deactivation::Lock(_) | Deactivation::Delete => None,
        };
        attributes.into_iter().flat_map(BTreeMap::keys)
    }

    /// How leavers are locked, when they are.
    pub(crate) fn lock(&self) -> Option<Lock> {
        match self.on_deactivate {
            Deactivation::Lock(lock) => Some(lock),
            Deactivation::Attributes(_) | Deactivation::Delete => None,
        }
    }

    /// The attribute that a lock is kept in, when leavers are locked.
    pub(crate) fn lock_attribute(&self) -> Option<AttributeName> {
        self.lock().map(Lock::attribute)
    }

    /// Whether somebody without access stays in their groups.
    pub(crate) fn keep_groups(&self) -> bool {
        !self.strip_groups && !matches!(self.on_deactivate, Deactivation::Delete)
    }

    /// The attributes that take a leaver's access away, but for a lock, which depends on the entry; `None` when the
    /// entry itself goes.
    ///
    /// # Errors
    /// When a template fails.
    pub(crate) fn attributes(
        &self,
        user: Option<&User>,
    ) -> Result<Option<BTreeMap<AttributeName, Vec<Value>>>, String> {
        match &self.on_deactivate {
            Deactivation::Delete => Ok(None),
            Deactivation::Lock(_) => Ok(Some(BTreeMap::new())),
            Deactivation::Attributes(attributes) => {
                let render = |(name, templates): (&AttributeName, &Vec<Template>)| {
                    let values = template::render_values(templates, json!({ "user": user }))
                        .map_err(|e| format!("leavers.on_deactivate.attributes.{name}: {e}"))?;
                    Ok((name.clone(), values))
                };
                attributes.iter().map(render).collect::<Result<_, String>>().map(Some)
            }
        }
    }

    /// What has to go from the entry of a user who is active again: nothing, unless the entry carries the mark of a
    /// deactivation by this sink.
    pub(crate) fn undo(&self, marks: &Marks, entry: &Entry) -> Vec<(AttributeName, Undo)> {
        if !marks.is_inactive(entry) {
            return Vec::new();
        }
        let mut undo = vec![(marks.attribute.clone(), Undo::Value(marks.inactive()))];
        if marks.is_locked_before(entry) {
            undo.push((marks.attribute.clone(), Undo::Value(marks.locked_before())));
        } else {
            undo.extend(self.lock().map(|lock| (lock.attribute(), Undo::Lock(lock))));
        }
        undo.extend(self.attribute_names().map(|name| (name.clone(), Undo::Attribute)));
        undo
    }

    /// Whether an entry gives its user access.
    pub(crate) fn gives_access(&self, marks: &Marks, entry: &Entry) -> bool {
        match self.lock() {
            Some(lock) => !lock.holds(&entry.attributes),
            None => !marks.is_inactive(entry),
        }
    }
}
