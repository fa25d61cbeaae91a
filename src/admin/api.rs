//! The admin API's paths, requests and answers: one set of types for the daemon and for the commands that ask
//! it. Fields may be added; none is renamed or taken away within `/v1`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rolecall_sink_api::{GroupId, OrganizationId, Profile, RoleName, SinkName, UserId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::deliver::{Breaker, DeliveryStatus};
use crate::receive::ReplayedEvent;
use crate::rulebook::Rejected;
use crate::store::{
    ActivityView, Consequence, Cursor, EventItem, EventStatus, QueueFilter, QueueItem, QueueState,
    RulesVersion, SinkState, SinkView, Status,
};

/// Where `GET` answers [`Health`].
pub const HEALTH: &str = "/v1/health";
/// Where `GET` answers [`DaemonStatus`].
pub const STATUS: &str = "/v1/status";
/// Where `GET` with a [`QueueQuery`] answers a [`QueuePage`].
pub const QUEUE: &str = "/v1/queue";
/// Where `POST` of a [`Selection`] makes items due now and answers [`Changed`].
pub const QUEUE_RETRY: &str = "/v1/queue/retry";
/// Where `POST` of a [`Selection`] takes items out of their queues and answers [`Changed`].
pub const QUEUE_DROP: &str = "/v1/queue/drop";
/// Where `GET` with a [`UsersQuery`] answers [`Users`].
pub const USERS: &str = "/v1/users";
/// Where `GET` with an [`EventsQuery`] answers an [`EventsPage`].
pub const EVENTS: &str = "/v1/events";
/// Where `GET` with an [`EventQuery`] answers an [`EventDetail`].
pub const EVENT: &str = "/v1/event";
/// Where `POST` of a [`ReplayRequest`] reads journalled messages again and answers a [`ReplayPage`].
pub const EVENTS_REPLAY: &str = "/v1/events/replay";

/// Where `GET` with a [`HistoryQuery`] answers a [`RulesHistory`].
pub const RULES_HISTORY: &str = "/v1/rules/history";
/// Where `GET` with a [`RulesVersionQuery`] answers a [`RulesVersion`] with its text.
pub const RULES_VERSION: &str = "/v1/rules/version";
/// Where `POST` of [`NothingMore`] reads the rules file again and answers [`InForce`].
pub const RULES_RELOAD: &str = "/v1/rules/reload";
/// Where `POST` of a [`RulesText`] puts it into force and answers [`InForce`].
pub const RULES_APPLY: &str = "/v1/rules/apply";
/// Where `POST` of a [`RollbackRequest`] puts an older version into force and answers [`InForce`].
pub const RULES_ROLLBACK: &str = "/v1/rules/rollback";
/// Where `POST` of a [`PlanRequest`] answers a [`PlanPage`](crate::rulebook::PlanPage); nothing is changed.
pub const RULES_PLAN: &str = "/v1/rules/plan";

/// Most items on one page of a listing.
pub const LARGEST_PAGE: u32 = 1000;

/// Every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// What is wrong and what to do.
    pub error: String,
}

/// The daemon answers, and its store can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Its version.
    pub version: String,
}

/// What the daemon is doing, in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Its version.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it answered, by its own clock: ages count from here.
    pub now: Timestamp,
    /// How many webhooks it answered since it started, by what it answered.
    pub received: BTreeMap<String, u64>,
    /// When the newest webhook that was kept arrived, before the start included.
    #[serde(default)]
    pub last_event: Option<Timestamp>,
    /// What the store holds.
    pub store: StoreStatus,
    /// Connections to identity providers, as last announced.
    pub connections: Vec<ConnectionStatus>,
    /// Every configured sink.
    pub sinks: BTreeMap<SinkName, SinkStatus>,
    /// The rules.
    pub rules: RulesStatus,
}

/// Which rules are in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesStatus {
    /// The rules file.
    pub file: String,
    /// The version in force, without its text.
    pub in_force: Option<RulesVersion>,
    /// What was turned down since; then the file is wrong, and the version in force is an older one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
}

/// Rules to be put into force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesText {
    /// What they are called in messages.
    pub name: String,
    /// The text of a rules file.
    pub text: String,
}

/// Rules to be tried on everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// What they are called in messages.
    pub name: String,
    /// The text of a rules file.
    pub text: String,
    /// [`PlanPage::next`](crate::rulebook::PlanPage::next) of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Cursor>,
}

/// A body that says nothing more: `{}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NothingMore {}

/// Which version to go back to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RollbackRequest {
    /// Its number. Default: the one before the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
}

/// The rules that are in force now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// The number of the version.
    pub version: u64,
    /// Whether it is a new one; the same text again is none.
    pub is_new: bool,
    /// Whether everybody is evaluated again.
    pub evaluates: bool,
}

