//! What the sink confirmed before, taken for written when the file no longer tells.

use rolecall_sink_api::{Change, Entity, User};

use super::LdifFile;
use crate::dn::Dn;
use crate::entry::Entry;
use crate::mapping::Mapping;
use crate::mark::GroupKey;
use crate::member::Identity;
use crate::query::{Condition, Query};

impl LdifFile {
    /// Fills the memory with the entries that `changes` say were applied and that no record has made: the file was
    /// moved away since. Who else is in a group is not known then, so that its placeholder may come back too early
    /// and stay too long; both do no harm.
    pub(crate) fn recall(&self, mapping: &Mapping, changes: &[Change]) {
        // Groups know their own names best.
        for change in changes {
            if let (Entity::Group(id), Some(group)) = (&change.entity, change.applied_group()) {
                let key = GroupKey::Group(id.clone());
                self.recall_group(mapping, &key, &group.name, &mapping.marks.group(&key));
            }
        }
        for change in changes {
            if let Some(user) = change.applied_user() {
                self.recall_user(mapping, user, mapping.marks.entity(&change.entity));
            }
        }
    }

    fn recall_user(&self, mapping: &Mapping, user: &User, mark: String) {
        let Ok(Some(person)) = mapping.person(user) else { return };
        let dn = person.rendered.dn.clone();
        if self.has_made(&mark) || self.read(&dn).is_some() {
            return;
        }
        let mut attributes = mapping.people.new_entry(&person.rendered);
        attributes.push(mapping.marks.attribute.clone(), mark.into());
        if !person.active {
            mapping.leavers.lock().inspect(|lock| lock.put_on(&mut attributes));
            attributes.push(mapping.marks.attribute.clone(), mapping.marks.inactive());
        }
        let identity = Identity::of_rendered(&person.rendered);
        self.put(Entry { dn, attributes });
        for (key, name) in mapping.memberships(user) {
            let mark = mapping.marks.group(&key);
            self.recall_group(mapping, &key, &name, &mark);
            self.recall_member(mapping, &key, &mark, &identity);
        }
    }

    /// The name of a group that no record made, if there are records missing that may have.
    pub(crate) fn presume(&self, mapping: &Mapping, key: &GroupKey, name: &str) -> Option<Dn> {
        if !self.lacks_records() {
            return None;
        }
        let mark = mapping.marks.group(key);
        self.recall_group(mapping, key, name, &mark);
        let base = &mapping.group_mapping(key)?.entry.base;
        self.marked(mapping, base, &mark).into_iter().next().map(|entry| entry.dn)
    }

    fn recall_group(&self, mapping: &Mapping, key: &GroupKey, name: &str, mark: &str) {
        let Some(group) = mapping.group_mapping(key) else { return };
        let Ok(rendered) = mapping.group_from_name(key, name) else { return };
        if self.has_made(mark) || self.read(&rendered.dn).is_some() {
            return;
        }
        let mut attributes = group.entry.new_entry(&rendered);
        attributes.push(mapping.marks.attribute.clone(), mark.into());
        self.put(Entry { dn: rendered.dn, attributes });
    }

    fn recall_member(&self, mapping: &Mapping, key: &GroupKey, mark: &str, who: &Identity) {
        let Some(group) = mapping.group_mapping(key) else { return };
        let Some(member) = who.member(group.member_value) else { return };
        for mut entry in self.marked(mapping, &group.entry.base, mark) {
            entry.attributes.push(group.member.clone(), member.value());
            self.put(entry);
        }
    }

    fn marked(&self, mapping: &Mapping, base: &Dn, mark: &str) -> Vec<Entry> {
        self.search(&Query {
            base: base.clone(),
            conditions: vec![Condition::Any(vec![(mapping.marks.attribute.clone(), mark.into())])],
            attributes: Vec::new(),
        })
    }
}
