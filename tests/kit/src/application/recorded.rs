//! What the application was asked.

use std::collections::BTreeMap;

use serde_json::Value;

/// A request that arrived completely, and how it was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The method, in capitals.
    pub method: String,
    /// The path, with the query if there is one.
    pub path: String,
    /// The headers, names in lower case; of a header that came twice, the last.
    pub headers: BTreeMap<String, String>,
    /// The body: null when there was none, a string when it was no JSON.
    pub body: Value,
    /// The status that it was answered with; none when it got no answer.
    pub status: Option<u16>,
}

impl Recorded {
    /// The value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Method and path: `POST /users`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}
