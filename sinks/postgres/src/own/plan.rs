//! Which statements bring the operator's tables up to date: the one place where that is decided.
//!
//! **A user who should have access** is written by `user_upsert`.
//!
//! **A user who should not have access** is written by `user_upsert` too, if that says what `:active` is; then by
//! `user_deactivate`; and where there is neither of both, by `user_delete`.
//!
//! **A user who goes** is written by `user_delete`, or else by `user_deactivate`.
//!
//! **Memberships and roles** follow, a statement each. What the tables hold is known from the document that was last
//! confirmed, and from the attempts since that were not: of these, and no others, something is taken away. A user who
//! loses access loses their roles, one who goes also the memberships.
//!
//! **A group** is written by `group_upsert`, and by `group_delete` when it goes.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_sink_api::{Change, Document, Entity, GroupId, RoleName, User};

use super::parameter::About;
use super::{Kind, Prepared};

/// One statement to run.
pub(super) struct Step<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) about: About<'a>,
}

/// The statements there are.
pub(super) struct Statements<'a> {
    pub(super) own: &'a [Prepared],
    pub(super) on_deactivate: &'a [Prepared],
}

impl<'a> Statements<'a> {
    fn get(&self, kind: Kind) -> Option<&'a Prepared> {
        self.own.iter().find(|prepared| prepared.sql.kind == kind)
    }

    /// What makes the row of a user or group, on which everything else hangs.
    pub(super) fn first(&self, change: &'a Change) -> Option<Step<'a>> {
        let about = About::of(change);
        let prepared = match change.desired.as_ref()? {
            Document::User(user) => {
                self.get(Kind::UserUpsert).filter(|upsert| user.active || upsert.sql.names_active())
            }
            Document::Group(_) => self.get(Kind::GroupUpsert),
        };
        Some(Step { prepared: prepared?, about })
    }

    /// What follows, in order.
    pub(super) fn then(&self, change: &'a Change) -> Vec<Step<'a>> {
        let about = About::of(change);
        let (user, leaves) = match (&change.entity, &change.desired) {
            (Entity::Group(_), Some(_)) => return Vec::new(),
            (Entity::Group(_), None) => {
                return self
                    .get(Kind::GroupDelete)
                    .map(|prepared| Step { prepared, about })
                    .into_iter()
                    .collect();
            }
            (Entity::User(_), desired) => {
                let user = desired.as_ref().and_then(Document::as_user);
                let leaves = match user {
                    Some(user) if user.active => None,
                    Some(_) => Some(self.deactivation()),
                    None => Some(self.get(Kind::UserDelete).or(self.get(Kind::UserDeactivate))),
                };
                (user, leaves)
            }
        };
        let mut steps = Vec::new();
        if leaves.is_some() {
            // While everything is still there by which a session can be found.
            steps.extend(self.on_deactivate.iter().map(|prepared| Step { prepared, about }));
        }
        let (groups, roles) = wanted(user);
        let (held_groups, held_roles) = held(change);
        let taken = held_groups.iter().filter(|(id, _)| !groups.contains_key(*id));
        steps.extend(self.members(Kind::MemberRemove, about, taken.map(|(id, name)| (*id, *name))));
        steps.extend(self.roles(Kind::RoleRevoke, about, held_roles.difference(&roles).copied()));
        if let Some(prepared) = leaves.flatten() {
            steps.push(Step { prepared, about });
        }
        // Where the row was not written there may be none to hang anything on; it is done when it comes back.
        if user.is_some_and(|user| user.active) || self.first(change).is_some() {
            let sure = surely_held(change);
            let is_held = |id: &GroupId| sure.is_some_and(|user| user.groups.contains_key(id));
            let given = groups.iter().filter(|(id, _)| !is_held(id));
            steps.extend(self.members(Kind::MemberAdd, about, given.map(|(id, name)| (*id, *name))));
            let given = roles.iter().filter(|role| !sure.is_some_and(|user| user.roles.contains(**role)));
            steps.extend(self.roles(Kind::RoleGrant, about, given.copied()));
        }
        steps
    }

    /// What takes access away, unless `user_upsert` does.
    fn deactivation(&self) -> Option<&'a Prepared> {
        let says_so = || self.get(Kind::UserUpsert).is_some_and(|upsert| upsert.sql.names_active());
        self.get(Kind::UserDeactivate).or_else(|| if says_so() { None } else { self.get(Kind::UserDelete) })
    }

    fn members(
        &self,
        kind: Kind,
        about: About<'a>,
        groups: impl Iterator<Item = (&'a GroupId, &'a str)>,
    ) -> Vec<Step<'a>> {
        let Some(prepared) = self.get(kind) else { return Vec::new() };
        groups.map(|group| Step { prepared, about: About { member_of: Some(group), ..about } }).collect()
    }

    fn roles(
        &self,
        kind: Kind,
        about: About<'a>,
        roles: impl Iterator<Item = &'a RoleName>,
    ) -> Vec<Step<'a>> {
        let Some(prepared) = self.get(kind) else { return Vec::new() };
        roles.map(|role| Step { prepared, about: About { role: Some(role), ..about } }).collect()
    }
}

type Edges<'a> = (BTreeMap<&'a GroupId, &'a str>, BTreeSet<&'a RoleName>);

/// Who has no access holds no role, whatever the document says.
fn wanted(user: Option<&User>) -> Edges<'_> {
    let groups = user.into_iter().flat_map(|user| &user.groups).map(|(id, name)| (id, name.as_str()));
    let roles = user.into_iter().filter(|user| user.active).flat_map(|user| &user.roles);
    (groups.collect(), roles.collect())
}

/// What the tables may hold.
fn held(change: &Change) -> Edges<'_> {
    let given = || change.applied_user().into_iter().chain(change.attempted_user());
    let groups = given().flat_map(|user| &user.groups).map(|(id, name)| (id, name.as_str()));
    (groups.collect(), given().flat_map(|user| &user.roles).collect())
}

/// What the tables hold for certain: nothing, if something was attempted since it was confirmed, if it is asked for
/// again although all was confirmed, or if it was confirmed of somebody without access, who may have lost it all.
fn surely_held(change: &Change) -> Option<&User> {
    let doubtful = change.attempted.is_some() || change.applied == change.desired;
    change.applied_user().filter(|user| user.active && !doubtful)
}
