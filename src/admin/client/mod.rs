//! The client of the admin API: what the commands ask the daemon through.
//!
//! `endpoint` is where a daemon is asked, `remote` one on another host, `error` why it did not do what it was asked.

mod endpoint;
mod error;
mod remote;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rolecall_sink_api::{GroupId, UserId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::task::AbortOnDropHandle;

use super::api::{
    self, ActivityPage, ActivityQuery, AlertsList, AlertsTested, Changed, CheckQuery, DaemonStatus,
    EventDetail, EventQuery, EventsPage, EventsQuery, ExplainQuery, ExportQuery, ExportedGroups,
    ExportedUsers, GroupDetail, GroupQuery, GroupsPage, GroupsQuery, Health, HistoryQuery, HoldDecided,
    HoldDetail, HoldPath, HoldQuery, HoldsPage, HoldsQuery, InForce, MembersPage, MembersQuery, NothingMore,
    PauseRequest, PlanRequest, Problem, QueuePage, QueueQuery, Readiness, ReplayPage, ReplayRequest,
    RollbackRequest, RulesHistory, RulesText, RulesVersionQuery, Selection, SinkDetail, SinkPath, SinkPaused,
    Sinks, UserDetail, UserQuery, Users, UsersPage, UsersQuery,
};
pub use endpoint::Address;
use endpoint::Endpoint;
pub use error::ClientError;
pub use remote::{AdminUrl, Plaintext, Remote, RemoteError};

use crate::deliver::Probed;
use crate::rulebook::PlanPage;
use crate::store::{CheckPlace, CheckStep, HoldId, RulesVersion, StoreSize};

/// The largest answer that is read, in bytes: a page of a thousand queue items with long errors.
const MOST_ANSWER: usize = 64 * 1024 * 1024;
/// How long a question may take.
const WITHIN: Duration = Duration::from_secs(30);
/// How long a question may take for which the whole store is read.
const LONG: Duration = Duration::from_secs(60 * 60);

/// Asks one daemon. Each question is a connection of its own.
#[derive(Clone, Debug)]
pub struct AdminClient {
    endpoint: Endpoint,
}

impl AdminClient {
    /// A client of the daemon that listens at `socket`. Nothing is asked yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { endpoint: Endpoint::Socket(socket.into()) }
    }

    /// A client of a daemon on the network. Nothing is asked yet.
    pub fn at(remote: Remote) -> Self {
        Self { endpoint: Endpoint::Network(remote) }
    }

