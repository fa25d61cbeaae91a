//! What Active Directory says beside the result code: the number of a Windows error at the beginning of its text, or,
//! when a bind is refused, behind the word `data` ([MS-ADTS] §3.1.1.5.1.1, [MS-ERREF] §2.2).
//!
//! Samba answers with the same numbers.

use crate::outcome::{Operation, Verdict};

/// A Windows error that says more than the result code with it.
struct Row {
    error: u32,
    meaning: &'static str,
}

/// What may stand at the beginning of the text.
const ERRORS: [Row; 11] = [
    Row { error: 0x0000_0005, meaning: "access is denied: delegate the right to rolecall's account" },
    Row {
        error: 0x0000_001f,
        meaning: "passwords are taken over an encrypted connection only: use ldaps:// or start_tls",
    },
    Row { error: 0x0000_0523, meaning: "the account name cannot be one: check sAMAccountName" },
    Row {
        error: 0x0000_0524,
        meaning: "another account has the same sAMAccountName or userPrincipalName: make the mapping tell them apart",
    },
    Row { error: 0x0000_0525, meaning: "there is no such account" },
    Row {
        error: 0x0000_052d,
        meaning: "the password is missing or breaks the password policy: accounts are enabled with one only, see \
                  people.first_password",
    },
    Row { error: 0x0000_0561, meaning: "it is not a member" },
    Row { error: 0x0000_0562, meaning: "it is a member already" },
    Row { error: 0x0000_2030, meaning: "there is no such entry" },
    Row { error: 0x0000_2098, meaning: "delegate the right to write here to rolecall's account" },
    Row { error: 0x0000_21c8, meaning: "another account has the same userPrincipalName" },
];

/// What may stand behind `data` when a bind is refused.
const LOGON_ERRORS: [Row; 9] = [
    Row { error: 0x525, meaning: "there is no such account" },
    Row { error: 0x52e, meaning: "the password is wrong" },
    Row { error: 0x530, meaning: "the account may not sign in at this time" },
    Row { error: 0x531, meaning: "the account may not sign in from this host" },
    Row { error: 0x532, meaning: "the account's password has expired" },
    Row { error: 0x533, meaning: "the account is disabled" },
    Row { error: 0x701, meaning: "the account has expired" },
    Row { error: 0x773, meaning: "the account must get a new password first" },
    Row { error: 0x775, meaning: "the account is locked out after too many wrong passwords" },
];

/// What the error in `text` means, for a person.
pub(crate) fn meaning(text: &str) -> Option<&'static str> {
    let find =
        |rows: &'static [Row], error: u32| rows.iter().find(|row| row.error == error).map(|row| row.meaning);
    logon_error(text)
        .and_then(|error| find(&LOGON_ERRORS, error))
        .or_else(|| error(text).and_then(|error| find(&ERRORS, error)))
}

/// What `code` with `text` means for `operation`, where the error says something else than the code alone.
pub(crate) fn verdict(code: u32, operation: Operation, text: &str) -> Option<Verdict> {
    let error = error(text);
    match (operation, code, error) {
        // ERROR_NOT_AUTHENTICATED: the server has forgotten who we are.
        (_, 1, Some(0x4dc)) => Some(Verdict::Down),
        // ERROR_MEMBER_NOT_IN_GROUP and ERROR_MEMBER_IN_GROUP: unwillingToPerform, or entryAlreadyExists.
        (Operation::Members, 53 | 68, Some(0x561 | 0x562)) => Some(Verdict::OneByOne),
        // ERROR_USER_EXISTS, and a userPrincipalName that another account has: the entry's own name is free.
        (Operation::Add, 19 | 68, Some(0x524 | 0x21c8)) => Some(Verdict::Doubt),
        _ => None,
    }
}

/// The number at the beginning: `00000524: SvcErr: …`.
fn error(text: &str) -> Option<u32> {
    let digits = text.get(..8)?;
    (text[8..].starts_with(':') && digits.bytes().all(|b| b.is_ascii_hexdigit()))
        .then(|| u32::from_str_radix(digits, 16).ok())?
}

/// The number in `80090308: LdapErr: …, comment: AcceptSecurityContext error, data 52e, v2580`.
fn logon_error(text: &str) -> Option<u32> {
    let (_, after) = text.split_once("AcceptSecurityContext error, data ")?;
    u32::from_str_radix(after.split(',').next()?.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_refused_bind_is_said() {
        let text = "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data 775, v3839";
        assert!(meaning(text).unwrap().contains("locked out"));
        assert_eq!(meaning("no such thing: data 775"), None);
    }

    #[test]
    fn the_error_before_the_text_decides_where_the_code_says_two_things() {
        let there = "00000562: UpdErr: DSID-031A11E2, problem 6005 (ENTRY_EXISTS), data 0";
        assert_eq!(verdict(68, Operation::Members, there), Some(Verdict::OneByOne));
        assert_eq!(verdict(68, Operation::Rename, there), None);
        let taken = "00000524: SvcErr: DSID-031A1236, problem 5003 (WILL_NOT_PERFORM)";
        assert_eq!(verdict(68, Operation::Add, taken), Some(Verdict::Doubt));
        assert!(meaning(taken).unwrap().contains("sAMAccountName"));
        let forgotten =
            "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind";
        assert_eq!(verdict(1, Operation::Add, forgotten), Some(Verdict::Down));
        assert_eq!(verdict(53, Operation::Members, "shadow context; no update"), None);
    }
}
