//! Which requests bring the application up to date: the one place where that is decided.
//!
//! **A user who should have access**
//! - is made by `user_create`, or `user_update` where there is no create (an upsert);
//! - when the application has them: `user_reactivate` if they had no access, then `user_update` if it would
//!   say something else than the last time, or if what the application holds is in doubt.
//!
//! **A user who should not have access** (inactive, or gone where there is no `user_delete`) is told to the
//! application by the first there is of `user_deactivate`, `user_update` (with `user.active` false) and
//! `user_delete`; at once, before anything else. One that it never had is not made for that.
//!
//! **A user who goes** is told by `user_delete`.
//!
//! **Their sessions** end by `session_revoke`: once no new one can begin, which is after their access was taken away,
//! or while the application still has them, which is before they are removed.
//!
//! **Memberships and roles** follow, one request each: first what is taken away, then what is given. What was
//! given is known from the document that was last confirmed, and from the attempts since that were not.
//! A user without access loses their roles one by one; a deleted one takes everything along.
//!
//! **A group** is made by `group_create` or `group_update`, updated by `group_update`, removed by
//! `group_delete`.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_sink_api::{Change, Document, Entity, Group, GroupId, RemoteId, RoleName, User};

use crate::operation::{Kind, Operations};
use crate::values;

/// What the application may hold of the entity, as far as is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Known {
    /// It is there: it was confirmed, or found.
    pub(crate) exists: bool,
    /// The application's own id.
    pub(crate) remote: Option<RemoteId>,
    /// The user has no access there, or may have none.
    pub(crate) inactive: bool,
    /// It may differ from what was confirmed: something was attempted and not confirmed.
    pub(crate) doubtful: bool,
    /// Groups the user may be in, with their names.
    pub(crate) groups: BTreeMap<GroupId, String>,
    /// Roles the user may have.
    pub(crate) roles: BTreeSet<RoleName>,
}

impl Known {
    /// What the change says of it.
    pub(crate) fn from_change(operations: &Operations, change: &Change) -> Self {
        let applied = change.applied_user();
        let given = || applied.into_iter().chain(change.attempted_user());
        // A user who was inactive when first heard of was confirmed without being made, and so without an id.
        let has_id = change.remote.is_some() || !operations.need_remote(change.entity.kind());
        Self {
            exists: (change.applied.is_some() && has_id)
                || change.attempted.as_ref().is_some_and(|attempted| attempted.remote.is_some()),
            inactive: change.attempted.as_ref().is_some_and(|attempted| attempted.withdrawn)
                || match applied {
                    Some(applied) => !applied.active,
                    // Removed before, by deactivation.
                    None => change.remote.is_some() && !operations.has(Kind::UserDelete),
                },
            remote: change.remote.clone(),
            // A change that is asked for although all was confirmed is there to put right what was changed
            // behind our back.
            doubtful: change.attempted.is_some() || change.applied == change.desired,
            groups: given().flat_map(|user| user.groups.clone()).collect(),
            roles: given().flat_map(|user| user.roles.clone()).collect(),
        }
    }

    /// The application turned out to have it after all.
    pub(crate) fn recall(&mut self, operations: &Operations, change: &Change) {
        let said = Self::from_change(operations, change);
        self.inactive |= said.inactive;
        self.groups.extend(said.groups);
        self.roles.extend(said.roles);
    }

    /// The application turned out not to have it.
    pub(crate) fn missing(&mut self) {
        *self = Known::default();
    }
}

/// One request to make.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    /// What the templates see.
    pub(crate) about: About,
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum About {
    User(Box<User>),
    Group(Group),
    Member(Box<User>, GroupId, String),
    Role(Box<User>, RoleName),
}

