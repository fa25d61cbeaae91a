//! Changes that a sink's safeguard holds back until a person decides, and what the safeguard decides by.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use rolecall_sink_api::{Entity, Moment, OrganizationId, SinkName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a change takes away from a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Withdrawal {
    /// Everything: they are deactivated, deleted, or no longer in the sink's scope.
    Removal,
    /// A role, or several; they stay.
    Revocation,
}

impl Withdrawal {
    /// All.
    pub const ALL: [Withdrawal; 2] = [Withdrawal::Removal, Withdrawal::Revocation];

    /// The withdrawal as a lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Withdrawal::Removal => "removal",
            Withdrawal::Revocation => "revocation",
        }
    }
}

/// A withdrawal, from whom, and whose user they were as far as the sink knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Withdrawn {
    /// From whom.
    pub entity: Entity,
    /// What.
    pub withdrawal: Withdrawal,
    /// Their organization, where the sink was told of one.
    pub organization: Option<OrganizationId>,
}

/// Whose withdrawals are counted together: an organization's in a sink, or all of them.
pub type Counted = (Withdrawal, Option<OrganizationId>);

/// What a sink was told to withdraw lately, as far as it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lately {
    /// How many users it was, and out of how many.
    pub tallies: BTreeMap<Counted, Tally>,
    /// Those asked about who are among them.
    pub counted: BTreeSet<(Withdrawal, Entity)>,
}

/// Users from whom something was withdrawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many they are.
    pub withdrawn: u64,
    /// How many users the sink holds.
    pub users: u64,
}

/// What the safeguard says of changes that are due. All of it is noted in one transaction before any of them is
/// handed to the sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guarded {
    /// What is handed to the sink, and counts from now on.
    pub passing: Vec<Withdrawn>,
    /// Changes, by their generation, that were held and are handed to the sink.
    pub released: Vec<(Entity, u64)>,
    /// What is held.
    pub held: Vec<Held>,
    /// Withdrawals up to this time no longer count.
    pub since: Timestamp,
}

/// A change to be held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// From whom something would be withdrawn.
    pub entity: Entity,
    /// Which of their generations.
    pub generation: u64,
    /// What would be withdrawn.
    pub withdrawal: Withdrawal,
    /// Why.
    pub because: HeldBecause,
}

/// Why a change is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldBecause {
    /// An older generation of it is held already, there.
    Already(HoldId),
    /// It would be more than the limit.
    Over(Reached),
}

/// A limit that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reached {
    /// The organization whose limit it is; none when it is that of the sink as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// From so many users something may be withdrawn …
    pub allowed: u64,
    /// … of so many whom the sink held then …
    pub of_users: u64,
    /// … within this time, in seconds.
    #[serde(rename = "within_seconds", with = "seconds")]
    #[schemars(with = "u64")]
    pub within: Duration,
}

/// A hold's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct HoldId(pub u64);

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Changes of one sink that wait for a person: a wave of withdrawals, less what the limit let through. One that a newer
/// event makes needless leaves it by itself, and a hold with nothing left in it is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// Its number.
    pub id: HoldId,
    /// Whose changes.
    pub sink: SinkName,
    /// What they would withdraw.
    pub withdrawal: Withdrawal,
    /// Since when there is something in it.
    #[schemars(with = "Moment")]
    pub since: Timestamp,
    /// How many changes are in it now.
    pub changes: u64,
    /// The limit that was reached.
    #[serde(flatten)]
    pub reached: Reached,
    /// The event behind the change that came into it last; none when the rules were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The version of the rules that was in force then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules_version: Option<u64>,
    /// What a person decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Decided>,
    /// Since when nothing is left in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Moment>")]
    pub closed_at: Option<Timestamp>,
}

impl Hold {
    /// Whether it waits for somebody to decide.
    pub fn is_open(&self) -> bool {
        self.decided.is_none() && self.closed_at.is_none()
    }
}

/// What a person decided of a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decided {
    /// What.
    pub decision: Decision,
    /// When.
    #[schemars(with = "Moment")]
    pub at: Timestamp,
    /// Who, as they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What becomes of what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It is handed to the sink at once.
    Approved,
    /// It is not: the sink keeps those users as they are until something about them changes.
    Rejected,
}

impl Decision {
    /// The decision as a lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::Approved => "approved",
            Decision::Rejected => "rejected",
        }
    }
}

/// Which holds are meant; what is `None` or `false` narrows nothing down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldFilter {
    /// Of one sink.
    pub sink: Option<SinkName>,
    /// This one.
    pub id: Option<HoldId>,
    /// Only those that wait for somebody to decide.
    pub open: bool,
    /// Only those older than this one.
    pub before: Option<HoldId>,
}

/// A sink that is handed nothing because somebody said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// Since when.
    #[schemars(with = "Moment")]
    pub since: Timestamp,
    /// Why, as they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who, as they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        duration.as_secs().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}
