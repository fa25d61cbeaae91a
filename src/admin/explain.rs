//! Why a user is who they are, and what a group gives: from what the store knows to an explanation. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rolecall_sink_api::{GroupId, Profile, RoleName, SinkName};

use super::api::{
    Because, Explanation, GroupExplanation, RoleExplanation, RoleReason, SinkExplanation, WithheldExplanation,
};
use crate::deliver::DeliveryStatus;
use crate::directory::{GroupState, Stamp};
use crate::rules::{Grant, Reason, Rules, Scopes, Subject, SubjectGroup, Withheld};
use crate::store::{EventView, Status, UserView, desired};

/// What a user is looked at with.
pub(super) struct World<'a> {
    /// The rules in force.
    pub(super) rules: &'a Rules,
    /// What each sink is given.
    pub(super) scopes: &'a Scopes,
    /// How deliveries go now.
    pub(super) deliveries: &'a BTreeMap<SinkName, DeliveryStatus>,
    /// The time.
    pub(super) now: Timestamp,
}

/// Explains one user.
pub(super) fn explain(view: UserView, world: &World<'_>) -> Explanation {
    let because = |stamp: &Stamp| because(stamp, &view.events);
    let groups: BTreeMap<GroupId, GroupExplanation> = desired::memberships(&view.state, &view.groups)
        .map(|membership| {
            let group = GroupExplanation {
                id: membership.id.clone(),
                name: membership.group.name(membership.id).to_owned(),
                because: because(membership.stamp),
            };
            (group.id.clone(), group)
        })
        .collect();
    let tell = |reason| role_reason(reason, &groups);
    let told = |reasons: Vec<Reason>| -> Vec<RoleReason> { reasons.into_iter().map(tell).collect() };
    let verdict = desired::explain(&view.state, &view.groups, world.rules, world.now);
    let roles = verdict
        .grants
        .into_iter()
        .map(|Grant { role, reasons }| RoleExplanation { role, reasons: told(reasons) })
        .collect();
    let withheld = verdict
        .withheld
        .into_iter()
        .map(|Withheld { role, reasons, objections }| WithheldExplanation {
            role,
            reasons: told(reasons),
            objections: objections.into_iter().map(|objection| objection.map(tell)).collect(),
        })
        .collect();
    let out_of_scope = |sink: &SinkName| {
        let scope = world.scopes.of(sink);
        scope.is_some_and(|scope| !desired::gets_user(scope, &view.state, &view.groups, world.now).0)
    };
    let sinks = view
        .sinks
        .iter()
        .map(|(name, view)| {
            let delivery = world.deliveries.get(name);
            let breaker = delivery.map(|delivery| delivery.breaker.clone());
            let paused = delivery.and_then(|delivery| delivery.paused.clone());
            let out_of_scope = out_of_scope(name);
            (name.clone(), SinkExplanation { view: view.clone(), breaker, paused, out_of_scope })
        })
        .collect();
    let stamps = view.state.stamps();
    // Somebody of whom nobody said that they may (not) have access has had it since they were announced.
    let status_because = match view.status {
        Status::Active | Status::Inactive => stamps.active.or(stamps.profile),
        Status::Absent => stamps.gone,
    };
    Explanation {
        organization: view.state.organization().cloned(),
        status: view.status,
        status_because: status_because.map(because),
        profile: view.state.profile().cloned(),
        profile_because: stamps.profile.map(because),
        roles,
        withheld,
        next_evaluation: verdict.next,
        evaluated_roles: view.roles,
        provider_roles: view.state.provider_roles().iter().cloned().collect(),
        groups: groups.into_values().collect(),
        generation: view.generation,
        sinks,
        activity: view.activity,
        events: view.events.clone(),
        id: view.id,
    }
}

/// The roles that whoever is in a group has by that alone.
pub(super) fn gives(id: &GroupId, group: &GroupState, rules: &Rules, now: Timestamp) -> Vec<RoleExplanation> {
    let organization = group.organization();
    let subject = Subject {
        active: true,
        organization,
        directory: None,
        source: None,
        profile: &Profile::default(),
        provider_roles: &BTreeSet::new(),
        groups: &[SubjectGroup { id, name: group.name(id), organization }],
    };
    let mut others = rules.explain(&subject, now).grants;
    let mut given: Vec<Grant> = Vec::new();
    // A role that one of these brings may bring another.
    loop {
        let is_given = |reason: &Reason| {
            let brought = |by: &RoleName| given.iter().any(|grant| grant.role == *by);
            reason.group.as_ref() == Some(id) || reason.implied_by.as_ref().is_some_and(brought)
        };
        let (more, left): (Vec<Grant>, Vec<Grant>) =
            others.into_iter().partition(|grant| grant.reasons.iter().any(is_given));
        if more.is_empty() {
            break;
        }
        given.extend(more);
        others = left;
    }
    given.sort();
    let told = |reasons: Vec<Reason>| reasons.into_iter().map(|reason| role_reason(reason, &BTreeMap::new()));
    given
        .into_iter()
        .map(|Grant { role, reasons }| RoleExplanation { role, reasons: told(reasons).collect() })
        .collect()
}

fn role_reason(reason: Reason, groups: &BTreeMap<GroupId, GroupExplanation>) -> RoleReason {
    RoleReason {
        rule: reason.rule,
        line: reason.line,
        group: reason.group.and_then(|id| groups.get(&id).cloned()),
        implied_by: reason.implied_by,
        from: reason.from,
        until: reason.until,
    }
}

/// The event behind a fact.
pub(super) fn because(stamp: &Stamp, events: &BTreeMap<String, EventView>) -> Because {
    let event = events.get(stamp.event.as_str());
    Because {
        event: stamp.event.as_str().to_owned(),
        at: stamp.at,
        kind: event.and_then(|event| event.kind.clone()),
        received_at: event.map(|event| event.received_at),
    }
}
