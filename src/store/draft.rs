//! A batch being put together: what is loaded, merged with events, evaluated, and made into writes. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use rolecall_sink_api::{Document, Entity, GroupId, RoleName, UserId};

use super::desired::Withholding;
use super::transaction::joined;
use super::{
    Activity, Batch, EntityState, EntityWrite, Happening, Loaded, MembershipChange, Message, Priority, Row,
    Status, desired,
};
use crate::directory::{Event, EventId, GroupState, Stamp, UserState};
use crate::rules::{Decision, Rules, Scopes};
use crate::source::Reading;

/// A batch being put together.
pub(super) struct Draft<'r> {
    pub(super) loaded: Loaded,
    rules: &'r Rules,
    scopes: &'r Scopes,
    now: Timestamp,
    /// The entities the batch touches, each with the latest event, by its own time, that does; `None` when the
    /// rules do.
    touched: HashMap<Entity, Option<Stamp>>,
    /// The groups of which something was stated of each touched user before the batch, and whether they were in them.
    edges_before: HashMap<UserId, BTreeMap<GroupId, bool>>,
    /// When each touched group was last deleted before the batch, if it ever was.
    gone_before: HashMap<GroupId, Option<Stamp>>,
}

impl<'r> Draft<'r> {
    pub(super) fn new(loaded: Loaded, rules: &'r Rules, scopes: &'r Scopes, now: Timestamp) -> Self {
        Self {
            loaded,
            rules,
            scopes,
            now,
            touched: HashMap::new(),
            edges_before: HashMap::new(),
            gone_before: HashMap::new(),
        }
    }

    pub(super) fn merge(&mut self, event: Event) {
        let entities = event.users().cloned().map(Entity::User);
        let entities: HashSet<Entity> = entities.chain(event.groups().cloned().map(Entity::Group)).collect();
        for entity in entities {
            self.touch(entity, Some(event.stamp.clone()));
        }
        self.loaded.directory.merge(event);
    }

    /// The first entity that the message speaks of and that cannot be read from the store. Nothing may be written
    /// over it.
    pub(super) fn damaged_by(&self, message: &Message) -> Option<&Entity> {
        let Reading::Event { event, .. } = &message.reading else { return None };
        self.loaded.damaged.iter().find(|entity| match entity {
            Entity::User(id) => event.users().any(|user| user == id),
            Entity::Group(id) => event.groups().chain(joined(event)).any(|group| group == id),
        })
    }

    pub(super) fn touch(&mut self, entity: Entity, stamp: Option<Stamp>) {
        let directory = &self.loaded.directory;
        match &entity {
            Entity::User(id) if !self.edges_before.contains_key(id) => {
                let edges = directory.users.get(id).into_iter().flat_map(UserState::said_of_groups);
                let edges = edges.map(|(group, member)| (group.clone(), member)).collect();
                self.edges_before.insert(id.clone(), edges);
            }
            Entity::Group(id) if !self.gone_before.contains_key(id) => {
                let gone = directory.groups.get(id).and_then(GroupState::gone).cloned();
                self.gone_before.insert(id.clone(), gone);
            }
            _ => {}
        }
        let latest = self.touched.entry(entity).or_default();
        *latest = latest.take().max(stamp);
    }

    /// Evaluates everybody touched. Groups first: what is desired of a user names their groups.
    pub(super) fn finish(mut self) -> Batch {
        let touched = std::mem::take(&mut self.touched);
        let (groups, users): (Vec<_>, Vec<_>) =
            touched.into_iter().partition(|(entity, _)| matches!(entity, Entity::Group(_)));
        let mut batch = Batch::new(self.now);
        for (entity, stamp) in groups.into_iter().chain(users) {
            let event = stamp.map(|stamp| stamp.event);
            match &entity {
                Entity::Group(id) => {
                    let state = self.loaded.directory.groups.remove(id).unwrap_or_default();
                    let write = self.group(id, &state, event);
                    // A deletion that comes late, after the group came back, changes no document of the group
                    // and still ends memberships.
                    let deleted = self.gone_before.remove(id).flatten().as_ref() != state.gone();
                    if write.enqueue.is_some() || deleted {
                        batch.stale_members_of.push(id.clone());
                    }
                    self.loaded.directory.groups.insert(id.clone(), state);
                    batch.entities.extend(worth_writing(write));
                }
                Entity::User(id) => {
                    let state = self.loaded.directory.users.remove(id).unwrap_or_default();
                    batch.entities.extend(worth_writing(self.user(id, state, event)));
                }
            }
        }
        batch.connections = std::mem::take(&mut self.loaded.directory.connections).into_iter().collect();
        batch
    }

    fn group(&mut self, id: &GroupId, state: &GroupState, event: Option<EventId>) -> EntityWrite {
        let document = desired::group(id, state).map(Document::Group);
        let withheld = desired::withheld_group(self.scopes, id, state);
        let wanted = Outlook { withheld, ..Outlook::default() };
        self.write(
            Entity::Group(id.clone()),
            EntityState::Group(state.clone()),
            document.as_ref(),
            wanted,
            Vec::new(),
            event,
        )
    }

