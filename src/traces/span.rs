//! Spans: what was done for an event, from when to when, and how it ended.

use jiff::Timestamp;

use super::id::{SpanId, TraceId};

/// Something that was done for an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) began: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) ending: Ending,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) link: Option<EventTrace>,
}

/// Which part it has in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// None: it was done within the daemon.
    Internal,
    /// Somebody asked for it.
    Server,
    /// Somebody else was asked.
    Client,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Well.
    Well,
    /// It failed.
    Failed,
}

/// The value of an attribute: an id, a name from the configuration, a word of a list, or a number. Nothing else about
/// anybody.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Value::Number(number.into())
    }
}

/// The trace of one event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventTrace {
    pub(super) trace: TraceId,
    pub(super) root: SpanId,
}

impl EventTrace {
    /// That of the event with this id, whoever asks and whenever.
    pub fn of(event: &str) -> Self {
        Self { trace: TraceId::of(event), root: SpanId::root(event) }
    }

    /// The span of which all others are part. There is one in a trace.
    pub fn root(self, name: &'static str, began: Timestamp, ended: Timestamp) -> Span {
        let child = self.child(name, began, ended);
        Span { id: self.root, parent: None, ..child }
    }

    /// Any other span.
    pub fn child(self, name: &'static str, began: Timestamp, ended: Timestamp) -> Span {
        Span {
            trace: self.trace,
            id: SpanId::fresh(),
            parent: Some(self.root),
            name,
            kind: Kind::Internal,
            began,
            // A clock that was put back meanwhile makes no span that ends before it begins.
            ended: ended.max(began),
            ending: Ending::Well,
            attributes: Vec::new(),
            link: None,
        }
    }
}

impl Span {
    /// The same with another part in a conversation.
    pub fn kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// The same with another ending.
    pub fn ending(self, ending: Ending) -> Self {
        Self { ending, ..self }
    }

    /// The same with a link to another event's trace, at its root.
    pub fn linked(self, to: EventTrace) -> Self {
        Self { link: Some(to), ..self }
    }

    /// The same with an attribute more.
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((key, value.into()));
        self
    }
}
