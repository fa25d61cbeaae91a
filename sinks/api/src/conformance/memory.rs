//! A target in memory and a sink on it: right without a [`Fault`], wrong in one way with one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;

use super::target::{Attribute, Held, HeldGroup, HeldUser, Target, TargetError};
use crate::{
    Action, Change, Entity, Group, GroupId, Observed, ObservedGroup, ObservedStream, ObservedUser, Outcome,
    RemoteId, RoleName, Sink, SinkDown, User, UserId,
};

/// One way to break the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    WritesNothing,
    NeverUpdates,
    FindsByName,
    StopsAtARefusal,
    CopiesWithoutRemote,
    CopiesAlways,
    RemembersInMemoryOnly,
    TogglesMemberships,
    TrustsApplied,
    TakesBackOnlyWhatWasConfirmed,
    DeletesNothing,
    DeletesByRemoteOnly,
    RejectsDeleteOfUnknown,
    NeverRevives,
    IgnoresDeactivation,
    KeepsRolesOfInactive,
    TogglesActive,
    IgnoresReactivation,
    CreatesActive,
    SkipsInactiveOnDelete,
    OnlyAddsGroups,
    OnlyAddsRoles,
    ReadsGroupsBeforeTheBatch,
    ForgetsUnknownGroups,
    RejectsUnknownGroups,
    ForgetsWhatItMadeBeforeARetry,
    TakesMembersAlong,
    IgnoresRename,
    MergesGroupsByName,
    DropsEmptyGroups,
    ShufflesOutcomes,
    LosesAnOutcome,
    LeaversOnly,
    HundredAtMost,
    TrimsText,
    RejectsTheWholeBatch,
    CutsIdsAtSlash,
    AdoptsByName,
    HidesThatItIsDown,
    ObservesOnlyActive,
    StaysLockedWhenCutOff,
    LooksAgainForever,
}

/// A title that nobody may have here.
const REFUSED: &str = "Emperor";

#[derive(Clone, Default)]
struct Row {
    source: Option<String>,
    user: HeldUser,
    deleted: bool,
    locked: bool,
    /// Made, and waiting for its group: found by its key alone.
    waits: bool,
}

#[derive(Default)]
struct State {
    up: bool,
    last_id: u32,
    users: BTreeMap<String, Row>,
    /// Group names by the source's id.
    groups: BTreeMap<GroupId, String>,
}

/// The target.
pub(super) struct Memory {
    state: Arc<Mutex<State>>,
    fault: Option<Fault>,
    /// The sink makes a user and asks to try again, while there is a group that they are to be in and that is not
    /// there; and it does not read the target.
    waits: bool,
}

impl Memory {
    pub(super) fn new(fault: Option<Fault>) -> Self {
        let waits = fault == Some(Fault::ForgetsWhatItMadeBeforeARetry);
        Self { state: Arc::default(), fault, waits }
    }

