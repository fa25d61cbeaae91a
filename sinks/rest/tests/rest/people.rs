//! Changes about one user.

use rolecall_sink_api::{Attempted, Change, Document, Entity, Profile, RemoteId, User, UserId};

/// An active user with a name and nothing else.
pub(crate) fn user(id: &str) -> User {
    User {
        id: UserId::new(id),
        organization: None,
        active: true,
        profile: Profile { user_name: Some(id.to_owned()), ..Profile::default() },
        groups: std::collections::BTreeMap::new(),
        roles: std::collections::BTreeSet::new(),
    }
}

/// The first change of `user`.
pub(crate) fn joins(user: User) -> Change {
    Change {
        entity: Entity::User(user.id.clone()),
        idempotency_key: format!("app/{}/1", user.id),
        desired: Some(Document::User(Box::new(user))),
        applied: None,
        attempted: None,
        remote: None,
        generation: 1,
        attempt: 1,
    }
}

/// A change of the user from `applied`, whom the application knows as `remote`, to `desired`.
pub(crate) fn changes(applied: User, remote: &str, desired: User) -> Change {
    Change {
        applied: Some(Document::User(Box::new(applied))),
        remote: Some(RemoteId::new(remote)),
        generation: 2,
        idempotency_key: format!("app/{}/2", desired.id),
        ..joins(desired)
    }
}

/// A user who goes, and is known to the application as `remote`.
pub(crate) fn leaves(applied: User, remote: &str) -> Change {
    Change { desired: None, ..changes(applied.clone(), remote, applied) }
}

/// The same change once more, after an attempt that was not confirmed.
pub(crate) fn again(change: Change) -> Change {
    Change { attempted: Attempted::by(&change), attempt: change.attempt + 1, ..change }
}
