//! Changes about one user.

use rolecall_sink_api::conformance::people::put_user;
use rolecall_sink_api::{Attempted, Change, Document, Profile, RemoteId, User, UserId};

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
    put_user(user, 1)
}

/// A change of the user from `applied`, whom the application knows as `remote`, to `desired`.
pub(crate) fn changes(applied: User, remote: &str, desired: User) -> Change {
    Change {
        applied: Some(Document::User(Box::new(applied))),
        remote: Some(RemoteId::new(remote)),
        ..put_user(desired, 2)
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