/// How many versions to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryQuery {
    /// At most: 100 when it is missing, never more than [`LARGEST_PAGE`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Which version to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RulesVersionQuery {
    /// Its number. Default: the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

/// The rules that were in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesHistory {
    /// When the daemon answered, by its own clock.
    pub now: Timestamp,
    /// Each version without its text, newest first: the first is in force.
    pub versions: Vec<RulesVersion>,
}

/// What the store holds, in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreStatus {
    /// Users who may have access.
    pub active_users: u64,
    /// Users who exist and must not have access.
    pub inactive_users: u64,
    /// Groups that exist.
    pub groups: u64,
    /// Users whose roles are to be evaluated again.
    pub stale_users: u64,
    /// Kept webhooks that could not be read.
    pub unreadable_events: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// A connection to an identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionStatus {
    /// The source's id for it.
    pub id: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Okta, Entra ID, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// The time of the event that said so.
    pub since: Timestamp,
}

/// A sink's queue and how its deliveries go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkStatus {
    /// Entities waiting, dead letters not counted.
    pub waiting: u64,
    /// Of those, users who lost access.
    pub leavers: u64,
    /// Since when the longest waiting entity waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// Dead letters: rejected for good, or out of attempts.
    pub dead_letters: u64,
    /// Entities the sink has confirmed.
    pub confirmed: u64,
    /// Since the daemon started; none while the sink's worker is not running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryStatus>,
}

impl SinkStatus {
    pub(super) fn new(queue: SinkState, delivery: Option<DeliveryStatus>) -> Self {
        Self {
            waiting: queue.waiting,
            leavers: queue.leavers,
            oldest: queue.oldest,
            dead_letters: queue.dead,
            confirmed: queue.applied,
            delivery,
        }
    }
}

/// Which queue items to list; a field that is missing matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueQuery {
    /// Of one sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Of one user or group, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Waiting, or dead letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<QueueState>,
    /// How many at most: 100 when it is missing, never more than [`LARGEST_PAGE`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// [`Page::next`] of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<PageToken>,
}

/// One page of queue items: by sink, and within it in the order in which the entities were first heard of.
pub type QueuePage = Page<QueueItem>;

/// One page of the journal: messages without their bodies, newest first.
pub type EventsPage = Page<EventItem>;

/// One page of a listing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page<T> {
    /// When the daemon answered, by its own clock.
    pub now: Timestamp,
    /// The items.
    pub items: Vec<T>,
    /// Hand this back as `after` for the next page; none on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<PageToken>,
}

/// The end of a page. Opaque: it means something to the daemon that wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageToken(String);

impl PageToken {
    pub(super) fn new(cursor: &impl Serialize) -> Option<Self> {
        serde_json::to_string(cursor).ok().map(Self)
    }

    pub(super) fn cursor<C: DeserializeOwned>(&self) -> Option<C> {
        serde_json::from_str(&self.0).ok()
    }
}

/// Which queue items to change: those that match every field given, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// Of one sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Of one user or group, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Waiting, or dead letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<QueueState>,
    /// Every item of every sink: said in so many words, and without any other field.
    pub all: bool,
}

impl Selection {
    /// The filter that selects these items.
    ///
    /// # Errors
    /// When it is not said which items are meant.
    pub fn filter(self) -> Result<QueueFilter, &'static str> {
        let Selection { sink, id, state, all } = self;
        let narrowed = sink.is_some() || id.is_some() || state.is_some();
        match (narrowed, all) {
            (true, false) | (false, true) => Ok(QueueFilter { sink, id, state, ..QueueFilter::default() }),
            (false, false) => Err("say which items: by sink, id or state, or all of them with all"),
            (true, true) => Err(
                "all means every item of every sink; leave it out where sink, id or state narrow them down",
            ),
        }
    }
}

/// How many queue items were changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// How many.
    pub items: u64,
}

/// Whom to explain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsersQuery {
    /// An id; or a user name or an email address, in upper or lower case.
    pub name: String,
}

/// Everybody who goes by a name, at most ten.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Users {
    /// When the daemon answered, by its own clock.
    pub now: Timestamp,
    /// The rules file in force.
    pub rules_file: String,
    /// One user when the name is an id. Nobody: the list is empty.
    pub users: Vec<Explanation>,
}

