//! What is written to a target: the four operations of LDAP that change an entry, as values. A server executes
//! them, an LDIF file records them; what plans them knows of neither.

use crate::dn::Dn;
use crate::entry::{AttributeName, Attributes, Value};

/// One change of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A new entry.
    Add { dn: Dn, attributes: Attributes },
    /// Other values.
    Modify {
        dn: Dn,
        modifications: Vec<Modification>,
        /// Whether a value that is there already, or not there any more, is no error.
        tolerance: Tolerance,
    },
    /// Another name: another RDN, another parent, or both.
    Rename {
        dn: Dn,
        to: Dn,
        /// Whether the values in the old name stay in the entry.
        keep_old: bool,
    },
    /// The entry goes.
    Delete { dn: Dn },
}

/// What a modification makes of a value that is there already, or not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tolerance {
    /// It fails, and the whole request with it (RFC 4511 §4.6).
    Strict,
    /// It is done: what the control 1.2.840.113556.1.4.1413 asks for, where the server has it.
    Permissive,
}

/// One part of a [`Request::Modify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Modification {
    pub(crate) kind: ModificationKind,
    pub(crate) attribute: AttributeName,
    pub(crate) values: Vec<Value>,
}

/// What happens to the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModificationKind {
    /// They come to those that are there.
    Add,
    /// They go; others stay.
    Delete,
    /// They are all there is afterwards; with none, the attribute is absent.
    Replace,
}

impl Modification {
    pub(crate) fn add(attribute: &AttributeName, values: Vec<Value>) -> Self {
        Self { kind: ModificationKind::Add, attribute: attribute.clone(), values }
    }

    pub(crate) fn delete(attribute: &AttributeName, values: Vec<Value>) -> Self {
        Self { kind: ModificationKind::Delete, attribute: attribute.clone(), values }
    }

    pub(crate) fn replace(attribute: &AttributeName, values: Vec<Value>) -> Self {
        Self { kind: ModificationKind::Replace, attribute: attribute.clone(), values }
    }
}

impl Request {
    /// The entry it is about.
    pub(crate) fn dn(&self) -> &Dn {
        match self {
            Request::Add { dn, .. }
            | Request::Modify { dn, .. }
            | Request::Rename { dn, .. }
            | Request::Delete { dn } => dn,
        }
    }

    /// What is done, as a word for a message.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Request::Add { .. } => "add",
            Request::Modify { .. } => "modify",
            Request::Rename { .. } => "rename",
            Request::Delete { .. } => "delete",
        }
    }
}

/// What the target answered to a request: a result code of RFC 4511 with the server's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The result code.
    pub(crate) code: u32,
    /// The server's diagnostic message; may be empty.
    pub(crate) text: String,
    /// The nearest entry that exists, where the server names one.
    pub(crate) matched: String,
    /// Where the server refers to.
    pub(crate) referrals: Vec<String>,
    /// The new entry's own id, where the server told it with the answer.
    pub(crate) id: Option<String>,
}

impl Reply {
    /// An answer with nothing but a code and its text.
    pub(crate) fn new(code: u32, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), matched: String::new(), referrals: Vec::new(), id: None }
    }
}