    fn user(&mut self, id: &UserId, mut state: UserState, event: Option<EventId>) -> EntityWrite {
        let groups = &self.loaded.directory.groups;
        state.drop_void_edges(|group| groups.get(group));
        let outlook = self.outlook(id, &state);
        let document = desired::user(id, &state, groups, outlook.roles.clone())
            .map(|user| Document::User(Box::new(user)));
        let before = self.edges_before.remove(id).unwrap_or_default();
        let after: BTreeMap<&GroupId, bool> = state.said_of_groups().collect();
        let outlook = Outlook {
            left_a_group: before.iter().any(|(group, member)| *member && after.get(&group) != Some(&true)),
            ..outlook
        };
        let added = after.keys().copied().filter(|group| !before.contains_key(*group)).cloned();
        let removed = before.keys().filter(|group| !after.contains_key(group)).cloned();
        let memberships =
            added.map(MembershipChange::Add).chain(removed.map(MembershipChange::Remove)).collect();
        self.write(
            Entity::User(id.clone()),
            EntityState::User(state),
            document.as_ref(),
            outlook,
            memberships,
            event,
        )
    }

    /// What rules and scopes say of a user.
    fn outlook(&self, id: &UserId, state: &UserState) -> Outlook {
        let groups = &self.loaded.directory.groups;
        let Decision { roles, separated, next } = desired::decide(state, groups, self.rules, self.now);
        let before = self.loaded.rows.get(&Entity::User(id.clone()));
        if separated && before.is_none_or(|before| before.roles != roles) {
            tracing::warn!(user = %id, "granted roles that no one may hold together: `rolecall explain` says which");
        }
        let (withheld, then) = desired::withheld_user(self.scopes, state, groups, self.now);
        let next = next.into_iter().chain(then).min();
        Outlook { roles, withheld, left_a_group: false, evaluate_at: next }
    }

    fn write(
        &mut self,
        entity: Entity,
        state: EntityState,
        document: Option<&Document>,
        Outlook { roles, withheld, left_a_group, evaluate_at }: Outlook,
        memberships: Vec<MembershipChange>,
        event: Option<EventId>,
    ) -> EntityWrite {
        let before = self.loaded.rows.remove(&entity).unwrap_or_default();
        let digest = document.map(|document| desired::digest_withholding(document, &withheld));
        let status = desired::status(document);
        let changed = digest != before.digest;
        let granted = roles.difference(&before.roles).cloned().collect();
        let revoked: Vec<RoleName> = before.roles.difference(&roles).cloned().collect();
        let loses = left_a_group || !revoked.is_empty();
        EntityWrite {
            enqueue: changed.then(|| urgency(&entity, before.status, status, loses)),
            withheld_from: withheld.from().to_vec(),
            activity: changed.then(|| Activity {
                what: Happening::between(before.status, status),
                granted,
                revoked,
            }),
            row: Row {
                key: before.key,
                generation: if changed {
                    self.generation_after(before.generation)
                } else {
                    before.generation
                },
                digest,
                status,
                roles,
                evaluate_at,
            },
            was: before.status,
            rescheduled: before.evaluate_at != evaluate_at,
            entity,
            state,
            memberships,
            event,
        }
    }
}

impl Draft<'_> {
    /// The generation after this one. It follows the clock, so that it also grows when the store was lost, or a
    /// backup was put in its place, while a sink still knows what it once confirmed; a clock that went back does
    /// not take it along.
    fn generation_after(&self, before: u64) -> u64 {
        u64::try_from(self.now.as_microsecond()).unwrap_or(0).max(before + 1)
    }
}

/// What rules and scopes say of an entity.
#[derive(Default)]
struct Outlook {
    roles: BTreeSet<RoleName>,
    /// What some sinks are not given.
    withheld: Withholding,
    /// Whether a user is no longer in a group in which they were.
    left_a_group: bool,
    /// When to ask again though nothing happens.
    evaluate_at: Option<Timestamp>,
}

/// The write, unless it would change nothing: other rules say the same of most.
fn worth_writing(write: EntityWrite) -> Option<EntityWrite> {
    let nothing = write.event.is_none()
        && write.enqueue.is_none()
        && write.memberships.is_empty()
        && !write.rescheduled
        && write.row.key.is_some();
    (!nothing).then_some(write)
}

/// How urgent a change of an entity's status, or within it, is. `loses`: it takes a role or a group away from a user.
fn urgency(entity: &Entity, before: Status, after: Status, loses: bool) -> Priority {
    match (entity, before, after) {
        (Entity::Group(_), _, Status::Absent) => Priority::GroupRemoval,
        (Entity::Group(_), _, _) => Priority::Group,
        (Entity::User(_), _, Status::Active) if loses => Priority::Revocation,
        (Entity::User(_), _, Status::Active) => Priority::User,
        (Entity::User(_), Status::Active, _) => Priority::Leaver,
        (Entity::User(_), _, _) => Priority::Inactive,
    }
}
