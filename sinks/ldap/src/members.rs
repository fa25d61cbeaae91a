//! Who comes into which group and who leaves it, gathered over a batch: one modification per group, of those
//! values only that change. Members that others put there are never read and never named.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use rolecall_sink_api::{Action, SinkDown};

use crate::dn::Dn;
use crate::entry::Value;
use crate::mapping::GroupMapping;
use crate::mark::GroupKey;
use crate::member::Member;
use crate::outcome::{Failure, Operation, Verdict, verdict};
use crate::query::{self, Condition, Query};
use crate::request::{Modification, Request, Tolerance};
use crate::tie::{Sought, locate};
use crate::upsert::{Upsert, upsert};
use crate::work::Work;

/// The changes of all groups.
#[derive(Debug, Default)]
pub(crate) struct MemberChanges(BTreeMap<GroupKey, GroupChange>);

/// The changes of one group.
#[derive(Debug, Default)]
struct GroupChange {
    /// Its name, should it have to be made.
    name: String,
    /// Where it is, when that is known.
    dn: Option<Dn>,
    add: BTreeMap<Member, usize>,
    remove: BTreeMap<Member, usize>,
    /// Whether it has nobody but the placeholder.
    has_placeholder: bool,
}

impl MemberChanges {
    /// `member`, of the change number `change`, comes into the group.
    pub(crate) fn add(&mut self, key: GroupKey, name: &str, member: &Member, change: usize) {
        let group = self.0.entry(key).or_default();
        name.clone_into(&mut group.name);
        group.add.insert(member.clone(), change);
    }

    /// `member`, of the change number `change`, leaves the group, whose entry is `dn`.
    pub(crate) fn remove(&mut self, key: GroupKey, dn: &Dn, member: &Member, change: usize) {
        let group = self.0.entry(key).or_default();
        group.dn = Some(dn.clone());
        group.remove.insert(member.clone(), change);
    }

    /// Carries everything out. What failed is returned by the number of the change it is about.
    pub(crate) async fn carry_out(mut self, work: &Work<'_>) -> Result<BTreeMap<usize, Failure>, SinkDown> {
        self.find_groups(work).await?;
        let tasks = self
            .0
            .iter()
            .map(|(key, group)| async move { Failure::contain(carry_out(work, key, group).await) }.boxed());
        let results = work.all(tasks.collect()).await?;
        let mut failures: BTreeMap<usize, Failure> = BTreeMap::new();
        for (group, result) in self.0.values().zip(results) {
            let Err(failure) = result else { continue };
            for &change in group.add.values().chain(group.remove.values()) {
                let failure = match failures.remove(&change) {
                    Some(other) => other.worse(failure.clone()),
                    None => failure.clone(),
                };
                failures.insert(change, failure);
            }
        }
        Ok(failures)
    }

    /// Looks for the entries of the groups that are only known by id, and for those where the placeholder stands:
    /// two searches for all of a kind.
    async fn find_groups(&mut self, work: &Work<'_>) -> Result<(), SinkDown> {
        for mapping in work.mapping.group_mappings() {
            let are_roles = mapping.are_roles;
            let mut missing: Vec<(&GroupKey, &mut GroupChange)> = self
                .0
                .iter_mut()
                .filter(|(key, group)| key.is_role() == are_roles && group.dn.is_none())
                .collect();
            let sought: Vec<Sought> = missing
                .iter()
                .map(|(key, _)| Sought { mark: work.mapping.marks.group(key), remote: None, last: None })
                .collect();
            let fetch = [work.mapping.marks.attribute.clone()];
            let found = locate(work, &mapping.entry.base, &fetch, &sought).await?;
            for (((key, group), sought), found) in missing.iter_mut().zip(&sought).zip(found) {
                // Ambiguity is reported by the group's own change; a membership may wait for that.
                let found = found.entry(&sought.mark).ok().flatten().map(|entry| entry.dn);
                group.dn = found.or_else(|| work.directory.presume(work.mapping, key, &group.name));
            }
            if let Some(placeholder) = &mapping.placeholder {
                self.find_placeholders(work, mapping, placeholder).await?;
            }
        }
        Ok(())
    }

    async fn find_placeholders(
        &mut self,
        work: &Work<'_>,
        mapping: &GroupMapping,
        placeholder: &Dn,
    ) -> Result<(), SinkDown> {
        let marker = &work.mapping.marks.attribute;
        let growing =
            self.0.iter().filter(|(key, group)| key.is_role() == mapping.are_roles && !group.add.is_empty());
        let marks: Vec<String> = growing.map(|(key, _)| work.mapping.marks.group(key)).collect();
        for some in marks.chunks(query::MAX_VALUES) {
            let marked = some.iter().map(|mark| (marker.clone(), mark.as_str().into())).collect();
            let query = Query {
                base: mapping.entry.base.clone(),
                conditions: vec![
                    Condition::Any(marked),
                    Condition::Any(vec![(mapping.member.clone(), placeholder.as_str().into())]),
                ],
                attributes: vec![marker.clone()],
            };
            for entry in work.directory.search(&query).await? {
                let group = work.mapping.marks.group_of(&entry).and_then(|key| self.0.get_mut(&key));
                if let Some(group) = group {
                    group.has_placeholder = true;
                }
            }
        }
        Ok(())
    }
}

