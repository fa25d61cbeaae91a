//! The admin API, as the console asks it: a page sees and does what a command would.

use http::StatusCode;
use rolecall_sink_api::GroupId;

use crate::admin::api::{
    self, Changed, DaemonStatus, EventDetail, EventQuery, EventsPage, EventsQuery, ExplainQuery, GroupDetail,
    GroupQuery, GroupsPage, GroupsQuery, HistoryQuery, HoldDecided, HoldDetail, HoldPath, HoldQuery,
    HoldsPage, HoldsQuery, InForce, MembersPage, MembersQuery, NothingMore, PauseRequest, PlanRequest,
    Problem, QueuePage, QueueQuery, ReplayPage, ReplayRequest, RollbackRequest, RulesHistory, RulesText,
    RulesVersionQuery, Selection, SinkPath, SinkPaused, Users, UsersPage, UsersQuery,
};
use crate::admin::{Who, Within};
use crate::deliver::Probed;
use crate::rulebook::PlanPage;
use crate::store::{HoldId, RulesVersion};

/// The admin API, for one who asks.
pub(super) struct Api<'a> {
    pub(super) within: &'a Within,
    pub(super) who: &'a Who,
}

/// Something that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// What of HTTP's it is.
    pub(super) status: StatusCode,
    /// What is wrong and what to do.
    pub(super) message: String,
}

impl Refused {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// Whether what was asked for is wrong, and not who does it.
    pub(super) fn is_about_the_request(&self) -> bool {
        self.status.is_client_error() && self.status != StatusCode::FORBIDDEN
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, problem.detail)
    }
}

type Asked<T> = Result<T, Refused>;

impl Api<'_> {
    pub(super) async fn status(&self) -> Asked<DaemonStatus> {
        Ok(self.within.get(self.who, api::STATUS, ()).await?)
    }

    pub(super) async fn queue(&self, query: &QueueQuery) -> Asked<QueuePage> {
        Ok(self.within.get(self.who, api::QUEUE, query).await?)
    }

    pub(super) async fn retry(&self, selection: &Selection) -> Asked<Changed> {
        Ok(self.within.post(self.who, api::QUEUE_RETRY, selection).await?)
    }

    pub(super) async fn drop_items(&self, selection: &Selection) -> Asked<Changed> {
        Ok(self.within.post(self.who, api::QUEUE_DROP, selection).await?)
    }

    pub(super) async fn holds(&self, query: &HoldsQuery) -> Asked<HoldsPage> {
        Ok(self.within.get(self.who, api::HOLDS, query).await?)
    }

    pub(super) async fn hold(&self, query: &HoldQuery) -> Asked<HoldDetail> {
        Ok(self.within.get(self.who, api::HOLD, query).await?)
    }

    pub(super) async fn approve_hold(&self, id: HoldId) -> Asked<HoldDecided> {
        self.decide(api::HOLD_APPROVE, id).await
    }

    pub(super) async fn reject_hold(&self, id: HoldId) -> Asked<HoldDecided> {
        self.decide(api::HOLD_REJECT, id).await
    }

    async fn decide(&self, path: &str, id: HoldId) -> Asked<HoldDecided> {
        Ok(self.within.post_to(self.who, path, HoldPath { id }, &NothingMore {}).await?)
    }

    pub(super) async fn pause_sink(&self, name: &str, reason: Option<String>) -> Asked<SinkPaused> {
        let sink = SinkPath { name: name.to_owned() };
        Ok(self.within.post_to(self.who, api::SINK_PAUSE, sink, &PauseRequest { reason }).await?)
    }

    pub(super) async fn resume_sink(&self, name: &str) -> Asked<SinkPaused> {
        let sink = SinkPath { name: name.to_owned() };
        Ok(self.within.post_to(self.who, api::SINK_RESUME, sink, &NothingMore {}).await?)
    }

    pub(super) async fn probe_sink(&self, name: &str) -> Asked<Probed> {
        let sink = SinkPath { name: name.to_owned() };
        Ok(self.within.post_to(self.who, api::SINK_PROBE, sink, &NothingMore {}).await?)
    }

    pub(super) async fn users(&self, query: &UsersQuery) -> Asked<UsersPage> {
        Ok(self.within.get(self.who, api::USERS, query).await?)
    }

    pub(super) async fn groups(&self, query: &GroupsQuery) -> Asked<GroupsPage> {
        Ok(self.within.get(self.who, api::GROUPS, query).await?)
    }

    pub(super) async fn group(&self, id: &GroupId) -> Asked<GroupDetail> {
        Ok(self.within.get(self.who, api::GROUP, GroupQuery { id: id.clone() }).await?)
    }

    pub(super) async fn members(&self, query: &MembersQuery) -> Asked<MembersPage> {
        Ok(self.within.get(self.who, api::GROUP_MEMBERS, query).await?)
    }

    pub(super) async fn explain(&self, name: &str) -> Asked<Users> {
        let query = ExplainQuery { name: name.to_owned() };
        Ok(self.within.get(self.who, api::EXPLAIN, query).await?)
    }

    pub(super) async fn events(&self, query: &EventsQuery) -> Asked<EventsPage> {
        Ok(self.within.get(self.who, api::EVENTS, query).await?)
    }

    pub(super) async fn event(&self, query: &EventQuery) -> Asked<EventDetail> {
        Ok(self.within.get(self.who, api::EVENT, query).await?)
    }

    pub(super) async fn replay(&self, request: &ReplayRequest) -> Asked<ReplayPage> {
        Ok(self.within.post(self.who, api::EVENTS_REPLAY, request).await?)
    }

    pub(super) async fn rules_history(&self, limit: u32) -> Asked<RulesHistory> {
        let query = HistoryQuery { limit: Some(limit) };
        Ok(self.within.get(self.who, api::RULES_HISTORY, query).await?)
    }

    pub(super) async fn rules_version(&self, number: Option<u64>) -> Asked<RulesVersion> {
        Ok(self.within.get(self.who, api::RULES_VERSION, RulesVersionQuery { number }).await?)
    }

    pub(super) async fn reload_rules(&self) -> Asked<InForce> {
        Ok(self.within.post(self.who, api::RULES_RELOAD, &NothingMore {}).await?)
    }

    pub(super) async fn apply_rules(&self, rules: &RulesText) -> Asked<InForce> {
        Ok(self.within.post(self.who, api::RULES_APPLY, rules).await?)
    }

    pub(super) async fn roll_back_rules(&self, to: u64) -> Asked<InForce> {
        Ok(self.within.post(self.who, api::RULES_ROLLBACK, &RollbackRequest { to: Some(to) }).await?)
    }

    pub(super) async fn plan_rules(&self, request: &PlanRequest) -> Asked<PlanPage> {
        Ok(self.within.post(self.who, api::RULES_PLAN, request).await?)
    }
}
