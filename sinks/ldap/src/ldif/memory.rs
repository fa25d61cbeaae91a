//! What the records written so far have made: a directory in memory that answers as a server would.

use std::collections::{BTreeMap, BTreeSet};

use crate::compare::{self, Rules};
use crate::dn::Dn;
use crate::entry::{AttributeName, Attributes, Entry, Value};
use crate::plan;
use crate::query::{Condition, Query};
use crate::request::{Modification, ModificationKind, Reply, Request};

/// Entries by name, with an index for what is searched by: marks and members.
#[derive(Debug)]
pub(super) struct Memory {
    entries: BTreeMap<Dn, Entry>,
    index: BTreeMap<(AttributeName, Vec<u8>), BTreeSet<Dn>>,
    indexed: Vec<AttributeName>,
    marker: AttributeName,
    /// The marks of all entries that ever were.
    made: BTreeSet<Value>,
}

impl Memory {
    pub(super) fn new(marker: AttributeName) -> Self {
        let indexed = ["member", "uniqueMember", "memberUid", "uid"].map(AttributeName::from);
        let indexed = indexed.into_iter().chain([marker.clone()]).collect();
        Self { entries: BTreeMap::new(), index: BTreeMap::new(), indexed, marker, made: BTreeSet::new() }
    }

    pub(super) fn read(&self, dn: &Dn) -> Option<&Entry> {
        self.entries.get(dn)
    }

    pub(super) fn has_made(&self, mark: &str) -> bool {
        self.made.contains(&mark.into())
    }

    pub(super) fn search(&self, query: &Query) -> Vec<Entry> {
        let indexed = query.conditions.iter().find_map(|condition| match condition {
            Condition::Any(any) if any.iter().all(|(name, _)| self.indexed.contains(name)) => Some(any),
            _ => None,
        });
        let found = |entry: &&Entry| query.matches(entry);
        match indexed {
            Some(any) => {
                let keys = any.iter().map(|(name, value)| key(name, value));
                let names: BTreeSet<&Dn> = keys.filter_map(|key| self.index.get(&key)).flatten().collect();
                names.into_iter().filter_map(|dn| self.entries.get(dn)).filter(found).cloned().collect()
            }
            None => self.entries.values().filter(found).cloned().collect(),
        }
    }

    /// Puts an entry there as if its record had been read.
    pub(super) fn put(&mut self, entry: Entry) {
        self.take(&entry.dn.clone());
        self.made.extend(entry.attributes.get(&self.marker).iter().cloned());
        for name in &self.indexed {
            for value in entry.attributes.get(name) {
                self.index.entry(key(name, value)).or_default().insert(entry.dn.clone());
            }
        }
        self.entries.insert(entry.dn.clone(), entry);
    }

    fn take(&mut self, dn: &Dn) -> Option<Entry> {
        let entry = self.entries.remove(dn)?;
        for name in &self.indexed {
            for value in entry.attributes.get(name) {
                let key = key(name, value);
                if let Some(names) = self.index.get_mut(&key) {
                    names.remove(dn);
                    if names.is_empty() {
                        self.index.remove(&key);
                    }
                }
            }
        }
        Some(entry)
    }

    /// Carries out `request` and answers with the code that a server would.
    pub(super) fn write(&mut self, request: &Request) -> Reply {
        let none = || Reply::new(32, "no record of the file has made this entry");
        match request {
            Request::Add { dn, .. } | Request::Rename { to: dn, .. }
                if self.entries.contains_key(dn) && request.dn() == dn =>
            {
                Reply::new(68, "a record of the file has made it already")
            }
            Request::Add { attributes, .. } if let Some(reply) = fault(attributes) => reply,
            Request::Add { dn, attributes } => {
                self.put(Entry { dn: dn.clone(), attributes: attributes.clone() });
                Reply::new(0, "")
            }
            Request::Delete { dn } => match self.take(dn) {
                Some(_) => Reply::new(0, ""),
                None => none(),
            },
            Request::Rename { to, .. } if self.entries.contains_key(to) => {
                Reply::new(68, "a record of the file has made an entry of this name")
            }
            Request::Rename { dn, to } => match self.take(dn) {
                Some(mut entry) => {
                    plan::rename(&mut entry, to, &Rules::default());
                    self.put(entry);
                    Reply::new(0, "")
                }
                None => none(),
            },
            Request::Modify { dn, modifications, .. } => {
                let Some(mut entry) = self.entries.get(dn).cloned() else { return none() };
                for modification in modifications {
                    modify(&mut entry, modification);
                }
                if lacks_members(&entry) {
                    return Reply::new(65, "the group must have a member");
                }
                if let Some(reply) = fault(&entry.attributes) {
                    return reply;
                }
                self.put(entry);
                Reply::new(0, "")
            }
        }
    }
}

fn key(name: &AttributeName, value: &Value) -> (AttributeName, Vec<u8>) {
    (name.clone(), compare::normal(name, value))
}

/// With the tolerance that the records ask for: what is there already, or gone already, is no error.
fn modify(entry: &mut Entry, modification: &Modification) {
    let name = &modification.attribute;
    let mut values = entry.attributes.get(name).to_vec();
    match modification.kind {
        ModificationKind::Replace => values.clone_from(&modification.values),
        ModificationKind::Delete if modification.values.is_empty() => values.clear(),
        ModificationKind::Delete => {
            let gone: BTreeSet<_> = modification.values.iter().map(|v| compare::normal(name, v)).collect();
            values.retain(|value| !gone.contains(&compare::normal(name, value)));
        }
        ModificationKind::Add => {
            let mut has: BTreeSet<_> = values.iter().map(|v| compare::normal(name, v)).collect();
            values
                .extend(modification.values.iter().filter(|v| has.insert(compare::normal(name, v))).cloned());
        }
    }
    entry.attributes.set(name.clone(), values);
}

/// The attributes that the standard schemas (RFC 4519, 2307, 4524) give the syntax IA5 String: ASCII alone.
const IA5: [&str; 7] =
    ["mail", "dc", "associatedDomain", "homeDirectory", "loginShell", "gecos", "memberUid"];

/// What every server would say of a value that its attribute cannot have.
fn fault(attributes: &Attributes) -> Option<Reply> {
    let foreign = |name: &&&str| attributes.get(&(**name).into()).iter().any(|v| !v.as_bytes().is_ascii());
    let name = IA5.iter().find(foreign)?;
    Some(Reply::new(21, format!("{name}: takes ASCII characters only")))
}

/// The two classes that may not be empty (RFC 4519 §3.5, §3.6).
fn lacks_members(entry: &Entry) -> bool {
    let classes = entry.attributes.get(&"objectClass".into());
    [("groupOfNames", "member"), ("groupOfUniqueNames", "uniqueMember")].iter().any(|(class, member)| {
        compare::contains(&"objectClass".into(), classes, &(*class).into())
            && entry.attributes.get(&(*member).into()).is_empty()
    })
}
