//! What each result code of RFC 4511 (appendix A) means for each thing the sink does: one table.

use rolecall_sink_api::{Outcome, SinkDown};

use crate::dn::Dn;
use crate::request::{Reply, Request};
use crate::windows;

/// What the sink was doing when the server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Proving who we are.
    Bind,
    /// Reading entries.
    Search,
    /// A new entry.
    Add,
    /// Other values in an entry.
    Modify,
    /// Values into and out of a group.
    Members,
    /// Another name.
    Rename,
    /// An entry's end.
    Delete,
    /// A new account's first password.
    Password,
}

impl Operation {
    /// All of them, in the order of the table's columns.
    #[cfg(test)]
    const ALL: [Operation; 8] = [
        Operation::Bind,
        Operation::Search,
        Operation::Add,
        Operation::Modify,
        Operation::Members,
        Operation::Rename,
        Operation::Delete,
        Operation::Password,
    ];
}

/// What to make of a result code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is as it should be.
    Done,
    /// Another entry has the name: see whose it is.
    Taken,
    /// A value was there already, or gone already: send the values one by one, where that is no failure.
    OneByOne,
    /// The request is too large for the server: send less at a time.
    Smaller,
    /// A group would be left without a member: put the placeholder in.
    Empty,
    /// It may work later.
    Retry,
    /// It may work later; when it has not after some attempts, it will not.
    Doubt,
    /// It will not work until somebody changes something.
    Reject,
    /// This entry is refused; when every entry is, the account as a whole may not write.
    Denied,
    /// Nothing works now.
    Down,
}

/// The code by which a server says that it returns no more entries.
pub(crate) const SIZE_LIMIT: u32 = 4;
/// The code by which a server sends us elsewhere.
pub(crate) const REFERRAL: u32 = 10;
/// The code by which it says that we may not.
pub(crate) const INSUFFICIENT_ACCESS: u32 = 50;

/// The code's name in RFC 4511, or in the extension that brought it.
pub(crate) fn name(code: u32) -> &'static str {
    TABLE.iter().find(|row| row.0 == code).map_or("unknown result code", |row| row.1)
}

/// What `code` means for `operation`; `text` decides where one code says two things.
pub(crate) fn verdict(code: u32, operation: Operation, text: &str) -> Verdict {
    if let Some(verdict) = windows::verdict(code, operation, text) {
        return verdict;
    }
    // Servers say "I take no writes" with the code for "I will not do this one".
    if code == 53 && READ_ONLY.iter().any(|hint| text.to_ascii_lowercase().contains(hint)) {
        return Verdict::Down;
    }
    match TABLE.iter().find(|row| row.0 == code) {
        Some(row) => row.2[operation as usize],
        None => Verdict::Retry,
    }
}

/// How OpenLDAP, 389 Directory Server and others word it.
const READ_ONLY: [&str; 5] = ["restricted", "read-only", "read only", "readonly", "shadow context"];

use Verdict::{Denied, Done, Doubt, Down, Empty, OneByOne, Reject, Retry, Smaller, Taken};