/// The requests for `change`, in order.
pub(crate) fn plan(operations: &Operations, change: &Change, known: &Known) -> Vec<Step> {
    let steps = match (&change.entity, &change.desired) {
        (Entity::User(_), Some(Document::User(user))) if user.active => {
            user_with_access(operations, change, user, known)
        }
        (Entity::User(_), Some(Document::User(user))) => user_without_access(operations, user, known),
        (Entity::User(id), _) => user_gone(operations, change, id, known),
        (Entity::Group(_), Some(Document::Group(group))) => group_there(operations, change, group, known),
        (Entity::Group(id), _) => {
            let last = change.attempted_group().or(change.applied_group());
            let group = last.cloned().unwrap_or_else(|| values::unknown_group(id));
            vec![Step { kind: Kind::GroupDelete, about: About::Group(group) }]
        }
    };
    steps.into_iter().filter(|step| operations.has(step.kind)).collect()
}

impl Kind {
    /// Whether it takes something away, so that the application not having it is as good as done.
    pub(crate) fn takes(self) -> bool {
        matches!(
            self,
            Kind::UserDeactivate
                | Kind::UserDelete
                | Kind::SessionRevoke
                | Kind::GroupDelete
                | Kind::MemberRemove
                | Kind::RoleRevoke
        )
    }
}

fn user_with_access(operations: &Operations, change: &Change, user: &User, known: &Known) -> Vec<Step> {
    let step = |kind| Step { kind, about: About::User(Box::new(user.clone())) };
    let mut steps = Vec::new();
    let to_reactivate = known.inactive && known.remote.is_some() && operations.has(Kind::UserReactivate);
    if !known.exists && !to_reactivate {
        steps.push(step(if operations.has(Kind::UserCreate) { Kind::UserCreate } else { Kind::UserUpdate }));
    } else {
        if known.inactive && operations.has(Kind::UserReactivate) {
            steps.push(step(Kind::UserReactivate));
        }
        let differs = || says_something_else(operations, Kind::UserUpdate, change, known);
        if known.inactive || known.doubtful || change.applied.is_none() || differs() {
            steps.push(step(Kind::UserUpdate));
        }
    }
    steps.extend(taken(user, known, &user.roles));
    steps.extend(given(user, change, known));
    steps
}

fn user_without_access(operations: &Operations, user: &User, known: &Known) -> Vec<Step> {
    let about = || About::User(Box::new(user.clone()));
    let first = [Kind::UserDeactivate, Kind::UserUpdate, Kind::UserDelete];
    let kind = first.into_iter().find(|kind| operations.has(*kind));
    let step = |kind| Step { kind, about: about() };
    match kind {
        Some(Kind::UserDelete) => vec![step(Kind::SessionRevoke), step(Kind::UserDelete)],
        kind => {
            let first = kind.into_iter().chain([Kind::SessionRevoke]).map(step);
            first.chain(taken(user, known, &BTreeSet::new())).collect()
        }
    }
}

fn user_gone(
    operations: &Operations,
    change: &Change,
    id: &rolecall_sink_api::UserId,
    known: &Known,
) -> Vec<Step> {
    let last = change.attempted_user().or(change.applied_user());
    let mut user = last.cloned().unwrap_or_else(|| values::unknown_user(id));
    user.active = false;
    user.groups.clear();
    user.roles.clear();
    if operations.has(Kind::UserDelete) {
        let step = |kind| Step { kind, about: About::User(Box::new(user.clone())) };
        return vec![step(Kind::SessionRevoke), step(Kind::UserDelete)];
    }
    // An update would make the one who should go.
    if !known.exists && change.attempted.is_none() && !operations.has(Kind::UserDeactivate) {
        return Vec::new();
    }
    user_without_access(operations, &user, known)
}

fn group_there(operations: &Operations, change: &Change, group: &Group, known: &Known) -> Vec<Step> {
    let step = |kind| vec![Step { kind, about: About::Group(group.clone()) }];
    if !known.exists && operations.has(Kind::GroupCreate) {
        return step(Kind::GroupCreate);
    }
    let differs = || says_something_else(operations, Kind::GroupUpdate, change, known);
    if !known.exists || known.doubtful || change.applied.is_none() || differs() {
        return step(Kind::GroupUpdate);
    }
    Vec::new()
}