    pub(super) fn that_waits_for_groups() -> Self {
        Self { waits: true, ..Self::new(None) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

#[async_trait]
impl Target for Memory {
    async fn empty(&self) -> Result<(), TargetError> {
        *self.state() = State { up: true, ..State::default() };
        Ok(())
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, TargetError> {
        let (state, memory) = (self.state.clone(), Mutex::default());
        Ok(Box::new(MemorySink { state, fault: self.fault, waits: self.waits, memory }))
    }

    async fn held(&self) -> Result<Held, TargetError> {
        let state = self.state();
        let mut held = Held::default();
        for row in state.users.values().filter(|row| !row.deleted) {
            let Some(source) = &row.source else { continue };
            let mut user = row.user.clone();
            user.groups.retain(|id| state.groups.contains_key(id));
            if held.users.insert(UserId::new(source), user).is_some() {
                return Err(format!("user {source} is there twice").into());
            }
        }
        for (id, name) in &state.groups {
            held.groups.insert(id.clone(), HeldGroup { name: name.clone() });
        }
        Ok(held)
    }

    async fn seed_unmanaged(&self, twin: &User) -> Result<(), TargetError> {
        let attributes = attributes(twin, |text| text);
        let row =
            Row { user: HeldUser { active: true, attributes, ..HeldUser::default() }, ..Row::default() };
        self.state().users.insert("admin".into(), row);
        Ok(())
    }

    async fn unmanaged(&self) -> Result<Option<String>, TargetError> {
        Ok(self.state().users.get("admin").map(|row| format!("{:?} {:?}", row.source, row.user)))
    }

    fn refused(&self, mut user: User) -> Option<User> {
        user.profile.title = Some(REFUSED.into());
        Some(user)
    }

    async fn stop(&self) -> Result<bool, TargetError> {
        self.state().up = false;
        Ok(true)
    }

    async fn start(&self) -> Result<(), TargetError> {
        self.state().up = true;
        Ok(())
    }
}

/// The sink.
struct MemorySink {
    state: Arc<Mutex<State>>,
    fault: Option<Fault>,
    waits: bool,
    /// Where a broken sink keeps what it should not.
    memory: Mutex<BTreeMap<Entity, String>>,
}

#[async_trait]
impl Sink for MemorySink {
    async fn apply(&self, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        self.probe().await?;
        let known: BTreeSet<GroupId> = self.state().groups.keys().cloned().collect();
        if self.has(Fault::RejectsTheWholeBatch) && changes.iter().any(names_nul) {
            return Ok(changes.iter().map(|_| Outcome::reject("NUL in the batch")).collect());
        }
        let refusal = changes.iter().position(is_refused);
        let leavers = changes.iter().any(|change| change.desired.is_none());
        let mut outcomes = Vec::new();
        for (n, change) in changes.iter().enumerate() {
            tokio::task::yield_now().await;
            let skip = self.has(Fault::WritesNothing)
                || (self.has(Fault::HundredAtMost) && n >= 100)
                || (self.has(Fault::StopsAtARefusal) && refusal.is_some_and(|refusal| n > refusal))
                || (self.has(Fault::LeaversOnly) && leavers && change.desired.is_some());
            outcomes.push(match (&change.entity, change.desired_user(), change.desired_group()) {
                _ if is_refused(change) => Outcome::reject("nobody here is called that"),
                _ if skip => Outcome::applied(Action::Created),
                (Entity::User(id), Some(user), _) => self.put_user(id, user, change, &known).await,
                (Entity::User(id), None, _) => self.remove_user(id, change),
                (Entity::Group(id), _, Some(group)) => self.put_group(id, group),
                (Entity::Group(id), _, None) => self.remove_group(id),
            });
        }
        match self.fault {
            Some(Fault::ShufflesOutcomes) => outcomes.reverse(),
            Some(Fault::LosesAnOutcome) => drop(outcomes.pop()),
            _ => {}
        }
        Ok(outcomes)
    }

    async fn probe(&self) -> Result<(), SinkDown> {
        let up = self.state().up || self.has(Fault::HidesThatItIsDown);
        up.then_some(()).ok_or_else(|| SinkDown::new("the memory is switched off"))
    }

    fn reads_target(&self) -> bool {
        !self.has(Fault::TakesBackOnlyWhatWasConfirmed) && !self.waits
    }

    fn observe(&self) -> Option<ObservedStream<'_>> {
        let state = self.state();
        let mut all = Vec::new();
        for (remote, row) in &state.users {
            let hidden = row.deleted || (self.has(Fault::ObservesOnlyActive) && !row.user.active);
            let Some(source) = row.source.as_ref().filter(|_| !hidden) else { continue };
            let groups = row.user.groups.iter().filter(|id| state.groups.contains_key(*id));
            all.push(Ok(Observed::User(ObservedUser {
                remote: RemoteId::new(remote),
                id: Some(UserId::new(source)),
                active: row.user.active,
                groups: groups.map(|id| RemoteId::new(id.as_str())).collect(),
                roles: row.user.roles.clone(),
            })));
        }
        for (id, name) in &state.groups {
            let remote = RemoteId::new(id.as_str());
            all.push(Ok(Observed::Group(ObservedGroup { remote, id: None, name: name.clone() })));
        }
        Some(futures_util::stream::iter(all).boxed())
    }
}

impl MemorySink {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The key of the user's row.
    fn find(&self, id: &UserId, user: Option<&User>, remote: Option<&RemoteId>) -> Option<String> {
        match self.fault {
            Some(Fault::CopiesAlways) if user.is_some() => return None,
            Some(Fault::CopiesWithoutRemote) => return remote.map(|remote| remote.as_str().to_owned()),
            Some(Fault::DeletesByRemoteOnly) if user.is_none() => {
                return remote.map(|remote| remote.as_str().to_owned());
            }
            Some(Fault::RemembersInMemoryOnly) => {
                return self.memory.lock().unwrap().get(&Entity::User(id.clone())).cloned();
            }
            _ => {}
        }
        let state = self.state();
        if self.waits
            && let Some(key) = remote.map(RemoteId::as_str)
            && state.users.contains_key(key)
        {
            return Some(key.to_owned());
        }
        let by_name = |row: &Row| {
            self.has(Fault::AdoptsByName)
                && user.is_some_and(|u| {
                    row.user.attributes.get(&Attribute::UserName) == u.profile.user_name.as_ref()
                })
        };
        let is_it = |row: &Row| match user {
            Some(user) if self.has(Fault::FindsByName) => {
                row.user.attributes.get(&Attribute::UserName) == user.profile.user_name.as_ref()
            }
            _ => !row.waits && row.source.as_deref() == Some(id.as_str()) || by_name(row),
        };
        state.users.iter().find(|(_, row)| is_it(row)).map(|(key, _)| key.clone())
    }

    async fn put_user(
        &self,
        id: &UserId,
        user: &User,
        change: &Change,
        known: &BTreeSet<GroupId>,
    ) -> Outcome {
        if self.has(Fault::RejectsUnknownGroups) && user.groups.keys().any(|id| !known.contains(id)) {
            return Outcome::reject("no such group");
        }
        let found = self.find(id, Some(user), change.remote.as_ref());
        let (key, mut row, action) = match found {
            Some(key) => {
                let row = self.state().users.get(&key).cloned().unwrap_or_default();
                let action = if row.deleted { Action::Created } else { Action::Updated };
                (key, row, action)
            }
            None => {
                let mut state = self.state();
                state.last_id += 1;
                (format!("row{}", state.last_id), Row::default(), Action::Created)
            }
        };
        if row.locked {
            return Outcome::retry("somebody else is writing to that row");
        }
        let created = action == Action::Created;
        if self.has(Fault::NeverUpdates) && !created || self.has(Fault::NeverRevives) && row.deleted {
            return Outcome::applied_as(key, action);
        }
        row.deleted = false;
        row.waits = self.waits && user.groups.keys().any(|id| !self.state().groups.contains_key(id));
        let waits = row.waits;
        let source = match self.fault {
            Some(Fault::CutsIdsAtSlash) => id.as_str().split('/').next().unwrap_or_default(),
            _ => id.as_str(),
        };
        row.source = Some(source.to_owned());
        row.locked = self.has(Fault::StaysLockedWhenCutOff);
        row.user.attributes =
            attributes(user, |text| if self.has(Fault::TrimsText) { text.trim().into() } else { text });
        row.user.active = self.active(user, created, row.user.active, change);
        self.state().users.insert(key.clone(), row);
        self.memory.lock().unwrap().insert(change.entity.clone(), key.clone());
        if waits {
            let told = !self.has(Fault::ForgetsWhatItMadeBeforeARetry);
            let remote = told.then(|| RemoteId::new(key));
            return Outcome::retry("no such group yet").with_remote(remote);
        }
        tokio::task::yield_now().await;

        let groups = self.groups(user, change, known, &key);
        self.change(&key, |row| row.user.groups = groups);
        tokio::task::yield_now().await;

        let roles = self.roles(user, change, &key);
        self.change(&key, |row| row.user.roles = roles);
        tokio::task::yield_now().await;
        self.change(&key, |row| row.locked = false);
        Outcome::applied_as(key, action)
    }

    fn active(&self, user: &User, created: bool, before: bool, change: &Change) -> bool {
        match self.fault {
            Some(Fault::IgnoresDeactivation) => before || user.active,
            Some(Fault::CreatesActive) if created => true,
            Some(Fault::IgnoresReactivation) if !created => before && user.active,
            Some(Fault::TogglesActive) if !created => {
                let wanted = change.applied_user().is_none_or(|applied| applied.active) != user.active;
                if wanted { !before } else { before }
            }
            _ => user.active,
        }
    }

    fn groups(
        &self,
        user: &User,
        change: &Change,
        known: &BTreeSet<GroupId>,
        key: &str,
    ) -> BTreeSet<GroupId> {
        let before = self.state().users.get(key).map(|row| row.user.groups.clone()).unwrap_or_default();
        let applied: BTreeSet<GroupId> =
            change.applied_user().map(|user| user.groups.keys().cloned().collect()).unwrap_or_default();
        let wanted: BTreeSet<GroupId> = user.groups.keys().cloned().collect();
        match self.fault {
            Some(Fault::OnlyAddsGroups) => before.union(&wanted).cloned().collect(),
            Some(Fault::ReadsGroupsBeforeTheBatch) => wanted.intersection(known).cloned().collect(),
            Some(Fault::ForgetsUnknownGroups) => {
                wanted.into_iter().filter(|id| self.state().groups.contains_key(id)).collect()
            }
            Some(Fault::TogglesMemberships) => {
                let flips = applied.symmetric_difference(&wanted).cloned().collect();
                before.symmetric_difference(&flips).cloned().collect()
            }
            Some(Fault::TrustsApplied) => {
                before.into_iter().filter(|id| !applied.contains(id)).chain(wanted).collect()
            }
            _ => wanted,
        }
    }

    fn roles(&self, user: &User, change: &Change, key: &str) -> BTreeSet<RoleName> {
        let before = self.state().users.get(key).map(|row| row.user.roles.clone()).unwrap_or_default();
        match self.fault {
            Some(Fault::OnlyAddsRoles) => before.union(&user.roles).cloned().collect(),
            Some(Fault::KeepsRolesOfInactive) if !user.active => before,
            Some(Fault::TakesBackOnlyWhatWasConfirmed) => {
                let confirmed = change.applied_user().map(|user| user.roles.clone()).unwrap_or_default();
                before.difference(&confirmed).chain(&user.roles).cloned().collect()
            }
            _ => user.roles.clone(),
        }
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut Row)) {
        if let Some(row) = self.state().users.get_mut(key) {
            change(row);
        }
    }

    fn remove_user(&self, id: &UserId, change: &Change) -> Outcome {
        let key = self.find(id, None, change.remote.as_ref());
        if let Some(key) = key.as_ref().filter(|key| self.is_marked_as_deleted(key))
            && !self.has(Fault::RejectsDeleteOfUnknown)
        {
            return self.look_again(key);
        }
        let there = key.and_then(|key| {
            let state = self.state();
            let row = state.users.get(&key).filter(|row| !row.deleted)?;
            let skipped = self.has(Fault::SkipsInactiveOnDelete) && !row.user.active;
            (!skipped).then_some(key)
        });
        match there {
            Some(_) if self.has(Fault::DeletesNothing) => Outcome::applied(Action::Deleted),
            Some(key) => {
                self.change(&key, |row| row.deleted = true);
                if self.has(Fault::DropsEmptyGroups) {
                    self.drop_empty_groups();
                }
                self.deleted(key)
            }
            None if self.has(Fault::RejectsDeleteOfUnknown) => Outcome::reject("no such user"),
            None => Outcome::applied(Action::Unchanged),
        }
    }

    /// A row goes in two steps: marked at once, and gone for good when it is looked at again.
    fn deleted(&self, key: String) -> Outcome {
        let again = Some(Duration::from_millis(1));
        Outcome::Applied { remote: Some(RemoteId::new(key)), action: Action::Deleted, again }
    }

    fn is_marked_as_deleted(&self, key: &str) -> bool {
        self.state().users.get(key).is_some_and(|row| row.deleted)
    }

    fn look_again(&self, key: &str) -> Outcome {
        if self.has(Fault::LooksAgainForever) {
            return self.deleted(key.to_owned());
        }
        self.state().users.remove(key);
        Outcome::applied(Action::Unchanged)
    }

    fn drop_empty_groups(&self) {
        let mut state = self.state();
        let rows = state.users.values().filter(|row| !row.deleted);
        let used: BTreeSet<GroupId> = rows.flat_map(|row| row.user.groups.iter().cloned()).collect();
        state.groups.retain(|id, _| used.contains(id));
    }

    fn put_group(&self, id: &GroupId, group: &Group) -> Outcome {
        let mut state = self.state();
        let name = if self.has(Fault::TrimsText) { group.name.trim() } else { &group.name };
        if self.has(Fault::MergesGroupsByName) && state.groups.values().any(|other| other == name) {
            return Outcome::applied_as(id.as_str(), Action::Unchanged);
        }
        if self.has(Fault::IgnoresRename) && state.groups.contains_key(id) {
            return Outcome::applied_as(id.as_str(), Action::Unchanged);
        }
        let before = state.groups.insert(id.clone(), name.to_owned());
        let action = if before.is_some() { Action::Updated } else { Action::Created };
        Outcome::applied_as(id.as_str(), action)
    }

    fn remove_group(&self, id: &GroupId) -> Outcome {
        let mut state = self.state();
        if self.has(Fault::TakesMembersAlong) {
            state.users.retain(|_, row| !row.user.groups.contains(id));
        }
        let action = if state.groups.remove(id).is_some() { Action::Deleted } else { Action::Unchanged };
        for row in state.users.values_mut() {
            row.user.groups.remove(id);
        }
        Outcome::applied(action)
    }
}

fn attributes(user: &User, write: impl Fn(String) -> String) -> BTreeMap<Attribute, String> {
    [Attribute::UserName, Attribute::Email, Attribute::DisplayName]
        .into_iter()
        .filter_map(|attribute| Some((attribute, write(attribute.of(user)?.clone()))))
        .collect()
}

fn is_refused(change: &Change) -> bool {
    change.desired_user().is_some_and(|user| user.profile.title.as_deref() == Some(REFUSED))
}

fn names_nul(change: &Change) -> bool {
    serde_json::to_string(&change.desired).unwrap().contains("\\u0000")
}
