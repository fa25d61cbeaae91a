//! What should be true of an entity: from merged facts to the document that every sink is handed. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jiff::Timestamp;
use rolecall_sink_api::{Document, Group, GroupId, Profile, RoleName, SinkName, User, UserId};
use sha2::{Digest as _, Sha256};

use super::Status;
use crate::directory::{GroupState, Stamp, UserState};
use crate::rules::{Decision, Rules, Scope, Scopes, Subject, SubjectGroup, Verdict};

/// A membership that holds: the user is in the group, and the group exists.
#[derive(Clone, Copy, Debug)]
pub struct Membership<'a> {
    /// The group's id.
    pub id: &'a GroupId,
    /// What is known of the group.
    pub group: &'a GroupState,
    /// What put the user there.
    pub stamp: &'a Stamp,
}

/// The memberships of a user that hold. `groups` must have every group of which the user's state speaks.
pub fn memberships<'a>(
    user: &'a UserState,
    groups: &'a BTreeMap<GroupId, GroupState>,
) -> impl Iterator<Item = Membership<'a>> {
    user.memberships().filter_map(|(id, stamp)| {
        let group = groups.get(id)?;
        (group.exists() && group.counts(stamp)).then_some(Membership { id, group, stamp })
    })
}

/// What `ask` makes of a user as rules see them. Who does not exist is an inactive user without attributes.
pub fn subject<T>(
    user: &UserState,
    groups: &BTreeMap<GroupId, GroupState>,
    ask: impl FnOnce(&Subject<'_>) -> T,
) -> T {
    static NOBODY: LazyLock<Profile> = LazyLock::new(Profile::default);
    let groups: Vec<SubjectGroup<'_>> = memberships(user, groups)
        .map(|m| SubjectGroup { id: m.id, name: m.group.name(m.id), organization: m.group.organization() })
        .collect();
    let origin = user.origin();
    ask(&Subject {
        active: user.is_active(),
        organization: user.organization(),
        directory: origin.and_then(|origin| origin.directory.as_ref()).map(|directory| directory.0.as_str()),
        source: origin.and_then(|origin| origin.source.as_deref()),
        profile: user.profile().unwrap_or(&NOBODY),
        provider_roles: user.provider_roles(),
        groups: &groups,
    })
}

/// The roles of a user. Who has no access has no roles.
pub fn decide(
    user: &UserState,
    groups: &BTreeMap<GroupId, GroupState>,
    rules: &Rules,
    now: Timestamp,
) -> Decision {
    subject(user, groups, |subject| rules.decide(subject, now))
}

/// The roles of a user with the reasons.
pub fn explain(
    user: &UserState,
    groups: &BTreeMap<GroupId, GroupState>,
    rules: &Rules,
    now: Timestamp,
) -> Verdict {
    subject(user, groups, |subject| rules.explain(subject, now))
}

/// Whether a sink with this scope is given the user, and when to ask again though nothing happens.
pub fn gets_user(
    scope: &Scope,
    user: &UserState,
    groups: &BTreeMap<GroupId, GroupState>,
    now: Timestamp,
) -> (bool, Option<Timestamp>) {
    subject(user, groups, |subject| scope.has_user(subject, now))
}

/// Whether a sink with this scope is given the group.
pub fn gets_group(scope: &Scope, id: &GroupId, group: &GroupState) -> bool {
    scope.has_all_groups() || scope.has_group(id, group.name(id), group.organization())
}

/// The user as every sink should hold them; `None` when they must go.
pub fn user(
    id: &UserId,
    state: &UserState,
    groups: &BTreeMap<GroupId, GroupState>,
    roles: BTreeSet<RoleName>,
) -> Option<User> {
    Some(User {
        id: id.clone(),
        organization: state.organization().cloned(),
        active: state.is_active(),
        profile: state.profile()?.clone(),
        groups: memberships(state, groups).map(|m| (m.id.clone(), m.group.name(m.id).to_owned())).collect(),
        roles,
    })
}

/// The group as every sink should hold it; `None` when it must go.
pub fn group(id: &GroupId, state: &GroupState) -> Option<Group> {
    state.exists().then(|| Group {
        id: id.clone(),
        organization: state.organization().cloned(),
        name: state.name(id).to_owned(),
        external_id: state.external_id().map(str::to_owned),
    })
}

/// Whether the entity of a desired document exists and may have access.
pub fn status(document: Option<&Document>) -> Status {
    match document {
        None => Status::Absent,
        Some(Document::User(user)) if !user.active => Status::Inactive,
        Some(_) => Status::Active,
    }
}

/// What some sinks are not given, for the digest: a change of it is a change of what is desired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Withholding {
    /// For the digest.
    parts: Vec<String>,
    from: Vec<SinkName>,
}

impl Withholding {
    /// The sinks that are not given the entity at all.
    pub fn from(&self) -> &[SinkName] {
        &self.from
    }

    fn entity(&mut self, sink: &SinkName) {
        self.parts.push(format!("{sink}"));
        self.from.push(sink.clone());
    }

    /// The sink is not given a group that the user is in.
    fn group(&mut self, sink: &SinkName, group: &GroupId) {
        self.parts.push(format!("{sink} {group}"));
    }
}

/// Which sinks are not given a group.
pub fn withheld_group(scopes: &Scopes, id: &GroupId, group: &GroupState) -> Withholding {
    let mut withheld = Withholding::default();
    for (sink, _) in scopes.iter().filter(|(_, scope)| !gets_group(scope, id, group)) {
        withheld.entity(sink);
    }
    withheld
}

/// Which sinks are not given a user, or groups that the user is in, and when to ask again though nothing happens.
pub fn withheld_user(
    scopes: &Scopes,
    user: &UserState,
    groups: &BTreeMap<GroupId, GroupState>,
    now: Timestamp,
) -> (Withholding, Option<Timestamp>) {
    let (mut withheld, mut next) = (Withholding::default(), None);
    for (sink, scope) in scopes.iter() {
        let (in_scope, then) = gets_user(scope, user, groups, now);
        next = next.into_iter().chain(then).min();
        if !in_scope {
            withheld.entity(sink);
            continue;
        }
        for membership in memberships(user, groups).filter(|m| !gets_group(scope, m.id, m.group)) {
            withheld.group(sink, membership.id);
        }
    }
    (withheld, next)
}

/// [`digest`] of a document of which some sinks are not given all; the same as that where all are.
pub fn digest_withholding(document: &Document, withheld: &Withholding) -> [u8; 16] {
    let whole = digest(document);
    if withheld.parts.is_empty() {
        return whole;
    }
    let mut hash = Sha256::new();
    hash.update(whole);
    for part in &withheld.parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    half(hash)
}

fn half(hash: Sha256) -> [u8; 16] {
    let full: [u8; 32] = hash.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&full[..16]);
    half
}

/// A digest by which two documents can be told apart: half of a SHA-256.
pub fn digest(document: &Document) -> [u8; 16] {
    let mut hash = HashWriter(Sha256::new());
    // Neither the writer nor the document's serialization can fail: its maps have string keys.
    let _ = serde_json::to_writer(&mut hash, document);
    half(hash.0)
}

struct HashWriter(Sha256);

impl std::io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