/// All that is known of one user, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The id.
    pub id: UserId,
    /// The organization, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Whether they exist and may have access.
    pub status: Status,
    /// What decides the status; none for somebody who was only heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_because: Option<Because>,
    /// The attributes; none for somebody who does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// What stated them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_because: Option<Because>,
    /// Every role that the rules grant now, with each reason. Nobody without access has a role.
    pub roles: Vec<RoleExplanation>,
    /// Roles that the user does not have though a rule names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<WithheldExplanation>,
    /// When the rules may say something else though nothing happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_evaluation: Option<Timestamp>,
    /// The roles that the sinks are told. They differ from `roles` for the moment that it takes to evaluate
    /// everybody again after the rules or a group changed.
    pub evaluated_roles: Vec<RoleName>,
    /// The provider's own roles.
    pub provider_roles: Vec<String>,
    /// Every group the user is in.
    pub groups: Vec<GroupExplanation>,
    /// Grows each time that the sinks have something to do for this user.
    pub generation: u64,
    /// Every configured sink.
    pub sinks: BTreeMap<SinkName, SinkExplanation>,
    /// What was done, newest first.
    pub activity: Vec<ActivityView>,
}

/// How a user stands in one sink.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SinkExplanation {
    /// What the sink confirmed, and what it still has to do.
    #[serde(flatten)]
    pub view: SinkView,
    /// Whether deliveries to the sink go out at all; none while its worker is not running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    /// Whether the sink's scope leaves the user out: it must not have them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub out_of_scope: bool,
}

/// A role that a user does not have, why they would, and why they do not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WithheldExplanation {
    /// The role.
    pub role: RoleName,
    /// Each rule that grants it, in its time.
    pub reasons: Vec<RoleReason>,
    /// What stands against it.
    pub objections: Vec<RoleObjection>,
}

/// What stands against a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "objection", rename_all = "snake_case")]
pub enum RoleObjection {
    /// A rule denies it.
    Denied(RoleReason),
    /// A higher role of its family is granted.
    Outranked {
        /// The higher one.
        by: RoleName,
        /// The line of the family in the rules file.
        line: u32,
    },
    /// Another role is granted that no one may hold together with it.
    Separated {
        /// The others of the set that are granted.
        from: Vec<RoleName>,
        /// The set's name.
        rule: String,
        /// Its line in the rules file.
        line: u32,
    },
    /// No rule that grants it is in force now.
    NotInForce,
}

/// A role and why the user has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleExplanation {
    /// The role.
    pub role: RoleName,
    /// Each rule that grants it, once for each group that makes it.
    pub reasons: Vec<RoleReason>,
}

/// One reason for a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleReason {
    /// The rule's name.
    pub rule: String,
    /// Its line in the rules file, from 1.
    pub line: u32,
    /// The group that the rule matched, when it was a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupExplanation>,
    /// The role that brings it, when another one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implied_by: Option<RoleName>,
    /// From when on the rule is in force, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// From when on it is no longer in force, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A group that the user is in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupExplanation {
    /// Its id.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// What put the user there.
    pub because: Because,
}

/// The event that a fact comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Because {
    /// The event's id.
    pub event: String,
    /// The time it states.
    pub at: Timestamp,
    /// The sender's name for its kind; none once the journal has forgotten it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// When it arrived; none once the journal has forgotten it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Timestamp>,
}

/// Which journalled messages to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventsQuery {
    /// Only those that could not be read.
    pub unreadable: bool,
    /// Of these, only what came through one source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How many at most: 100 when it is missing, never more than [`LARGEST_PAGE`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// [`Page::next`] of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<PageToken>,
}

/// Which journalled message to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// Its id.
    pub id: String,
    /// The source that sent it, where several sent one of that id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A journalled message, and what became of it. Holds what the sender said of people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventDetail {
    /// When the daemon answered, by its own clock.
    pub now: Timestamp,
    /// The event's id; the message's, where no other could be read.
    pub id: String,
    /// The source it came through.
    pub source: String,
    /// The sender's id of the message.
    pub message_id: String,
    /// The sender's name for its kind, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The time it states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
    /// What was made of it.
    pub status: EventStatus,
    /// Why it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was done because of it, oldest first, at most a hundred lines.
    pub consequences: Vec<Consequence>,
    /// The message as it came.
    pub body: EventBody,
}

/// A message's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventBody {
    /// It is text.
    Text(String),
    /// It is not; in Base64 (RFC 4648 §4).
    Base64(String),
}

/// Which journalled messages to read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayRequest {
    /// This one.
    Event(EventQuery),
    /// The next of those that could not be read.
    Unreadable(UnreadableEvents),
}

/// Which unreadable messages are next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnreadableEvents {
    /// Those that came through one source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// [`ReplayPage::next`] of the answer before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<PageToken>,
}

/// What became of the messages that were read again: a few of them at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayPage {
    /// Each message.
    pub events: Vec<ReplayedEvent>,
    /// Hand this back as `after` to go on; none when all were read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<PageToken>,
}
