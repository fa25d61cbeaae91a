//! Why a user is who they are: from what the store knows to an explanation. Pure.

use std::collections::BTreeMap;

use rolecall_sink_api::{GroupId, SinkName};

use super::api::{Because, Explanation, GroupExplanation, RoleExplanation, RoleReason, SinkExplanation};
use crate::deliver::DeliveryStatus;
use crate::directory::Stamp;
use crate::rules::{Grant, Rules};
use crate::store::{EventView, Status, UserView, desired};
use jiff::Timestamp;

/// Explains one user under the rules in force, with deliveries as they go now.
pub(super) fn explain(
    view: UserView,
    rules: &Rules,
    deliveries: &BTreeMap<SinkName, DeliveryStatus>,
    now: Timestamp,
) -> Explanation {
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
    let roles = desired::explain(&view.state, &view.groups, rules, now)
        .grants
        .into_iter()
        .map(|Grant { role, reasons }| RoleExplanation {
            role,
            reasons: reasons
                .into_iter()
                .map(|reason| RoleReason {
                    rule: reason.rule,
                    line: reason.line,
                    group: reason.group.and_then(|id| groups.get(&id).cloned()),
                })
                .collect(),
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
        evaluated_roles: view.roles,
        provider_roles: view.state.provider_roles().iter().cloned().collect(),
        groups: groups.into_values().collect(),
        generation: view.generation,
        sinks: view
            .sinks
            .into_iter()
            .map(|(name, view)| {
                let breaker = deliveries.get(&name).map(|delivery| delivery.breaker.clone());
                (name, SinkExplanation { view, breaker })
            })
            .collect(),
        activity: view.activity,
        id: view.id,
    }
}

fn because(stamp: &Stamp, events: &BTreeMap<String, EventView>) -> Because {
    let event = events.get(stamp.event.as_str());
    Because {
        event: stamp.event.as_str().to_owned(),
        at: stamp.at,
        kind: event.and_then(|event| event.kind.clone()),
        received_at: event.map(|event| event.received_at),
    }
}