/// Code, name, and the verdict for: bind, search, add, modify, members, rename, delete,
/// password.
#[rustfmt::skip]
const TABLE: [(u32, &str, [Verdict; 8]); 45] = [
    //                                        bind    search  add     modify  members   rename  delete   password
    (0,   "success",                        [Done,   Done,   Done,   Done,   Done,     Done,   Done,    Done    ]),
    (1,   "operationsError",                [Down,   Retry,  Doubt,  Doubt,  Doubt,    Doubt,  Doubt,   Doubt   ]),
    (2,   "protocolError",                  [Down,   Down,   Reject, Reject, Reject,   Reject, Reject,  Reject  ]),
    (3,   "timeLimitExceeded",              [Down,   Down,   Retry,  Retry,  Retry,    Retry,  Retry,   Retry   ]),
    (4,   "sizeLimitExceeded",              [Down,   Down,   Retry,  Retry,  Retry,    Retry,  Retry,   Retry   ]),
    (5,   "compareFalse",                   [Done,   Done,   Done,   Done,   Done,     Done,   Done,    Done    ]),
    (6,   "compareTrue",                    [Done,   Done,   Done,   Done,   Done,     Done,   Done,    Done    ]),
    (7,   "authMethodNotSupported",         [Down,   Down,   Down,   Down,   Down,     Down,   Down,    Down    ]),
    (8,   "strongerAuthRequired",           [Down,   Down,   Down,   Down,   Down,     Down,   Down,    Down    ]),
    (10,  "referral",                       [Down,   Down,   Down,   Down,   Down,     Down,   Down,    Down    ]),
    (11,  "adminLimitExceeded",             [Down,   Down,   Retry,  Retry,  Smaller,  Retry,  Retry,   Retry   ]),
    (12,  "unavailableCriticalExtension",   [Down,   Down,   Reject, Reject, Reject,   Reject, Reject,  Reject  ]),
    (13,  "confidentialityRequired",        [Down,   Down,   Down,   Down,   Down,     Down,   Down,    Down    ]),
    (14,  "saslBindInProgress",             [Down,   Down,   Down,   Down,   Down,     Down,   Down,    Down    ]),
    (16,  "noSuchAttribute",                [Down,   Down,   Reject, Retry,  OneByOne, Reject, Reject,  Retry   ]),
    (17,  "undefinedAttributeType",         [Down,   Down,   Reject, Reject, Reject,   Reject, Reject,  Reject  ]),
    (18,  "inappropriateMatching",          [Down,   Down,   Reject, Reject, Reject,   Reject, Reject,  Reject  ]),
    (19,  "constraintViolation",            [Down,   Down,   Reject, Reject, Retry,    Reject, Reject,  Reject  ]),
    (20,  "attributeOrValueExists",         [Down,   Down,   Reject, Retry,  OneByOne, Retry,  Reject,  Retry   ]),
    (21,  "invalidAttributeSyntax",         [Down,   Down,   Reject, Reject, Reject,   Reject, Reject,  Reject  ]),
    (32,  "noSuchObject",                   [Down,   Done,   Doubt,  Retry,  Retry,    Retry,  Done,    Retry   ]),
    (33,  "aliasProblem",                   [Down,   Down,   Reject, Reject, Reject,   Reject, Reject,  Reject  ]),
    (34,  "invalidDNSyntax",                [Down,   Down,   Reject, Reject, Reject,   Reject, Reject,  Reject  ]),
    (36,  "aliasDereferencingProblem",      [Down,   Down,   Reject, Reject, Reject,   Reject, Reject,  Reject  ]),
    (48,  "inappropriateAuthentication",    [Down,   Down,   Down,   Down,   Down,     Down,   Down,    Down    ]),
    (49,  "invalidCredentials",             [Down,   Down,   Down,   Down,   Down,     Down,   Down,    Down    ]),
    (50,  "insufficientAccessRights",       [Down,   Down,   Denied, Denied, Denied,   Denied, Denied,  Denied  ]),
    (51,  "busy",                           [Down,   Down,   Retry,  Retry,  Retry,    Retry,  Retry,   Retry   ]),
    (52,  "unavailable",                    [Down,   Down,   Down,   Down,   Down,     Down,   Down,    Down    ]),
    (53,  "unwillingToPerform",             [Down,   Down,   Reject, Reject, Reject,   Reject, Reject,  Reject  ]),
    (54,  "loopDetect",                     [Down,   Down,   Reject, Reject, Reject,   Reject, Reject,  Reject  ]),
    (64,  "namingViolation",                [Down,   Down,   Reject, Reject, Reject,   Reject, Reject,  Reject  ]),
    (65,  "objectClassViolation",           [Down,   Down,   Reject, Reject, Empty,    Reject, Reject,  Reject  ]),
    (66,  "notAllowedOnNonLeaf",            [Down,   Down,   Reject, Reject, Reject,   Reject, Reject,  Reject  ]),
    (67,  "notAllowedOnRDN",                [Down,   Down,   Reject, Reject, Reject,   Reject, Reject,  Reject  ]),
    (68,  "entryAlreadyExists",             [Down,   Down,   Taken,  Reject, Reject,   Taken,  Reject,  Reject  ]),
    (69,  "objectClassModsProhibited",      [Down,   Down,   Reject, Reject, Reject,   Reject, Reject,  Reject  ]),
    (71,  "affectsMultipleDSAs",            [Down,   Down,   Reject, Reject, Reject,   Reject, Reject,  Reject  ]),
    (80,  "other",                          [Down,   Down,   Doubt,  Doubt,  Doubt,    Doubt,  Doubt,   Doubt   ]),
    (118, "canceled",                       [Down,   Down,   Retry,  Retry,  Retry,    Retry,  Retry,   Retry   ]),
    (119, "noSuchOperation",                [Down,   Down,   Retry,  Retry,  Retry,    Retry,  Retry,   Retry   ]),
    (120, "tooLate",                        [Down,   Down,   Retry,  Retry,  Retry,    Retry,  Retry,   Retry   ]),
    (121, "cannotCancel",                   [Down,   Down,   Retry,  Retry,  Retry,    Retry,  Retry,   Retry   ]),
    (122, "assertionFailed",                [Down,   Down,   Retry,  Retry,  Retry,    Retry,  Retry,   Retry   ]),
    (123, "authorizationDenied",            [Down,   Down,   Down,   Down,   Down,     Down,   Down,    Down    ]),
];

