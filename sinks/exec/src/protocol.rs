//! The protocol between rolecall and a plugin: one JSON object a line, requests on the plugin's standard input, answers
//! on its standard output. `PROTOCOL.md` beside this crate explains it to those who write plugins.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use rolecall_sink_api::conformance::{Attribute, Groups, Inactive};
use rolecall_sink_api::{Change, Observed, Outcome, Profile, SinkName};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

/// The version of the protocol that this rolecall speaks.
pub const VERSION: u32 = 1;

/// A line that rolecall writes. The next one comes only when this one is answered in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Request<'a> {
    /// Grows with every request to the same process. The answer carries it back.
    pub id: u64,
    /// What is asked.
    #[serde(flatten)]
    pub ask: Ask<'a>,
}

/// What rolecall asks of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Ask<'a> {
    /// Who are you, and what can you do? Always the first request, and asked once.
    Hello {
        /// The version of the protocol that rolecall speaks.
        protocol: u32,
        /// The sink's name in rolecall's configuration.
        sink: SinkName,
    },
    /// May deliveries start? One cheap round trip to the target.
    Probe,
    /// Bring the target up to date.
    Apply {
        /// What should be true now. Not empty, each user or group at most once.
        changes: Cow<'a, [Change]>,
    },
    /// What does the target hold that this plugin manages? Asked only of a plugin that said it can.
    Observe,
}

/// A line that a plugin writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The request's id.
    pub id: u64,
    /// The answer.
    #[serde(flatten)]
    pub reply: Reply,
}

/// What a plugin answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Reply {
    /// To `hello`.
    Hello(Hello),
    /// To `probe`: deliveries may start.
    Ready,
    /// To `apply`.
    Outcomes {
        /// One per change, in the order of the changes.
        outcomes: Vec<Outcome>,
    },
    /// To `observe`: some of what the target holds. As many such lines as it takes.
    Observed {
        /// Users and groups, in no order.
        items: Vec<Item>,
    },
    /// To `observe`: that was all.
    End,
    /// To any request: the target as a whole cannot be worked with now. No change is blamed; rolecall sends `probe`
    /// until it is answered with `ready`.
    Down {
        /// What was tried, where, what the other side said, and what to do.
        reason: String,
        /// Not sooner than this many milliseconds from now, when the target said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<u64>,
    },
}

/// Who a plugin is, and what it can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// The version of the protocol that the plugin speaks: 1.
    pub protocol: u32,
    /// What the plugin is called; shown to people.
    pub name: String,
    /// The plugin's own version; shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it can do.
    #[serde(default)]
    pub can: Abilities,
}

/// What a plugin and its target can do. What is left out stands at its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Abilities {
    /// Whether it answers `observe`. Default: no.
    pub observe: bool,
    /// Whether it looks at what the target holds before it writes, or replaces all of it. Then rolecall need not note
    /// what it hands over, and sends no `attempted`. Default: no, which is right for every plugin.
    pub reads_target: bool,
    /// For `rolecall plugin test`: how the target keeps groups. Default: `entities`.
    pub groups: Groups,
    /// For `rolecall plugin test`: whether the target keeps roles. Default: yes.
    pub roles: bool,
    /// For `rolecall plugin test`: what becomes of a deactivated user in the target. Default: `kept`.
    pub inactive: Inactive,
    /// For `rolecall plugin test`: the attributes that `observe` reports in `profile`. Default: none.
    pub profile: BTreeSet<Attribute>,
    /// For `rolecall plugin test`: the attributes without which a user is rejected. Default: none.
    pub needs: BTreeSet<Attribute>,
}

impl Default for Abilities {
    fn default() -> Self {
        Self {
            observe: false,
            reads_target: false,
            groups: Groups::Entities,
            roles: true,
            inactive: Inactive::Kept,
            profile: BTreeSet::new(),
            needs: BTreeSet::new(),
        }
    }
}

/// A user or group that the target holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    /// The user or group.
    #[serde(flatten)]
    pub observed: Observed,
    /// For `rolecall plugin test`: a user's attributes as the target holds them, at least those that `hello` named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Box<Profile>>,
}

impl Ask<'_> {
    /// The request by its word, with how many changes it has, for messages.
    pub(crate) fn title(&self) -> String {
        match self {
            Ask::Hello { .. } => "hello".into(),
            Ask::Probe => "probe".into(),
            Ask::Apply { changes } if changes.len() == 1 => "apply, 1 change".into(),
            Ask::Apply { changes } => format!("apply, {} changes", changes.len()),
            Ask::Observe => "observe".into(),
        }
    }
}

impl Reply {
    /// The answer by its word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Reply::Hello(_) => "hello",
            Reply::Ready => "ready",
            Reply::Outcomes { .. } => "outcomes",
            Reply::Observed { .. } => "observed",
            Reply::End => "end",
            Reply::Down { .. } => "down",
        }
    }
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.version {
            Some(version) => write!(f, " {version}"),
            None => Ok(()),
        }
    }
}

/// A number of milliseconds on the wire.
pub(crate) fn millis(after: Option<u64>) -> Option<Duration> {
    after.map(Duration::from_millis)
}

/// The JSON Schema of a line that rolecall writes.
pub fn request_schema() -> Schema {
    titled(schemars::schema_for!(Request<'_>), "A request to a rolecall plugin")
}

/// The JSON Schema of a line that a plugin writes.
pub fn answer_schema() -> Schema {
    titled(schemars::schema_for!(Answer), "An answer of a rolecall plugin")
}

fn titled(mut schema: Schema, title: &str) -> Schema {
    schema.insert("title".into(), title.into());
    schema
}
