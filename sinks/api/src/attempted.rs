//! What attempts that were never confirmed may have left in the target.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Change, Document, RemoteId, User};

/// What the attempts since the last confirmation may have left in the target, all of them together. Each may have
/// gone through, or through in part, or not at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempted {
    /// The document that was handed over last, with the groups and roles of all of them, and active if any of
    /// them was.
    pub given: Document,
    /// Whether one of them took access away, or removed the entity: it may have to be given again.
    pub withdrawn: bool,
    /// The id under which the target has what one of them made, as [`Outcome::Retry`](crate::Outcome::Retry) told.
    /// It is also [`Change::remote`]; that it stands here says that it was made since the last confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteId>,
}

impl Attempted {
    /// What may be in the target once `change` has been handed over too, confirmed or not. `None` when nothing can
    /// be left: it removes what was neither confirmed nor attempted.
    pub fn by(change: &Change) -> Option<Self> {
        match (&change.desired, &change.attempted) {
            (Some(desired), None) => Some(Self::of(desired.clone())),
            (Some(desired), Some(before)) => Some(before.clone().then(desired.clone())),
            (None, Some(before)) => Some(Self { withdrawn: true, ..before.clone() }),
            (None, None) => change.applied.clone().map(Self::without),
        }
    }

    /// After one attempt at `document`.
    pub(crate) fn of(document: Document) -> Self {
        let withdrawn = document.as_user().is_some_and(|user| !user.active);
        Self { given: document, withdrawn, remote: None }
    }

    /// After one attempt to remove what is confirmed to be as `applied`: it gave nothing.
    fn without(mut applied: Document) -> Self {
        if let Document::User(user) = &mut applied {
            user.active = false;
            user.groups.clear();
            user.roles.clear();
        }
        Self { given: applied, withdrawn: true, remote: None }
    }

    fn then(self, document: Document) -> Self {
        let Self { mut given, withdrawn, .. } = Self::of(document);
        if let (Document::User(user), Document::User(before)) = (&mut given, self.given) {
            add(user, *before);
        }
        Self { given, withdrawn: self.withdrawn || withdrawn, remote: self.remote }
    }
}

fn add(user: &mut User, before: User) {
    user.active |= before.active;
    for (group, name) in before.groups {
        user.groups.entry(group).or_insert(name);
    }
    user.roles.extend(before.roles);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entity, GroupId, Profile, RoleName, UserId};

    fn user(active: bool, groups: &[&str], roles: &[&str]) -> Document {
        Document::User(Box::new(User {
            id: UserId::new("ada"),
            organization: None,
            active,
            profile: Profile::default(),
            groups: groups.iter().map(|id| (GroupId::new(*id), format!("{id} team"))).collect(),
            roles: roles.iter().map(|role| RoleName::new(*role)).collect(),
        }))
    }

    fn change(applied: Option<Document>, attempted: Option<Attempted>, desired: Option<Document>) -> Change {
        Change {
            entity: Entity::User(UserId::new("ada")),
            desired,
            applied,
            attempted,
            remote: None,
            generation: 1,
            idempotency_key: "k".into(),
            attempt: 1,
        }
    }

    #[test]
    fn a_first_attempt_may_leave_what_it_gives() {
        let desired = user(true, &["staff"], &["admin"]);
        let after = Attempted::by(&change(None, None, Some(desired.clone())));
        assert_eq!(after, Some(Attempted { given: desired, withdrawn: false, remote: None }));
    }

    #[test]
    fn several_attempts_may_leave_the_groups_and_roles_of_all_of_them() {
        let first = Attempted::by(&change(None, None, Some(user(true, &["staff", "admins"], &["admin"]))));
        let after = Attempted::by(&change(None, first, Some(user(true, &["staff", "guests"], &["reader"]))));
        let given = user(true, &["staff", "admins", "guests"], &["admin", "reader"]);
        assert_eq!(after, Some(Attempted { given, withdrawn: false, remote: None }));
    }

    #[test]
    fn the_latest_attempt_says_what_the_user_and_their_groups_are_called() {
        let named = |name: &str| {
            let mut document = user(true, &["staff"], &[]);
            if let Document::User(user) = &mut document {
                user.profile.display_name = Some(name.into());
                user.groups.values_mut().for_each(|group| *group = name.into());
            }
            document
        };
        let first = Attempted::by(&change(None, None, Some(named("old"))));
        let after = Attempted::by(&change(None, first, Some(named("new"))));
        assert_eq!(after, Some(Attempted { given: named("new"), withdrawn: false, remote: None }));
    }

    #[test]
    fn the_id_of_what_one_attempt_made_is_kept_over_the_next_ones() {
        let first = Attempted::by(&change(None, None, Some(user(true, &[], &[]))));
        let told = first.map(|first| Attempted { remote: Some(RemoteId::new("7")), ..first });
        for desired in [Some(user(true, &["staff"], &[])), None] {
            let after = Attempted::by(&change(None, told.clone(), desired)).unwrap();
            assert_eq!(after.remote, Some(RemoteId::new("7")));
        }
    }

    #[test]
    fn access_that_one_attempt_gave_and_another_took_may_be_there_and_may_not() {
        for (first, second) in [(true, false), (false, true)] {
            let attempted = Attempted::by(&change(None, None, Some(user(first, &[], &[]))));
            let after = Attempted::by(&change(None, attempted, Some(user(second, &[], &[]))));
            assert_eq!(after, Some(Attempted { given: user(true, &[], &[]), withdrawn: true, remote: None }));
        }
    }

    #[test]
    fn a_removal_gives_nothing_and_takes_back_nothing_of_what_may_have_been_given() {
        let applied = user(true, &["staff"], &["admin"]);
        let after = Attempted::by(&change(Some(applied.clone()), None, None));
        assert_eq!(after, Some(Attempted { given: user(false, &[], &[]), withdrawn: true, remote: None }));

        let attempted = Some(Attempted::of(applied.clone()));
        let after = Attempted::by(&change(None, attempted, None));
        assert_eq!(after, Some(Attempted { given: applied, withdrawn: true, remote: None }));
        assert_eq!(Attempted::by(&change(None, None, None)), None, "there never was anything");
    }

    #[test]
    fn the_same_attempt_again_changes_nothing() {
        for desired in [Some(user(true, &["a"], &["r"])), Some(user(false, &["a"], &[])), None] {
            let first = change(Some(user(true, &["b"], &["s"])), None, desired);
            let once = Attempted::by(&first);
            assert!(once.is_some());
            assert_eq!(Attempted::by(&Change { attempted: once.clone(), ..first }), once);
        }
    }
}
