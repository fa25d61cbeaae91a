//! The rules in force, and others.

use jiff::Timestamp;
use rolecall_sink_api::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rulebook::Rejected;
use crate::store::{Cursor, RulesVersion};

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

/// Which rules are in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RulesText {
    /// What they are called in messages.
    pub name: String,
    /// The text of a rules file.
    pub text: String,
}

/// Rules to be tried on everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// Which version to go back to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RollbackRequest {
    /// Its number. Default: the one before the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
}

/// The rules that are in force now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InForce {
    /// The number of the version.
    pub version: u64,
    /// Whether it is a new one; the same text again is none.
    pub is_new: bool,
    /// Whether everybody is evaluated again.
    pub evaluates: bool,
}

/// How many versions to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryQuery {
    /// At most: 100 when it is missing, never more than [`LARGEST_PAGE`].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}

/// Which version to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RulesVersionQuery {
    /// Its number. Default: the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

/// The rules that were in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RulesHistory {
    /// When the daemon answered, by its own clock.
    #[schemars(with = "Moment")]
    pub now: Timestamp,
    /// Each version without its text, newest first: the first is in force.
    pub versions: Vec<RulesVersion>,
}
