//! The id that the daemon keeps of an entry: the server's own, and the numbers that the entry was given, so that
//! they return to their user even when the entry was removed meanwhile.
//!
//! `4c28…-9f1a`, or `uidNumber=10001 gidNumber=10001 4c28…-9f1a`.

use std::fmt::Write as _;

use crate::entry::AttributeName;

/// Puts an entry's id and its numbers into one text.
pub(crate) fn join<'a>(id: &str, numbers: impl Iterator<Item = (&'a AttributeName, &'a str)>) -> String {
    let mut text = String::new();
    for (name, number) in numbers {
        // Writing to a String cannot fail.
        let _ = write!(text, "{name}={number} ");
    }
    text.push_str(id);
    text
}

/// The server's own id.
pub(crate) fn id(remote: &str) -> &str {
    let mut rest = remote;
    while let Some((_, _, after)) = first_number(rest) {
        rest = after;
    }
    rest
}

/// The number that the entry has, or had, in `attribute`.
pub(crate) fn number(remote: &str, attribute: &AttributeName) -> Option<u32> {
    let mut rest = remote;
    while let Some((name, number, after)) = first_number(rest) {
        if *attribute == name.into() {
            return Some(number);
        }
        rest = after;
    }
    None
}

fn first_number(text: &str) -> Option<(&str, u32, &str)> {
    let (first, after) = text.split_once(' ')?;
    // The name of an entry that has no id begins with `dn:`.
    let (name, number) = first.split_once('=').filter(|(name, _)| !name.contains(':'))?;
    Some((name, number.parse().ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_id_come_apart_again() {
        let (uid, gid) = (AttributeName::from("uidNumber"), AttributeName::from("gidNumber"));
        let remote = join("4c28-9f1a", [(&uid, "10001"), (&gid, "7")].into_iter());
        assert_eq!(remote, "uidNumber=10001 gidNumber=7 4c28-9f1a");
        assert_eq!(id(&remote), "4c28-9f1a");
        assert_eq!(number(&remote, &"GIDNUMBER".into()), Some(7));
        assert_eq!(number("4c28-9f1a", &uid), None);
    }

    #[test]
    fn a_name_that_stands_for_an_id_is_no_number() {
        let name = "dn:uid=1 2,ou=people,dc=x";
        assert_eq!(id(name), name);
        assert_eq!(number(name, &"uid".into()), None);
    }
}