/// What the user may have and should not.
fn taken(user: &User, known: &Known, roles: &BTreeSet<RoleName>) -> Vec<Step> {
    let boxed = || Box::new(user.clone());
    let revoked = known.roles.difference(roles);
    let left = known.groups.iter().filter(|(id, _)| !user.groups.contains_key(*id));
    revoked
        .map(|role| Step { kind: Kind::RoleRevoke, about: About::Role(boxed(), role.clone()) })
        .chain(left.map(|(id, name)| Step {
            kind: Kind::MemberRemove,
            about: About::Member(boxed(), id.clone(), name.clone()),
        }))
        .collect()
}

/// What the user should have and may not.
fn given(user: &User, change: &Change, known: &Known) -> Vec<Step> {
    let boxed = || Box::new(user.clone());
    let applied = change.applied_user().filter(|applied| known.exists && !known.doubtful && applied.active);
    let joined = user.groups.iter().filter(|(id, _)| applied.is_none_or(|a| !a.groups.contains_key(*id)));
    let granted = user.roles.iter().filter(|role| applied.is_none_or(|a| !a.roles.contains(*role)));
    joined
        .map(|(id, name)| Step {
            kind: Kind::MemberAdd,
            about: About::Member(boxed(), id.clone(), name.clone()),
        })
        .chain(granted.map(|role| Step { kind: Kind::RoleGrant, about: About::Role(boxed(), role.clone()) }))
        .collect()
}

/// Whether the request for `desired` differs from that for `applied`.
fn says_something_else(operations: &Operations, kind: Kind, change: &Change, known: &Known) -> bool {
    let Some(operation) = operations.get(kind) else { return false };
    let render = |document: &Option<Document>| {
        let about = match document.as_ref()? {
            Document::User(user) => About::User(user.clone()),
            Document::Group(group) => About::Group(group.clone()),
        };
        operation.render(&values::context(&about, known.remote.as_ref(), None)).ok()
    };
    let before = render(&change.applied);
    before.is_none() || before != render(&change.desired)
}

#[cfg(test)]
mod tests {
    use rolecall_sink_api::{Attempted, Profile};
    use serde_json::json;

    use super::*;

    /// Operations of these kinds; an update says the display name and whether the user is active.
    fn operations(kinds: &[&str]) -> Operations {
        let mut config = serde_json::Map::new();
        for kind in kinds {
            let body = match *kind {
                "user_create" | "user_update" => json!(["{{ user.display_name }}", "{{ user.active }}"]),
                "group_create" | "group_update" => json!("{{ group.name }}"),
                _ => json!(null),
            };
            config.insert((*kind).to_owned(), json!({"method": "POST", "path": "/", "body": body}));
        }
        Operations::compile(&serde_json::from_value(config.into()).unwrap()).unwrap()
    }

    const EVERYTHING: &[&str] = &[
        "user_create",
        "user_update",
        "user_deactivate",
        "user_reactivate",
        "user_delete",
        "session_revoke",
        "group_create",
        "group_update",
        "group_delete",
        "member_add",
        "member_remove",
        "role_grant",
        "role_revoke",
    ];

    fn user(name: &str, active: bool, groups: &[&str], roles: &[&str]) -> Option<Document> {
        let profile = Profile { display_name: Some(name.into()), ..Profile::default() };
        Some(Document::User(Box::new(User {
            id: rolecall_sink_api::UserId::new("u"),
            organization: None,
            active,
            profile,
            groups: groups.iter().map(|id| (GroupId::new(*id), (*id).to_owned())).collect(),
            roles: roles.iter().map(|role| RoleName::new(*role)).collect(),
        })))
    }

    fn group(name: &str) -> Option<Document> {
        Some(Document::Group(Group { name: name.into(), ..values::unknown_group(&GroupId::new("g")) }))
    }

