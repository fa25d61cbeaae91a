//! What the sink confirmed before, taken for written when the file no longer tells.

use rolecall_sink_api::{Change, Entity};

use super::LdifFile;
use crate::entry::Entry;
use crate::mapping::Mapping;
use crate::mark::GroupKey;
use crate::query::{Condition, Query};

impl LdifFile {
    /// Fills the memory with the entries that `changes` say were applied and that no record has made: the file was
    /// moved away since. Who else is in a group is not known then, so its placeholder may stay.
    pub(crate) fn recall(&self, mapping: &Mapping, changes: &[Change]) {
        for change in changes {
            let mark = mapping.marks.entity(&change.entity);
            match &change.entity {
                Entity::Group(id) => {
                    if let Some(group) = change.applied_group() {
                        self.recall_group(mapping, &GroupKey::Group(id.clone()), &group.name, &mark);
                    }
                }
                Entity::User(_) => {
                    let Some(user) = change.applied_user() else { continue };
                    let Ok(Some(person)) = mapping.person(user) else { continue };
                    if self.knows(mapping, &mapping.people.base, &mark)
                        || self.read(&person.rendered.dn).is_some()
                    {
                        continue;
                    }
                    let dn = person.rendered.dn.clone();
                    let mut attributes = person.rendered.new_entry(&mapping.people.classes);
                    attributes.push(mapping.marks.attribute.clone(), mark.into());
                    if !person.active {
                        attributes.push(mapping.marks.attribute.clone(), mapping.marks.inactive());
                    }
                    self.put(Entry { dn: dn.clone(), attributes });
                    for (key, name) in mapping.memberships(user) {
                        let mark = mapping.marks.group(&key);
                        self.recall_group(mapping, &key, &name, &mark);
                        self.recall_member(mapping, &key, &mark, dn.as_str());
                    }
                }
            }
        }
    }

    fn recall_group(&self, mapping: &Mapping, key: &GroupKey, name: &str, mark: &str) {
        let Some(group) = mapping.group_mapping(key) else { return };
        let Ok(rendered) = mapping.group_from_name(key, name) else { return };
        if self.knows(mapping, &group.entry.base, mark) || self.read(&rendered.dn).is_some() {
            return;
        }
        let mut attributes = rendered.new_entry(&group.entry.classes);
        attributes.push(mapping.marks.attribute.clone(), mark.into());
        if let Some(placeholder) = &group.placeholder {
            attributes.push(group.member.clone(), placeholder.as_str().into());
        }
        self.put(Entry { dn: rendered.dn, attributes });
    }

    fn recall_member(&self, mapping: &Mapping, key: &GroupKey, mark: &str, member: &str) {
        let Some(group) = mapping.group_mapping(key) else { return };
        for mut entry in self.marked(mapping, &group.entry.base, mark) {
            entry.attributes.push(group.member.clone(), member.into());
            self.put(entry);
        }
    }

    fn knows(&self, mapping: &Mapping, base: &crate::dn::Dn, mark: &str) -> bool {
        !self.marked(mapping, base, mark).is_empty()
    }

    fn marked(&self, mapping: &Mapping, base: &crate::dn::Dn, mark: &str) -> Vec<Entry> {
        self.search(&Query {
            base: base.clone(),
            conditions: vec![Condition::Any(vec![(mapping.marks.attribute.clone(), mark.into())])],
            attributes: Vec::new(),
        })
    }
}
