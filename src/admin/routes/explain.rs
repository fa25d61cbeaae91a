//! Who somebody is, and why.

use super::rules;
use crate::admin::api::{self, ExplainQuery, Users};
use crate::admin::explain::{World, explain};
use crate::admin::refusal::Refusal;
use crate::admin::route::{Call, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get(api::EXPLAIN, "Everybody who goes by a name, and why they have their roles", users)]
}

async fn users(Call { state, params, .. }: Call<ExplainQuery>) -> Result<Users, Refusal> {
    let found = state.store.users(&params.name).await?;
    let deliveries = state.deliveries.status();
    let now = (state.clock)();
    let in_force = state.rulebook.in_force();
    let (rules, scopes) = (in_force.rules(), in_force.scopes());
    let world = World { rules: &rules, scopes: &scopes, deliveries: &deliveries, now };
    Ok(Users {
        now,
        rules_file: rules::name_in_force(&state).await?,
        users: found.into_iter().map(|view| explain(view, &world)).collect(),
    })
}
