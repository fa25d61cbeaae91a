//! What was sent and not confirmed.
//!
//! `applied` says what was confirmed last. When an attempt fails in its middle and something newer is desired
//! by the next one, what the failed attempt had already given must be taken away again, and the other way
//! round, and the documents do not tell. So it is noted here, before it is sent, until the entity is confirmed. It is kept in memory: a
//! crash between the answer and the confirmation, followed by something newer before the same change comes
//! again, can leave a membership or role behind. Where that must not be, memberships and roles belong into the
//! body of `user_update`, which replaces them as a whole.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rolecall_sink_api::{Entity, GroupId, RoleName};

use crate::operation::Kind;
use crate::plan::{About, Known, Step};

/// More entities than this are not kept: so many only fail at once when everything does.
const MOST: usize = 100_000;

#[derive(Default)]
pub(crate) struct Unconfirmed(Mutex<HashMap<Entity, Given>>);

#[derive(Default)]
struct Given {
    groups: BTreeMap<GroupId, String>,
    roles: BTreeSet<RoleName>,
    deactivated: bool,
}

impl Unconfirmed {
    /// Adds to `known` what may have been given since.
    pub(crate) fn add_to(&self, known: &mut Known, entity: &Entity) {
        if let Some(given) = self.lock().get(entity) {
            known.doubtful = true;
            known.groups.extend(given.groups.clone());
            known.roles.extend(given.roles.clone());
            known.inactive |= given.deactivated;
        }
    }

    /// Notes that `step` is about to be sent.
    pub(crate) fn note(&self, entity: &Entity, step: &Step) {
        let mut all = self.lock();
        if all.len() >= MOST && !all.contains_key(entity) {
            return;
        }
        let given = all.entry(entity.clone()).or_default();
        match &step.about {
            About::Member(_, id, name) if !step.kind.takes() => {
                given.groups.insert(id.clone(), name.clone());
            }
            About::Role(_, role) if !step.kind.takes() => {
                given.roles.insert(role.clone());
            }
            About::User(_) if step.kind == Kind::UserDeactivate => given.deactivated = true,
            _ => {}
        }
    }

    /// `entity` is as desired, and the daemon is about to hear of it.
    pub(crate) fn confirmed(&self, entity: &Entity) {
        self.lock().remove(entity);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Entity, Given>> {
        // Nothing here panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
