//! How an account is locked for good, and unlocked, on each kind of server.

use crate::entry::{AttributeName, Attributes, Value};
use crate::request::Modification;

/// A way to lock accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// `pwdAccountLockedTime`, which the password policy overlay of OpenLDAP reads
    /// (draft-behera-ldap-password-policy §5.3.3).
    PasswordPolicy,
    /// `nsAccountLock`, which 389 Directory Server reads.
    NsAccount,
    /// The bit ACCOUNTDISABLE of `userAccountControl`, which Active Directory reads ([MS-ADTS] §2.2.16).
    AccountControl,
}

/// "Locked until an administrator says otherwise".
const FOR_GOOD: &str = "000001010000Z";
/// ACCOUNTDISABLE.
const DISABLED: i64 = 0x2;
/// NORMAL_ACCOUNT: what an account has whose flags are not known.
const NORMAL: i64 = 0x200;

impl Lock {
    /// The attribute that it is kept in.
    pub(crate) fn attribute(self) -> AttributeName {
        match self {
            Lock::PasswordPolicy => "pwdAccountLockedTime",
            Lock::NsAccount => "nsAccountLock",
            Lock::AccountControl => "userAccountControl",
        }
        .into()
    }

    /// Whether an entry with these attributes is locked.
    pub(crate) fn holds(self, attributes: &Attributes) -> bool {
        let name = self.attribute();
        let mut values = attributes.texts(&name);
        match self {
            Lock::PasswordPolicy => values.any(|value| value == FOR_GOOD),
            Lock::NsAccount => values.any(|value| value.eq_ignore_ascii_case("true")),
            Lock::AccountControl => {
                values.filter_map(|v| v.parse::<i64>().ok()).any(|flags| flags & DISABLED != 0)
            }
        }
    }

    /// Locks an entry that is yet to be made.
    pub(crate) fn put_on(self, attributes: &mut Attributes) {
        let value = match self {
            Lock::PasswordPolicy => FOR_GOOD.into(),
            Lock::NsAccount => "true".into(),
            Lock::AccountControl => (flags(attributes).unwrap_or(NORMAL) | DISABLED).to_string().into(),
        };
        attributes.set(self.attribute(), vec![value]);
    }

    /// What locks an entry that has these attributes; nothing when it is locked.
    pub(crate) fn lock(self, attributes: &Attributes) -> Vec<Modification> {
        let name = self.attribute();
        match self {
            _ if self.holds(attributes) => Vec::new(),
            Lock::PasswordPolicy => vec![Modification::replace(&name, vec![FOR_GOOD.into()])],
            Lock::NsAccount => vec![Modification::replace(&name, vec!["true".into()])],
            Lock::AccountControl => change_flags(attributes, |flags| flags | DISABLED),
        }
    }

    /// What unlocks an entry that has these attributes; nothing when it is not locked.
    pub(crate) fn unlock(self, attributes: &Attributes) -> Vec<Modification> {
        let name = self.attribute();
        match self {
            _ if !self.holds(attributes) => Vec::new(),
            Lock::PasswordPolicy | Lock::NsAccount => vec![Modification::replace(&name, Vec::new())],
            Lock::AccountControl => change_flags(attributes, |flags| flags & !DISABLED),
        }
    }
}

fn flags(attributes: &Attributes) -> Option<i64> {
    attributes.texts(&Lock::AccountControl.attribute()).next()?.parse().ok()
}

/// The other flags are others' business. The old value is named, so that the request fails, and is planned anew, when
/// somebody changed one of them meanwhile.
fn change_flags(attributes: &Attributes, change: impl Fn(i64) -> i64) -> Vec<Modification> {
    let name = Lock::AccountControl.attribute();
    let value = |flags: i64| vec![Value::from(flags.to_string())];
    match flags(attributes) {
        Some(flags) => {
            vec![Modification::delete(&name, value(flags)), Modification::add(&name, value(change(flags)))]
        }
        None => vec![Modification::replace(&name, value(change(NORMAL)))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Lock; 3] = [Lock::PasswordPolicy, Lock::NsAccount, Lock::AccountControl];

    fn account(flags: &str) -> Attributes {
        let mut attributes = Attributes::default();
        attributes.push("userAccountControl".into(), flags.into());
        attributes
    }

    #[test]
    fn what_is_locked_is_not_locked_again_and_what_is_not_is_not_unlocked() {
        for lock in ALL {
            let mut attributes = account("512");
            assert_eq!(lock.unlock(&attributes), []);
            assert_ne!(lock.lock(&attributes), []);
            lock.put_on(&mut attributes);
            assert!(lock.holds(&attributes));
            assert_eq!(lock.lock(&attributes), []);
            assert_ne!(lock.unlock(&attributes), []);
        }
    }

    #[test]
    fn the_other_flags_of_an_account_stay() {
        // NORMAL_ACCOUNT, DONT_EXPIRE_PASSWORD and SMARTCARD_REQUIRED.
        let (has, locked) = ("328192", "328194");
        let name = "userAccountControl".into();
        let swap = |from: &str, to: &str| {
            vec![Modification::delete(&name, vec![from.into()]), Modification::add(&name, vec![to.into()])]
        };
        assert_eq!(Lock::AccountControl.lock(&account(has)), swap(has, locked));
        assert_eq!(Lock::AccountControl.unlock(&account(locked)), swap(locked, has));
        let mut new = account(has);
        Lock::AccountControl.put_on(&mut new);
        assert_eq!(new, account(locked));
    }

    #[test]
    fn a_lock_that_ends_by_itself_is_made_one_for_good() {
        let mut attributes = Attributes::default();
        attributes.push("pwdAccountLockedTime".into(), "20260101000000Z".into());
        assert_eq!(
            Lock::PasswordPolicy.lock(&attributes),
            [Modification::replace(&"pwdAccountLockedTime".into(), vec![FOR_GOOD.into()])]
        );
    }
}
