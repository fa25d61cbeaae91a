use rolecall_sink_api::{Attempted, Document, Entity, UserId};

use super::*;
use crate::mapping::nobody;

fn user(active: bool, groups: &[&str]) -> User {
    let groups = groups.iter().map(|id| (GroupId::new(*id), format!("{id} team"))).collect();
    User { active, groups, ..nobody(&UserId::new("ada")) }
}

fn change(applied: Option<User>, attempted: Option<User>, desired: User) -> Change {
    let document = |user: User| Document::User(Box::new(user));
    Change {
        entity: Entity::User(UserId::new("ada")),
        desired: Some(document(desired)),
        applied: applied.map(document),
        attempted: attempted.map(|user| Attempted { given: document(user), withdrawn: false, remote: None }),
        remote: None,
        generation: 1,
        idempotency_key: "k".into(),
        attempt: 1,
    }
}

#[track_caller]
fn expect(applied: Option<User>, attempted: Option<User>, leaves: &[&str], joins: &[&str]) {
    let desired = user(true, &["b", "c"]);
    let ids = |ids: &[&str]| ids.iter().map(|id| GroupId::new(*id)).collect();
    let expected = Membership { leaves: ids(leaves), joins: ids(joins) };
    assert_eq!(Membership::of(&change(applied, attempted, desired.clone()), &desired), expected);
}

#[test]
fn what_was_confirmed_is_not_repeated() {
    expect(Some(user(true, &["a", "b"])), None, &["a"], &["c"]);
}

#[test]
fn what_an_attempt_may_have_given_is_taken_back_and_nothing_is_relied_on() {
    expect(Some(user(true, &["b"])), Some(user(true, &["d"])), &["d"], &["b", "c"]);
}

#[test]
fn what_is_asked_for_although_it_was_confirmed_is_done_again() {
    expect(Some(user(true, &["b", "c"])), None, &[], &["b", "c"]);
}

#[test]
fn who_comes_back_joins_everything() {
    expect(Some(user(false, &["a", "b"])), None, &["a"], &["b", "c"]);
}

#[test]
fn who_leaves_joins_nothing() {
    let leaver = user(false, &["b", "c"]);
    let membership =
        Membership::of_leaver(&change(Some(user(true, &["a", "b"])), None, leaver.clone()), &leaver);
    assert_eq!(membership, Membership { leaves: [GroupId::new("a")].into(), joins: BTreeSet::new() });
}
