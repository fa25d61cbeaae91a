//! A batch as the arrays that the statements take.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_sink_api::{Address, Change, Document, Entity, TEXT_ATTRIBUTES, User};
use serde_json::Value;
use tokio_postgres::types::Json;

use crate::generation;

/// The changes, sorted by what is to be done; ids in order, so that two writers lock rows alike.
#[derive(Default)]
pub(crate) struct Batch<'a> {
    pub(crate) users: Users<'a>,
    pub(crate) removed_users: Ids<'a>,
    pub(crate) groups: Groups<'a>,
    pub(crate) removed_groups: Ids<'a>,
    /// Users put or removed: those whose memberships and roles are settled.
    pub(crate) settled: Ids<'a>,
    pub(crate) memberships: Edges<'a>,
    pub(crate) roles: Edges<'a>,
    /// Groups that members name, with their names.
    pub(crate) named_groups: Pairs<'a>,
    pub(crate) named_roles: Vec<&'a str>,
}

/// Ids with the generation of each.
#[derive(Default)]
pub(crate) struct Ids<'a> {
    pub(crate) ids: Vec<&'a str>,
    pub(crate) generations: Vec<i64>,
}

/// Two texts a row.
#[derive(Default)]
pub(crate) struct Pairs<'a> {
    pub(crate) first: Vec<&'a str>,
    pub(crate) second: Vec<&'a str>,
}

/// What hangs on a user, with the generation of the user's change.
#[derive(Default)]
pub(crate) struct Edges<'a> {
    pub(crate) users: Vec<&'a str>,
    pub(crate) generations: Vec<i64>,
    pub(crate) targets: Vec<&'a str>,
}

#[derive(Default)]
pub(crate) struct Users<'a> {
    pub(crate) ids: Ids<'a>,
    pub(crate) active: Vec<bool>,
    pub(crate) text: [Vec<Option<&'a str>>; TEXT_ATTRIBUTES.len()],
    pub(crate) address: Vec<Option<Json<&'a Address>>>,
    pub(crate) custom: Vec<Json<&'a BTreeMap<String, Value>>>,
}

#[derive(Default)]
pub(crate) struct Groups<'a> {
    pub(crate) ids: Ids<'a>,
    pub(crate) organization: Vec<Option<&'a str>>,
    pub(crate) name: Vec<&'a str>,
    pub(crate) external_id: Vec<Option<&'a str>>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(changes: &[&'a Change]) -> Self {
        let mut ordered = changes.to_vec();
        ordered.sort_unstable_by_key(|change| change.entity.id());
        let mut batch = Batch::default();
        let mut named_groups: BTreeMap<&str, &str> = BTreeMap::new();
        let mut named_roles: BTreeSet<&str> = BTreeSet::new();
        for change in ordered {
            let (id, generation) = (change.entity.id(), generation(change));
            match (&change.entity, &change.desired) {
                (_, Some(Document::User(user))) => {
                    batch.users.push(user, generation);
                    batch.settled.push(id, generation);
                    for (group, name) in &user.groups {
                        batch.memberships.push(id, generation, group.as_str());
                        named_groups.insert(group.as_str(), name);
                    }
                    for role in held_roles(user) {
                        batch.roles.push(id, generation, role);
                        named_roles.insert(role);
                    }
                }
                (_, Some(Document::Group(group))) => {
                    batch.groups.ids.push(id, generation);
                    batch.groups.organization.push(group.organization.as_ref().map(|id| id.as_str()));
                    batch.groups.name.push(&group.name);
                    batch.groups.external_id.push(group.external_id.as_deref());
                }
                (Entity::User(_), None) => {
                    batch.removed_users.push(id, generation);
                    batch.settled.push(id, generation);
                }
                (Entity::Group(_), None) => batch.removed_groups.push(id, generation),
            }
        }
        (batch.named_groups.first, batch.named_groups.second) = named_groups.into_iter().unzip();
        batch.named_roles = named_roles.into_iter().collect();
        batch
    }

    /// Every user the batch is about.
    pub(crate) fn user_ids(&self) -> &[&'a str] {
        &self.settled.ids
    }

    /// Every group the batch is about.
    pub(crate) fn group_ids(&self) -> Vec<&'a str> {
        let mut ids = [self.groups.ids.ids.as_slice(), self.removed_groups.ids.as_slice()].concat();
        ids.sort_unstable();
        ids
    }
}

/// The roles the user may hold now: who has no access has none, whatever the document says.
fn held_roles(user: &User) -> impl Iterator<Item = &str> {
    user.roles.iter().filter(|_| user.active).map(|role| role.as_str())
}

impl<'a> Ids<'a> {
    fn push(&mut self, id: &'a str, generation: i64) {
        self.ids.push(id);
        self.generations.push(generation);
    }
}

impl<'a> Edges<'a> {
    fn push(&mut self, user: &'a str, generation: i64, target: &'a str) {
        self.users.push(user);
        self.generations.push(generation);
        self.targets.push(target);
    }
}

impl<'a> Users<'a> {
    fn push(&mut self, user: &'a User, generation: i64) {
        self.ids.push(user.id.as_str(), generation);
        self.active.push(user.active);
        for (column, (_, value)) in self.text.iter_mut().zip(TEXT_ATTRIBUTES) {
            column.push(value(user));
        }
        self.address.push(user.profile.address.as_ref().map(Json));
        self.custom.push(Json(&user.profile.custom));
    }
}