async fn carry_out(work: &Work<'_>, key: &GroupKey, group: &GroupChange) -> Result<(), Failure> {
    let Some(mapping) = work.mapping.group_mapping(key) else { return Ok(()) };
    let added: Vec<Value> = group.add.keys().map(Member::value).collect();
    let dn = match &group.dn {
        Some(dn) => dn.clone(),
        None => match key {
            // Its own change comes, and then it is there; until then the user waits with all else done. To make it
            // here would bring back a group that went a moment ago.
            GroupKey::Group(id) => {
                return Err(Failure::Retry(format!(
                    "group {id} ({:?}) is not in the directory yet",
                    group.name
                )));
            }
            GroupKey::Role(_) => match make_role_group(work, mapping, key, &added).await? {
                Made::WithAll => return Ok(()),
                Made::At(dn) => dn,
            },
        },
    };
    let mut removed: Vec<Value> = group.remove.keys().map(Member::value).collect();
    if group.has_placeholder {
        removed.extend(mapping.placeholder.iter().map(|dn| Value::from(dn.as_str())));
    }
    let group = Membership { dn: &dn, mapping };
    let most = work.mapping.members_per_modify;
    if added.len() + removed.len() <= most {
        return group.modify(work, added, removed).await;
    }
    // Who comes, comes first: the group is not empty in between.
    for some in added.chunks(most) {
        group.modify(work, some.to_vec(), Vec::new()).await?;
    }
    for some in removed.chunks(most) {
        group.modify(work, Vec::new(), some.to_vec()).await?;
    }
    Ok(())
}

/// What came of making the group of a role.
enum Made {
    /// It has all the members it should get.
    WithAll,
    /// It is there.
    At(Dn),
}

/// The group of a role comes with the first user who has the role: no change of its own brings it.
async fn make_role_group(
    work: &Work<'_>,
    mapping: &GroupMapping,
    key: &GroupKey,
    members: &[Value],
) -> Result<Made, Failure> {
    let rendered = work.mapping.group_from_name(key, "").map_err(Failure::Reject)?;
    let fetch = work.mapping.group_fetch(mapping);
    let mark = work.mapping.marks.group(key);
    let most = work.mapping.members_per_modify;
    let first: Vec<Value> = members.iter().take(most).cloned().collect();
    let wish = Upsert {
        template: &mapping.entry,
        fetch: &fetch,
        mark: &mark,
        rendered: &rendered,
        before: None,
        first: mapping.first_members(first),
        active: None,
    };
    let made = upsert(work, &wish, None).await?;
    Ok(match made.action {
        Action::Created if members.len() <= most => Made::WithAll,
        _ => Made::At(made.dn),
    })
}

/// A group's entry, as far as its members go.
struct Membership<'a> {
    dn: &'a Dn,
    mapping: &'a GroupMapping,
}

impl Membership<'_> {
    /// Values in and out in one request. Where the server takes a value that is there, or gone, already for a failure
    /// of the whole, or the whole is too much for it, each half goes on its own, down to single values.
    async fn modify(&self, work: &Work<'_>, added: Vec<Value>, removed: Vec<Value>) -> Result<(), Failure> {
        let mut waiting = vec![(added, removed)];
        while let Some((added, removed)) = waiting.pop() {
            if let Verdict::OneByOne | Verdict::Smaller = self.send(work, &added, &removed).await? {
                // Taken from the end: who comes, comes before others leave.
                waiting.extend(halves(added, removed));
            }
        }
        Ok(())
    }

    /// One request. When it would leave the group empty, it is sent again with the placeholder.
    async fn send(&self, work: &Work<'_>, added: &[Value], removed: &[Value]) -> Result<Verdict, Failure> {
        let member = &self.mapping.member;
        let mut modifications = Vec::new();
        if !added.is_empty() {
            modifications.push(Modification::add(member, added.to_vec()));
        }
        if !removed.is_empty() {
            modifications.push(Modification::delete(member, removed.to_vec()));
        }
        let mut request =
            Request::Modify { dn: self.dn.clone(), modifications, tolerance: Tolerance::Permissive };
        let mut reply = work.write(&request).await?;
        let mut answer = verdict(reply.code, Operation::Members, &reply.text);
        let placeholder = self.placeholder();
        if answer == Verdict::Empty && !removed.is_empty() && !placeholder.is_empty() {
            if let Request::Modify { modifications, .. } = &mut request {
                modifications.insert(0, Modification::add(member, placeholder));
            }
            reply = work.write(&request).await?;
            answer = verdict(reply.code, Operation::Members, &reply.text);
        }
        match answer {
            Verdict::OneByOne | Verdict::Smaller if added.len() + removed.len() > 1 => Ok(answer),
            // The one value is there, or gone, already.
            Verdict::OneByOne => Ok(Verdict::Done),
            _ => Failure::of(&request, Operation::Members, &reply).map_or(Ok(Verdict::Done), Err),
        }
    }

    fn placeholder(&self) -> Vec<Value> {
        self.mapping.placeholder.iter().map(|dn| dn.as_str().into()).collect()
    }
}

/// Two smaller parts of one modification, the one to send first at the end.
fn halves(mut added: Vec<Value>, mut removed: Vec<Value>) -> [(Vec<Value>, Vec<Value>); 2] {
    if !added.is_empty() && !removed.is_empty() {
        return [(Vec::new(), removed), (added, Vec::new())];
    }
    let added_rest = added.split_off(added.len().div_ceil(2));
    let removed_rest = removed.split_off(removed.len().div_ceil(2));
    [(added_rest, removed_rest), (added, removed)]
}
