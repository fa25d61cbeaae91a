//! Every answer that is not a success.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a request was not done, as RFC 9457 has it (`application/problem+json`). There are no types of problems: `status`
/// says what a program needs, and `detail` what a person does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The status in words.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong and what to do.
    pub detail: String,
}