    /// Whether the daemon answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.get(api::HEALTH, ()).await
    }

    /// What the daemon is doing.
    ///
    /// # Errors
    /// When it does not answer or its store fails.
    pub async fn status(&self) -> Result<DaemonStatus, ClientError> {
        self.get(api::STATUS, ()).await
    }

    /// One page of queue items.
    ///
    /// # Errors
    /// When the daemon does not answer, or there is no such sink.
    pub async fn queue(&self, query: &QueueQuery) -> Result<QueuePage, ClientError> {
        self.get(api::QUEUE, query).await
    }

    /// Makes queue items due now, with their attempts forgotten.
    ///
    /// # Errors
    /// When the daemon does not answer, or it is not said which items are meant.
    pub async fn retry(&self, selection: &Selection) -> Result<Changed, ClientError> {
        self.post(api::QUEUE_RETRY, selection).await
    }

    /// Takes items out of their queues, until their user or group changes again.
    ///
    /// # Errors
    /// When the daemon does not answer, or it is not said which items are meant.
    pub async fn drop_items(&self, selection: &Selection) -> Result<Changed, ClientError> {
        self.post(api::QUEUE_DROP, selection).await
    }

    /// One page of holds.
    ///
    /// # Errors
    /// When the daemon does not answer, or there is no such sink.
    pub async fn holds(&self, query: &HoldsQuery) -> Result<HoldsPage, ClientError> {
        self.get(api::HOLDS, query).await
    }

    /// One hold, and a page of who is in it.
    ///
    /// # Errors
    /// When the daemon does not answer, or there is no such hold.
    pub async fn hold(&self, query: &HoldQuery) -> Result<HoldDetail, ClientError> {
        self.get(api::HOLD, query).await
    }

    /// Hands what is held to its sink.
    ///
    /// # Errors
    /// When the daemon does not answer, or there is no such hold, or nothing is left to decide.
    pub async fn approve_hold(&self, id: HoldId) -> Result<HoldDecided, ClientError> {
        self.post_to(api::HOLD_APPROVE, HoldPath { id }, &NothingMore {}).await
    }

    /// Gives up what is held.
    ///
    /// # Errors
    /// As [`approve_hold`](AdminClient::approve_hold).
    pub async fn reject_hold(&self, id: HoldId) -> Result<HoldDecided, ClientError> {
        self.post_to(api::HOLD_REJECT, HoldPath { id }, &NothingMore {}).await
    }

    /// Has a sink handed nothing any more.
    ///
    /// # Errors
    /// When the daemon does not answer or cannot note it, or there is no such sink.
    pub async fn pause_sink(&self, name: &str, reason: Option<String>) -> Result<SinkPaused, ClientError> {
        self.post_to(api::SINK_PAUSE, SinkPath { name: name.to_owned() }, &PauseRequest { reason }).await
    }

    /// Goes on with a sink that is paused.
    ///
    /// # Errors
    /// As [`pause_sink`](AdminClient::pause_sink).
    pub async fn resume_sink(&self, name: &str) -> Result<SinkPaused, ClientError> {
        self.post_to(api::SINK_RESUME, SinkPath { name: name.to_owned() }, &NothingMore {}).await
    }

    /// Asks a sink whether it can be worked with.
    ///
    /// # Errors
    /// When the daemon does not answer, or there is no such sink.
    pub async fn probe_sink(&self, name: &str) -> Result<Probed, ClientError> {
        self.post_to(api::SINK_PROBE, SinkPath { name: name.to_owned() }, &NothingMore {}).await
    }

    /// Whether webhooks can be received and stored.
    ///
    /// # Errors
    /// When they cannot, or the daemon does not answer.
    pub async fn ready(&self) -> Result<Readiness, ClientError> {
        self.get(api::READY, ()).await
    }

    /// Every sink.
    ///
    /// # Errors
    /// When the daemon does not answer or its store fails.
    pub async fn sinks(&self) -> Result<Sinks, ClientError> {
        self.get(api::SINKS, ()).await
    }

    /// One sink.
    ///
    /// # Errors
    /// When the daemon does not answer, or there is no such sink.
    pub async fn sink(&self, name: &str) -> Result<SinkDetail, ClientError> {
        self.get(api::SINK, SinkPath { name: name.to_owned() }).await
    }

    /// One page of users.
    ///
    /// # Errors
    /// When the daemon does not answer or its store fails.
    pub async fn list_users(&self, query: &UsersQuery) -> Result<UsersPage, ClientError> {
        self.get(api::USERS, query).await
    }

    /// One user, explained.
    ///
    /// # Errors
    /// When the daemon does not answer, or there is no such user.
    pub async fn user(&self, id: &UserId) -> Result<UserDetail, ClientError> {
        self.get(api::USER, UserQuery { id: id.clone() }).await
    }

    /// One page of groups.
    ///
    /// # Errors
    /// When the daemon does not answer or its store fails.
    pub async fn list_groups(&self, query: &GroupsQuery) -> Result<GroupsPage, ClientError> {
        self.get(api::GROUPS, query).await
    }

    /// One group.
    ///
    /// # Errors
    /// When the daemon does not answer, or there is no such group.
    pub async fn group(&self, id: &GroupId) -> Result<GroupDetail, ClientError> {
        self.get(api::GROUP, GroupQuery { id: id.clone() }).await
    }

    /// One page of a group's members.
    ///
    /// # Errors
    /// When the daemon does not answer or its store fails.
    pub async fn members(&self, query: &MembersQuery) -> Result<MembersPage, ClientError> {
        self.get(api::GROUP_MEMBERS, query).await
    }

    /// One page of what was done to whom.
    ///
    /// # Errors
    /// When the daemon does not answer, or there is no such sink.
    pub async fn activity(&self, query: &ActivityQuery) -> Result<ActivityPage, ClientError> {
        self.get(api::ACTIVITY, query).await
    }

    /// Everybody who goes by a name, explained.
    ///
    /// # Errors
    /// When the daemon does not answer or its store fails.
    pub async fn users(&self, name: &str) -> Result<Users, ClientError> {
        self.get(api::EXPLAIN, ExplainQuery { name: name.to_owned() }).await
    }

    /// One page of the journal.
    ///
    /// # Errors
    /// When the daemon does not answer or its store fails.
    pub async fn events(&self, query: &EventsQuery) -> Result<EventsPage, ClientError> {
        self.get(api::EVENTS, query).await
    }

    /// One journalled message with its body, and what became of it.
    ///
    /// # Errors
    /// When the daemon does not answer, or the journal does not hold it.
    pub async fn event(&self, query: &EventQuery) -> Result<EventDetail, ClientError> {
        self.get(api::EVENT, query).await
    }

    /// Reads journalled messages again.
    ///
    /// # Errors
    /// When the daemon does not answer or cannot store them, or the journal does not hold the one that is named.
    pub async fn replay(&self, request: &ReplayRequest) -> Result<ReplayPage, ClientError> {
        self.post(api::EVENTS_REPLAY, request).await
    }

    /// What needs a person now.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn alerts(&self) -> Result<AlertsList, ClientError> {
        self.get(api::ALERTS, ()).await
    }

    /// Sends a test message to everybody who is told of alerts.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn test_alerts(&self) -> Result<AlertsTested, ClientError> {
        self.post(api::ALERTS_TEST, &NothingMore {}).await
    }

    /// The rules that were in force, newest first.
    ///
    /// # Errors
    /// When the daemon does not answer or its store fails.
    pub async fn rules_history(&self, limit: u32) -> Result<RulesHistory, ClientError> {
        self.get(api::RULES_HISTORY, HistoryQuery { limit: Some(limit) }).await
    }

    /// One version of the rules with its text; the newest without a number.
    ///
    /// # Errors
    /// When the daemon does not answer, or there is no such version.
    pub async fn rules_version(&self, number: Option<u64>) -> Result<RulesVersion, ClientError> {
        self.get(api::RULES_VERSION, RulesVersionQuery { number }).await
    }

    /// Has the rules file read again and put into force.
    ///
    /// # Errors
    /// When the daemon does not answer, or the file is wrong: then the rules in force stay.
    pub async fn reload_rules(&self) -> Result<InForce, ClientError> {
        self.post(api::RULES_RELOAD, &NothingMore {}).await
    }

    /// Puts rules into force.
    ///
    /// # Errors
    /// When the daemon does not answer, or they are wrong: then the rules in force stay.
    pub async fn apply_rules(&self, rules: &RulesText) -> Result<InForce, ClientError> {
        self.post(api::RULES_APPLY, rules).await
    }

    /// Puts an older version of the rules into force.
    ///
    /// # Errors
    /// When the daemon does not answer, or there is no such version.
    pub async fn roll_back_rules(&self, to: Option<u64>) -> Result<InForce, ClientError> {
        self.post(api::RULES_ROLLBACK, &RollbackRequest { to }).await
    }

    /// One page of what rules would change.
    ///
    /// # Errors
    /// When the daemon does not answer, or the rules are wrong.
    pub async fn plan_rules(&self, request: &PlanRequest) -> Result<PlanPage, ClientError> {
        self.post(api::RULES_PLAN, request).await
    }

    /// The whole store, as it is at one moment.
    ///
    /// # Errors
    /// When the daemon does not answer, another backup is under way, or there is no room for its copy.
    pub async fn backup(&self) -> Result<Download, ClientError> {
        let answer = self.endpoint.send(self.request(Method::GET, api::STORE_BACKUP, Bytes::new())?);
        let (response, connection) = self.within(LONG, answer).await??;
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            let length = head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
            let bytes = length.and_then(|length| length.parse().ok()).unwrap_or_default();
            return Ok(Download { at: self.endpoint.address(), bytes, body, _connection: connection });
        }
        let body = Limited::new(body, MOST_ANSWER).collect().await.map_err(|e| self.odd(e.to_string()))?;
        Err(self.refused(head.status, &body.to_bytes()))
    }

    /// What takes how much space in the store.
    ///
    /// # Errors
    /// When the daemon does not answer or its store fails.
    pub async fn store_size(&self) -> Result<StoreSize, ClientError> {
        self.get_within(LONG, api::STORE_SIZE, ()).await
    }

    /// The next step of looking whether the store is sound; the first without a place.
    ///
    /// # Errors
    /// When the daemon does not answer or its store fails.
    pub async fn check_store(&self, after: Option<CheckPlace>) -> Result<CheckStep, ClientError> {
        let query = CheckQuery { after: after.map(|place| place.to_string()) };
        self.get_within(LONG, api::STORE_CHECK, query).await
    }

    /// One page of all users.
    ///
    /// # Errors
    /// When the daemon does not answer or its store fails.
    pub async fn export_users(&self, query: &ExportQuery) -> Result<ExportedUsers, ClientError> {
        self.get(api::EXPORT_USERS, query).await
    }

    /// One page of all groups.
    ///
    /// # Errors
    /// When the daemon does not answer or its store fails.
    pub async fn export_groups(&self, query: &ExportQuery) -> Result<ExportedGroups, ClientError> {
        self.get(api::EXPORT_GROUPS, query).await
    }

    async fn get_within<T: DeserializeOwned>(
        &self,
        within: Duration,
        path: &str,
        params: impl Serialize,
    ) -> Result<T, ClientError> {
        let target = target(path, params).map_err(|e| self.odd(e.to_string()))?;
        self.ask_within(within, Method::GET, &target, Bytes::new()).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, params: impl Serialize) -> Result<T, ClientError> {
        let target = target(path, params).map_err(|e| self.odd(e.to_string()))?;
        self.ask(Method::GET, &target, Bytes::new()).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|e| self.odd(e.to_string()))?;
        self.ask(Method::POST, path, Bytes::from(body)).await
    }

    /// `POST` to a path with parameters.
    async fn post_to<T: DeserializeOwned>(
        &self,
        path: &str,
        params: impl Serialize,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let target = target(path, params).map_err(|e| self.odd(e.to_string()))?;
        self.post(&target, body).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        target: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        self.ask_within(WITHIN, method, target, body).await
    }

    async fn ask_within<T: DeserializeOwned>(
        &self,
        within: Duration,
        method: Method,
        target: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let request = self.request(method, target, body)?;
        let (status, body) = self.within(within, self.exchange(request)).await??;
        if !status.is_success() {
            return Err(self.refused(status, &body));
        }
        serde_json::from_slice(&body).map_err(|e| self.odd(e.to_string()))
    }

    fn request(
        &self,
        method: Method,
        target: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        Request::builder()
            .method(method)
            .uri(target)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|e| self.odd(e.to_string()))
    }

    async fn within<T>(&self, within: Duration, answer: impl Future<Output = T>) -> Result<T, ClientError> {
        let answer = tokio::time::timeout(within, answer).await;
        answer.map_err(|_| ClientError::Slow { at: self.endpoint.address(), within })
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(http::StatusCode, Bytes), ClientError> {
        let (response, _connection) = self.endpoint.send(request).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MOST_ANSWER).collect().await.map_err(|e| self.odd(e.to_string()))?;
        Ok((head.status, body.to_bytes()))
    }

    fn refused(&self, status: http::StatusCode, body: &[u8]) -> ClientError {
        match serde_json::from_slice::<Problem>(body) {
            Ok(Problem { detail, .. }) if status == StatusCode::UNAUTHORIZED => {
                ClientError::Unknown { at: self.endpoint.address(), why: detail }
            }
            Ok(problem) => ClientError::Refused(problem.detail),
            Err(_) => self.odd(format!("HTTP status {status}")),
        }
    }

    fn odd(&self, what: String) -> ClientError {
        ClientError::Odd { at: self.endpoint.address(), what }
    }
}

