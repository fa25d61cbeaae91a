//! Whether all is well in a store, step by step.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a check goes on. Opaque, and written as a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CheckPlace {
    /// The step.
    pub(super) step: u32,
    /// The key behind which entities are looked at.
    pub(super) key: i64,
    /// How many entities were.
    pub(super) entities: u64,
}

impl fmt::Display for CheckPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.step, self.key, self.entities)
    }
}

impl From<CheckPlace> for String {
    fn from(place: CheckPlace) -> Self {
        place.to_string()
    }
}

/// It is no place that a check has told.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no place of a check")]
pub struct NoPlace;

impl FromStr for CheckPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(NoPlace);
        Ok(Self {
            step: part()?.parse().map_err(|_| NoPlace)?,
            key: part()?.parse().map_err(|_| NoPlace)?,
            entities: part()?.parse().map_err(|_| NoPlace)?,
        })
    }
}

impl TryFrom<String> for CheckPlace {
    type Error = NoPlace;

    fn try_from(text: String) -> Result<Self, NoPlace> {
        text.parse()
    }
}

/// One step of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckStep {
    /// What it looked at, for people.
    pub what: String,
    /// What is wrong; at most some of what there is.
    pub findings: Vec<Finding>,
    /// What could not be looked at, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
    /// How much is done, of [`of`](Self::of).
    pub done: u64,
    /// How much there is to do. It may change while others write.
    pub of: u64,
    /// Where to go on; none when that was all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub next: Option<CheckPlace>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// What is wrong, and with whom or what.
    pub what: String,
    /// How to mend it.
    pub remedy: Remedy,
}

/// How something that is wrong in a store is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// The file is damaged.
    Restore,
    /// Somebody is not as they should be.
    SendAgain,
    /// Something is counted or indexed wrong, or left over. What sinks hold does not depend on it.
    Report,
}

impl Remedy {
    /// What to do.
    pub fn advice(self) -> &'static str {
        match self {
            Remedy::Restore => {
                "the file is damaged, which a disk, its cables or its memory do: look at the host's log, and restore a backup \
                 (rolecall store restore)"
            }
            Remedy::SendAgain => {
                "have the identity provider send this user or group again (a change of it, or a resync of its directory): \
                 what an event says of it is written anew"
            }
            Remedy::Report => "nobody is lost by it, but it must not be: please report it",
        }
    }
}
