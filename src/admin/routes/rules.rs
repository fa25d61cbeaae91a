//! The rules in force, and how others take their place.

use super::page_size;
use crate::admin::AdminState;
use crate::admin::api::{
    self, HistoryQuery, InForce, NothingMore, PlanRequest, RollbackRequest, RulesHistory, RulesStatus,
    RulesText, RulesVersionQuery,
};
use crate::admin::refusal::Refusal;
use crate::admin::route::{Call, Route};
use crate::rulebook::{MOST_RULES, PlanPage};
use crate::store::{Adopted, RulesVersion};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(api::RULES_HISTORY, "The rules that were in force, newest first", history),
        Route::get(api::RULES_VERSION, "One version of the rules with its text", version).may_miss(),
        Route::post(api::RULES_RELOAD, "Reads the rules file again and puts it into force", reload)
            .may_miss()
            .may_be_impossible(),
        Route::post(api::RULES_APPLY, "Puts rules into force", apply)
            .with_body_of(MOST_RULES)
            .may_be_impossible(),
        Route::post(api::RULES_ROLLBACK, "Puts an older version of the rules into force", rollback)
            .may_miss()
            .may_be_impossible(),
        Route::post(api::RULES_PLAN, "What rules would change, were they put into force", plan)
            .with_body_of(MOST_RULES)
            .only_looks()
            .may_be_impossible(),
    ]
}

/// For `GET /v1/status`.
pub(super) async fn status(state: &AdminState) -> Result<RulesStatus, Refusal> {
    let newest = state.rulebook.history(1).await?.pop();
    Ok(RulesStatus {
        file: state.rulebook.file_name(),
        in_force: newest,
        rejected: state.rulebook.rejected(),
    })
}

/// What the rules in force are called where a line of them is named.
pub(super) async fn name_in_force(state: &AdminState) -> Result<String, Refusal> {
    let newest = state.rulebook.history(1).await?.pop();
    Ok(match newest {
        Some(newest) if !newest.origin.is_file() => format!("rules version {}", newest.number),
        _ => state.rulebook.file_name(),
    })
}

async fn history(Call { state, params, .. }: Call<HistoryQuery>) -> Result<RulesHistory, Refusal> {
    let HistoryQuery { limit } = params;
    let versions = state.rulebook.history(page_size(limit)?).await?;
    Ok(RulesHistory { now: (state.clock)(), versions })
}

async fn version(Call { state, params, .. }: Call<RulesVersionQuery>) -> Result<RulesVersion, Refusal> {
    let version = state.rulebook.version(params.number).await?;
    version.ok_or_else(|| Refusal::missing("there is no such version; `rolecall rules history` lists them"))
}

async fn reload(Call { state, .. }: Call<(), NothingMore>) -> Result<InForce, Refusal> {
    Ok(in_force(state.rulebook.reload().await?))
}

async fn apply(Call { state, body, .. }: Call<(), RulesText>) -> Result<InForce, Refusal> {
    Ok(in_force(state.rulebook.apply(&body.name, body.text).await?))
}

async fn rollback(Call { state, body, .. }: Call<(), RollbackRequest>) -> Result<InForce, Refusal> {
    Ok(in_force(state.rulebook.roll_back(body.to).await?))
}

async fn plan(Call { state, body, .. }: Call<(), PlanRequest>) -> Result<PlanPage, Refusal> {
    Ok(state.rulebook.plan(&body.name, &body.text, body.after).await?)
}

fn in_force(adopted: Adopted) -> InForce {
    InForce { version: adopted.version, is_new: adopted.is_new, evaluates: adopted.evaluates }
}