/// One request that did not do what it should, in words: the operation, the entry, the code's name and number,
/// what the server itself said, and what may help.
pub(crate) fn explain(request: &Request, reply: &Reply) -> String {
    explain_at(&format!("{} {}", request.verb(), request.dn()), hint(request, reply), reply)
}

fn explain_at(what: &str, hint: String, reply: &Reply) -> String {
    let hint = windows::meaning(&reply.text).map_or(hint, str::to_owned);
    let separator = if hint.is_empty() { "" } else { "; " };
    format!("{what}: {}{separator}{hint}", describe(reply))
}

/// What may help, beside the server's own words.
fn hint(request: &Request, reply: &Reply) -> String {
    match reply.code {
        32 => match (request, reply.matched.as_str()) {
            (Request::Add { .. }, "") => "the entry above it does not exist".to_owned(),
            (Request::Add { .. }, matched) => format!("only {matched} exists of the entries above it"),
            _ => "it is not there any more".to_owned(),
        },
        17 => "the server's schema lacks an attribute that the mapping names".to_owned(),
        19 => "a value breaks a rule of the server: unique, length, count or password policy".to_owned(),
        50 => "let the bind DN write here (access rules of the server)".to_owned(),
        65 => {
            "its object classes and attributes do not go together: see object_classes and attributes in its section"
                .to_owned()
        }
        66 => "there are entries below it".to_owned(),
        _ => String::new(),
    }
}

/// The code's name and number, the server's text, and where it refers to.
pub(crate) fn describe(reply: &Reply) -> String {
    let mut text = format!("{} ({})", name(reply.code), reply.code);
    if !reply.text.is_empty() {
        text = format!("{text}: {}", reply.text);
    }
    if matches!(reply.code, 3 | SIZE_LIMIT | 11) {
        text = format!(
            "{text}; raise the limits of the bind DN (OpenLDAP: limits, 389 Directory Server: nsSizeLimit and \
             nsLookThroughLimit, Active Directory: MaxPageSize)"
        );
    }
    if !reply.referrals.is_empty() {
        text = format!(
            "{text}; the server refers to {}: name that server in url, or allow it in referrals.follow_to",
            reply.referrals.join(", ")
        );
    }
    text
}

/// How often something is tried that may be of no use to try again.
const PATIENCE: u32 = 5;

