//! The ways in which an application fails.

use serde_json::Value;

/// What happens to a request instead of what should.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// It is answered so, and nothing is done.
    Answer {
        /// The status code.
        status: u16,
        /// Headers, such as `Retry-After`.
        headers: Vec<(String, String)>,
        /// The body, sent as JSON.
        body: Value,
    },
    /// It is never answered.
    Hang,
    /// The connection is closed without an answer, and nothing is done.
    Close,
    /// It is done, but the connection is closed before the answer.
    LoseAnswer,
}

impl Fault {
    /// An answer with this status and a short body.
    pub fn status(status: u16) -> Self {
        let body = serde_json::json!({ "error": "told to fail" });
        Fault::Answer { status, headers: Vec::new(), body }
    }

    /// The same answer with one more header.
    ///
    /// # Panics
    /// When the fault is not an answer.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match &mut self {
            Fault::Answer { headers, .. } => headers.push((name.to_owned(), value.to_owned())),
            other => panic!("{other:?} has no headers"),
        }
        self
    }

    /// The same answer with another body.
    ///
    /// # Panics
    /// When the fault is not an answer.
    pub fn body(mut self, value: Value) -> Self {
        match &mut self {
            Fault::Answer { body, .. } => *body = value,
            other => panic!("{other:?} has no body"),
        }
        self
    }
}
