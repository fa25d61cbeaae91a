//! Rules as they were put into force, one version after the other.

use std::sync::Arc;

use jiff::Timestamp;
use rolecall_sink_api::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules::{Rules, Scopes};

/// Rules to put into force.
#[derive(Clone, Debug)]
pub struct NewRules {
    /// The rules.
    pub rules: Arc<Rules>,
    /// The text that they were read from.
    pub text: String,
    /// Where the text came from.
    pub origin: RulesOrigin,
    /// A digest of what the rules file held when it was last read: whether it was changed since can be told by it.
    pub file: String,
    /// What each sink is given.
    pub scopes: Arc<Scopes>,
    /// The time.
    pub at: Timestamp,
}

/// Where rules came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RulesOrigin {
    /// The rules file, when the daemon started.
    Start,
    /// The rules file, when it was read again.
    Reload,
    /// They were handed over by `rolecall rules apply`.
    Apply,
    /// They are those of an older version.
    Rollback {
        /// Which.
        to: u64,
    },
}

impl RulesOrigin {
    /// Whether the rules are those of the rules file.
    pub fn is_file(self) -> bool {
        matches!(self, RulesOrigin::Start | RulesOrigin::Reload)
    }
}

/// Rules that are, or were, in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RulesVersion {
    /// Counts from 1.
    pub number: u64,
    /// When they were put into force.
    #[schemars(with = "Moment")]
    pub at: Timestamp,
    /// Where they came from.
    pub origin: RulesOrigin,
    /// Their fingerprint: of equal ones every user has the same roles.
    pub fingerprint: String,
    /// As [`NewRules::file`].
    pub file: String,
    /// The text; empty in a listing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// What putting rules into force did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The version that is in force.
    pub version: u64,
    /// Whether it is a new one.
    pub is_new: bool,
    /// Whether everybody is evaluated again.
    pub evaluates: bool,
}