    fn change(applied: Option<Document>, desired: Option<Document>) -> Change {
        let user = rolecall_sink_api::Entity::User(rolecall_sink_api::UserId::new("u"));
        let entity = desired.as_ref().or(applied.as_ref()).map_or(user, Document::entity);
        let remote = applied.is_some().then(|| RemoteId::new("7"));
        Change {
            entity,
            desired,
            applied,
            attempted: None,
            remote,
            generation: 1,
            idempotency_key: "k".into(),
            attempt: 1,
        }
    }

    /// The plan in words: `user_update`, `member_add a`, `role_revoke admin`.
    fn planned(kinds: &[&str], change: &Change, known: &Known) -> Vec<String> {
        plan(&operations(kinds), change, known)
            .into_iter()
            .map(|step| match step.about {
                About::User(_) | About::Group(_) => step.kind.to_string(),
                About::Member(_, id, _) => format!("{} {id}", step.kind),
                About::Role(_, role) => format!("{} {role}", step.kind),
            })
            .collect()
    }

    fn steps(kinds: &[&str], applied: Option<Document>, desired: Option<Document>) -> Vec<String> {
        let change = change(applied, desired);
        planned(kinds, &change, &known(kinds, &change))
    }

    fn known(kinds: &[&str], change: &Change) -> Known {
        Known::from_change(&operations(kinds), change)
    }

    #[test]
    fn a_new_user_is_made_and_given_everything() {
        assert_eq!(
            steps(EVERYTHING, None, user("Ada", true, &["a", "b"], &["admin"])),
            ["user_create", "member_add a", "member_add b", "role_grant admin"]
        );
    }

    #[test]
    fn without_a_create_the_update_makes_users() {
        assert_eq!(steps(&["user_update"], None, user("Ada", true, &["a"], &[])), ["user_update"]);
    }

    #[test]
    fn only_what_differs_is_sent_and_what_is_taken_away_comes_first() {
        let before = user("Ada", true, &["a", "b"], &["admin", "reader"]);
        assert_eq!(
            steps(EVERYTHING, before.clone(), user("Ada", true, &["b", "c"], &["reader", "writer"])),
            ["role_revoke admin", "member_remove a", "member_add c", "role_grant writer"]
        );
        assert_eq!(
            steps(EVERYTHING, before, user("Ada L.", true, &["a", "b"], &["admin", "reader"])),
            ["user_update"]
        );
    }

    #[test]
    fn what_is_asked_for_although_it_was_confirmed_is_sent_in_full() {
        let same = user("Ada", true, &["a"], &["reader"]);
        assert_eq!(
            steps(EVERYTHING, same.clone(), same),
            ["user_update", "member_add a", "role_grant reader"]
        );
    }

    #[test]
    fn a_second_attempt_trusts_nothing() {
        let first = change(user("Ada", true, &["a"], &[]), user("Ada", true, &["a", "b"], &[]));
        let change = Change { attempted: Attempted::by(&first), ..first };
        let known = known(EVERYTHING, &change);
        assert_eq!(planned(EVERYTHING, &change, &known), ["user_update", "member_add a", "member_add b"]);
    }

    #[test]
    fn what_may_have_been_given_is_taken_away() {
        let before = user("Ada", true, &[], &[]);
        let attempt = change(before.clone(), user("Ada", true, &["a"], &["admin"]));
        let attempted = Attempted::by(&attempt);
        let newer = Change { attempted, ..change(before, user("Ada", true, &["b"], &["reader"])) };
        assert_eq!(
            planned(EVERYTHING, &newer, &known(EVERYTHING, &newer)),
            ["user_update", "role_revoke admin", "member_remove a", "member_add b", "role_grant reader"]
        );
    }

    #[test]
    fn what_may_have_been_taken_away_is_given_again() {
        let before = user("Ada", true, &["a"], &["admin"]);
        for attempt in [user("Ada", false, &["a"], &[]), None] {
            let attempted = Attempted::by(&change(before.clone(), attempt));
            let newer =
                Change { attempted, ..change(before.clone(), user("Ada L.", true, &["a"], &["admin"])) };
            assert_eq!(
                planned(EVERYTHING, &newer, &known(EVERYTHING, &newer)),
                ["user_reactivate", "user_update", "member_add a", "role_grant admin"]
            );
        }
    }