/// A large answer on its way.
pub struct Download {
    at: Address,
    bytes: u64,
    body: Incoming,
    _connection: AbortOnDropHandle<()>,
}

impl Download {
    /// How long it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next piece of it; `None` when that was all.
    ///
    /// # Errors
    /// When the daemon ends before it is whole, or nothing comes for too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let frame = tokio::time::timeout(WITHIN, self.body.frame()).await;
            let slow = |_| ClientError::Slow { at: self.at.clone(), within: WITHIN };
            let Some(frame) = frame.map_err(slow)? else { return Ok(None) };
            let cut = |error: hyper::Error| ClientError::Odd {
                at: self.at.clone(),
                what: format!("the answer was cut off: {error}"),
            };
            // What is no data says nothing here.
            if let Ok(piece) = frame.map_err(cut)?.into_data() {
                return Ok(Some(piece));
            }
        }
    }
}

/// What may stand in a segment of a path as it is (RFC 3986 §2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The path with its parameters filled in, and what else there is as a query.
pub(super) fn target(path: &str, params: impl Serialize) -> Result<String, serde_urlencoded::ser::Error> {
    let params = serde_urlencoded::to_string(params)?;
    let mut path = path.to_owned();
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(params.as_bytes()) {
        let place = format!("{{{name}}}");
        if path.contains(&place) {
            path = path.replace(&place, &utf8_percent_encode(&value, UNRESERVED).to_string());
        } else {
            query.append_pair(&name, &value);
        }
    }
    let query = query.finish();
    Ok(if query.is_empty() { path } else { format!("{path}?{query}") })
}
