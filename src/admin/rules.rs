//! The rules in force, and how others take their place.

use warp::Filter as _;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::AdminState;
use super::api::{
    HistoryQuery, InForce, NothingMore, PlanRequest, RollbackRequest, RulesHistory, RulesStatus, RulesText,
    RulesVersionQuery,
};
use super::routes::{MOST_BODY, Refusal, get, page_size, parse_query, post_of};
use crate::rulebook::{MOST_RULES, PlanPage};
use crate::store::{Adopted, RulesVersion};

/// What stands below `/v1/rules`.
pub(super) fn routes(state: &AdminState) -> BoxedFilter<(Response,)> {
    let rules = || warp::path("v1").and(warp::path("rules"));
    let history = rules().and(warp::path!("history")).and(get(state, history));
    let version = rules().and(warp::path!("version")).and(get(state, version));
    let reload = rules().and(warp::path!("reload")).and(post_of(MOST_BODY, state, reload));
    let apply = rules().and(warp::path!("apply")).and(post_of(MOST_RULES, state, apply));
    let rollback = rules().and(warp::path!("rollback")).and(post_of(MOST_BODY, state, rollback));
    let plan = rules().and(warp::path!("plan")).and(post_of(MOST_RULES, state, plan));
    let read = history.or(version).unify();
    read.or(reload).unify().or(apply).unify().or(rollback).unify().or(plan).unify().boxed()
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

async fn history(state: AdminState, query: String) -> Result<RulesHistory, Refusal> {
    let HistoryQuery { limit } = parse_query(&query)?;
    let versions = state.rulebook.history(page_size(limit)?).await?;
    Ok(RulesHistory { now: (state.clock)(), versions })
}

async fn version(state: AdminState, query: String) -> Result<RulesVersion, Refusal> {
    let RulesVersionQuery { number } = parse_query(&query)?;
    let version = state.rulebook.version(number).await?;
    version.ok_or_else(|| {
        Refusal::missing("there is no such version; `rolecall rules history` lists them".into())
    })
}

async fn reload(state: AdminState, NothingMore {}: NothingMore) -> Result<InForce, Refusal> {
    Ok(in_force(state.rulebook.reload().await?))
}

async fn apply(state: AdminState, RulesText { name, text }: RulesText) -> Result<InForce, Refusal> {
    Ok(in_force(state.rulebook.apply(&name, text).await?))
}

async fn rollback(state: AdminState, RollbackRequest { to }: RollbackRequest) -> Result<InForce, Refusal> {
    Ok(in_force(state.rulebook.roll_back(to).await?))
}

async fn plan(
    state: AdminState,
    PlanRequest { name, text, after }: PlanRequest,
) -> Result<PlanPage, Refusal> {
    Ok(state.rulebook.plan(&name, &text, after).await?)
}

fn in_force(adopted: Adopted) -> InForce {
    InForce { version: adopted.version, is_new: adopted.is_new, evaluates: adopted.evaluates }
}