    #[test]
    fn who_may_have_been_made_is_told_to_go() {
        let attempted = Attempted::by(&change(None, user("Ada", true, &["a"], &["admin"])));
        let gone = Change { attempted, ..change(None, None) };
        let planned = |kinds: &[&str]| planned(kinds, &gone, &known(kinds, &gone));
        assert_eq!(planned(EVERYTHING), ["session_revoke", "user_delete"]);
        assert_eq!(planned(&["user_update", "role_revoke"]), ["user_update", "role_revoke admin"]);
    }

    #[test]
    fn access_is_taken_away_before_anything_else() {
        let before = user("Ada", true, &["a"], &["admin"]);
        let after = user("Ada", false, &["a"], &[]);
        assert_eq!(
            steps(EVERYTHING, before.clone(), after.clone()),
            ["user_deactivate", "session_revoke", "role_revoke admin"]
        );
        assert_eq!(
            steps(&["user_create", "user_update", "user_delete"], before.clone(), after.clone()),
            ["user_update"]
        );
        assert_eq!(steps(&["user_create", "user_delete"], before, after), ["user_delete"]);
    }

    #[test]
    fn who_comes_back_is_given_everything_again() {
        let before = user("Ada", false, &["a"], &[]);
        let after = user("Ada", true, &["a"], &["reader"]);
        assert_eq!(
            steps(EVERYTHING, before.clone(), after.clone()),
            ["user_reactivate", "user_update", "member_add a", "role_grant reader"]
        );
        assert_eq!(steps(&["user_update"], before, after), ["user_update"]);
    }

    #[test]
    fn who_goes_is_deleted_or_else_deactivated() {
        let before = user("Ada", true, &["a"], &["admin"]);
        assert_eq!(steps(EVERYTHING, before.clone(), None), ["session_revoke", "user_delete"]);
        let kinds = ["user_create", "user_deactivate", "member_add", "member_remove", "role_revoke"];
        assert_eq!(
            steps(&kinds, before.clone(), None),
            ["user_deactivate", "role_revoke admin", "member_remove a"]
        );
        assert_eq!(steps(&["user_update"], before, None), ["user_update"]);
    }

    #[test]
    fn who_was_made_by_an_attempt_that_told_the_id_is_not_made_again() {
        let before = change(None, user("Ada", true, &["a"], &[]));
        let attempted = Attempted::by(&before).map(|a| Attempted { remote: Some(RemoteId::new("7")), ..a });
        let again = Change { attempted, remote: Some(RemoteId::new("7")), ..before };
        assert_eq!(planned(EVERYTHING, &again, &known(EVERYTHING, &again)), ["user_update", "member_add a"]);
    }

    #[test]
    fn who_never_came_is_not_made_in_order_to_go() {
        assert_eq!(steps(EVERYTHING, None, None), ["session_revoke", "user_delete"]);
        assert!(steps(&["user_update"], None, None).is_empty());
    }

    #[test]
    fn who_was_removed_by_deactivation_comes_back_by_reactivation() {
        let kinds = ["user_create", "user_update", "user_deactivate", "user_reactivate"];
        let change = Change { remote: Some(RemoteId::new("7")), ..change(None, user("Ada", true, &[], &[])) };
        assert_eq!(planned(&kinds, &change, &known(&kinds, &change)), ["user_reactivate", "user_update"]);
    }

    #[test]
    fn a_group_is_made_updated_and_removed() {
        assert_eq!(steps(EVERYTHING, None, group("A")), ["group_create"]);
        assert_eq!(steps(EVERYTHING, group("A"), group("B")), ["group_update"]);
        assert_eq!(steps(EVERYTHING, group("A"), None), ["group_delete"]);
        assert_eq!(steps(&["group_update"], None, group("A")), ["group_update"]);
        assert!(steps(&["user_update"], None, group("A")).is_empty(), "nothing is configured for groups");
    }
}