/// Why one change did not go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may work later.
    Retry(String),
    /// It may work later; when it has not after [`PATIENCE`] attempts, it will not.
    Doubt(String),
    /// It will not, until somebody changes something.
    Reject(String),
    /// The server does not let us write this entry.
    Denied(String),
    /// Nothing works.
    Down(SinkDown),
}

impl Failure {
    /// The failure that `reply` is, or `None` when the request is done. Verdicts that ask for another request
    /// first are failures here: whoever knows what to send instead has looked at the verdict before.
    pub(crate) fn of(request: &Request, operation: Operation, reply: &Reply) -> Option<Failure> {
        Self::with(operation, reply, || explain(request, reply))
    }

    /// The same for an account's first password.
    pub(crate) fn of_password(dn: &Dn, reply: &Reply) -> Option<Failure> {
        Self::with(Operation::Password, reply, || {
            explain_at(&format!("set the password of {dn}"), String::new(), reply)
        })
    }

    fn with(operation: Operation, reply: &Reply, reason: impl Fn() -> String) -> Option<Failure> {
        match verdict(reply.code, operation, &reply.text) {
            Done => None,
            OneByOne | Smaller | Retry => Some(Failure::Retry(reason())),
            Taken | Doubt => Some(Failure::Doubt(reason())),
            Empty | Reject => Some(Failure::Reject(reason())),
            Denied => Some(Failure::Denied(reason())),
            Down => Some(Failure::Down(SinkDown::new(reason()))),
        }
    }

    /// A result whose outer error ends the batch and whose inner error is the one change's.
    pub(crate) fn contain<T>(result: Result<T, Failure>) -> Result<Result<T, Failure>, SinkDown> {
        match result {
            Err(Failure::Down(down)) => Err(down),
            other => Ok(other),
        }
    }

    /// The failure that says more when two things went wrong with one change.
    pub(crate) fn worse(self, other: Failure) -> Failure {
        let rank = |failure: &Failure| match failure {
            Failure::Retry(_) => 0,
            Failure::Doubt(_) => 1,
            Failure::Denied(_) => 2,
            Failure::Reject(_) => 3,
            Failure::Down(_) => 4,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }

    /// The outcome of the one change at its `attempt`; `Err` when it is the sink that failed.
    pub(crate) fn into_outcome(self, attempt: u32) -> Result<Outcome, SinkDown> {
        match self {
            Failure::Retry(reason) => Ok(Outcome::retry(reason)),
            Failure::Doubt(reason) if attempt < PATIENCE => Ok(Outcome::retry(reason)),
            Failure::Doubt(reason) => Ok(Outcome::reject(format!("{reason}; tried {attempt} times"))),
            Failure::Reject(reason) | Failure::Denied(reason) => Ok(Outcome::reject(reason)),
            Failure::Down(down) => Err(down),
        }
    }
}

impl From<SinkDown> for Failure {
    fn from(down: SinkDown) -> Self {
        Failure::Down(down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_once_and_in_order() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn the_columns_are_the_operations() {
        for (column, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, column);
        }
    }

    #[test]
    fn a_code_of_the_future_is_tried_again() {
        assert_eq!(verdict(4096, Operation::Add, ""), Verdict::Retry);
    }

    #[test]
    fn a_read_only_server_is_down_and_not_the_entrys_fault() {
        assert_eq!(verdict(53, Operation::Add, "operation restricted"), Verdict::Down);
        assert_eq!(verdict(53, Operation::Add, "no global superior knowledge"), Verdict::Reject);
    }

    #[test]
    fn a_message_names_entry_operation_code_and_the_servers_text() {
        let request = Request::Delete { dn: Dn::parse("uid=ann,dc=x").unwrap() };
        let reply = Reply::new(66, "subordinate objects must be deleted first");
        assert_eq!(
            explain(&request, &reply),
            "delete uid=ann,dc=x: notAllowedOnNonLeaf (66): subordinate objects must be deleted first; there are \
             entries below it"
        );
    }
}
