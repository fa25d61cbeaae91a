//! The groups, and who is in them.

use super::{cursor, found, page_size};
use crate::admin::api::{
    self, GroupDetail, GroupQuery, GroupsPage, GroupsQuery, MembersPage, MembersQuery, SinkExplanation,
};
use crate::admin::explain::{because, gives};
use crate::admin::refusal::Refusal;
use crate::admin::route::{Call, Route};
use crate::store::{EntityFilter, GroupView, Status, desired};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(api::GROUPS, "Groups, in the order in which they were first heard of", groups)
            .may_be_impossible(),
        Route::get(api::GROUP, "All that is known of one group but its members", group).may_miss(),
        Route::get(api::GROUP_MEMBERS, "Who is in a group", members).may_be_impossible(),
    ]
}

async fn groups(Call { state, params, .. }: Call<GroupsQuery>) -> Result<GroupsPage, Refusal> {
    let GroupsQuery { search, status, limit, after } = params;
    let filter = EntityFilter { text: search, status, role: None };
    let groups = state.store.find_groups(&filter, cursor(after.as_ref())?, page_size(limit)?).await?;
    Ok(found((state.clock)(), groups))
}

async fn members(Call { state, params, .. }: Call<MembersQuery>) -> Result<MembersPage, Refusal> {
    let MembersQuery { id, limit, after } = params;
    let members = state.store.members(&id, cursor(after.as_ref())?, page_size(limit)?).await?;
    Ok(found((state.clock)(), members))
}

async fn group(Call { state, params, .. }: Call<GroupQuery>) -> Result<GroupDetail, Refusal> {
    let Some(view) = state.store.group(&params.id).await? else {
        return Err(Refusal::missing(format!("no group has the id {:?}", params.id.as_str())));
    };
    let GroupView { id, state: group, status, generation, sinks, activity, events } = view;
    let deliveries = state.deliveries.status();
    let in_force = state.rulebook.in_force();
    let scopes = in_force.scopes();
    let sinks = sinks.into_iter().map(|(name, view)| {
        let delivery = deliveries.get(&name);
        let breaker = delivery.map(|delivery| delivery.breaker.clone());
        let paused = delivery.and_then(|delivery| delivery.paused.clone());
        let scope = scopes.of(&name);
        let out_of_scope = scope.is_some_and(|scope| !desired::gets_group(scope, &id, &group));
        (name, SinkExplanation { view, breaker, paused, out_of_scope })
    });
    let now = (state.clock)();
    Ok(GroupDetail {
        now,
        name: group.name(&id).to_owned(),
        organization: group.organization().cloned(),
        external_id: group.external_id().map(str::to_owned),
        status,
        because: group.stamp().map(|stamp| because(stamp, &events)),
        gives: if status == Status::Absent { Vec::new() } else { gives(&id, &group, &in_force.rules(), now) },
        generation,
        sinks: sinks.collect(),
        activity,
        id,
    })
}
