//! Who somebody is, and why.

use std::collections::BTreeMap;

use rolecall_sink_api::SinkName;

use super::{cursor, found, page_size, rules};
use crate::admin::AdminState;
use crate::admin::api::{
    self, ExplainQuery, Explanation, UserDetail, UserQuery, Users, UsersPage, UsersQuery,
};
use crate::admin::explain::{World, explain};
use crate::admin::refusal::Refusal;
use crate::admin::route::{Call, Route};
use crate::deliver::DeliveryStatus;
use crate::store::{EntityFilter, UserView};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(api::USERS, "Users, in the order in which they were first heard of", users)
            .may_be_impossible(),
        Route::get(api::USER, "All that is known of one user, and why", user).may_miss(),
        Route::get(api::EXPLAIN, "Everybody who goes by a name, and why they have their roles", named),
    ]
}

async fn users(Call { state, params, .. }: Call<UsersQuery>) -> Result<UsersPage, Refusal> {
    let UsersQuery { search, status, role, limit, after } = params;
    let filter = EntityFilter { text: search, status, role };
    let users = state.store.find_users(&filter, cursor(after.as_ref())?, page_size(limit)?).await?;
    Ok(found((state.clock)(), users))
}

async fn user(Call { state, params, .. }: Call<UserQuery>) -> Result<UserDetail, Refusal> {
    let Some(view) = state.store.user(&params.id).await? else {
        return Err(Refusal::missing(format!("no user has the id {:?}", params.id.as_str())));
    };
    let (now, rules_file) = ((state.clock)(), rules::name_in_force(&state).await?);
    let user = explained(&state, view, &state.deliveries.status());
    Ok(UserDetail { now, rules_file, user })
}

async fn named(Call { state, params, .. }: Call<ExplainQuery>) -> Result<Users, Refusal> {
    let views = state.store.users(&params.name).await?;
    let (now, rules_file) = ((state.clock)(), rules::name_in_force(&state).await?);
    let deliveries = state.deliveries.status();
    let users = views.into_iter().map(|view| explained(&state, view, &deliveries)).collect();
    Ok(Users { now, rules_file, users })
}

fn explained(
    state: &AdminState,
    view: UserView,
    deliveries: &BTreeMap<SinkName, DeliveryStatus>,
) -> Explanation {
    let in_force = state.rulebook.in_force();
    let (rules, scopes) = (in_force.rules(), in_force.scopes());
    explain(view, &World { rules: &rules, scopes: &scopes, deliveries, now: (state.clock)() })
}
