//! When two values are the same: by the attribute's matching rule, not byte by byte.

use std::collections::BTreeSet;

use crate::dn::{Dn, fold};
use crate::entry::{AttributeName, Value};

/// How values of an attribute are compared (RFC 4517 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// caseIgnoreMatch: most of what people read.
    CaseIgnore,
    /// caseExactMatch.
    CaseExact,
    /// distinguishedNameMatch.
    Name,
    /// telephoneNumberMatch: spaces and hyphens do not count.
    Telephone,
    /// integerMatch.
    Integer,
    /// octetStringMatch and what else is no text.
    Octets,
}

impl Rule {
    /// The rule of the standard attributes; what is not listed ignores case, as most attributes do.
    fn of(attribute: &AttributeName) -> Self {
        match attribute.as_str().to_ascii_lowercase().as_str() {
            "member" | "uniquemember" | "seealso" | "manager" | "secretary" | "owner" | "roleoccupant"
            | "memberof" => Rule::Name,
            "telephonenumber" | "mobile" | "pager" | "homephone" | "facsimiletelephonenumber" => {
                Rule::Telephone
            }
            "uidnumber" | "gidnumber" => Rule::Integer,
            "labeleduri" | "homedirectory" | "loginshell" | "memberuid" => Rule::CaseExact,
            "userpassword"
            | "jpegphoto"
            | "photo"
            | "audio"
            | "usercertificate"
            | "usercertificate;binary" => Rule::Octets,
            _ => Rule::CaseIgnore,
        }
    }

    fn normal(self, value: &Value) -> Vec<u8> {
        let Some(text) = value.as_text() else { return value.as_bytes().to_vec() };
        let text = match self {
            Rule::CaseIgnore => fold(text),
            Rule::CaseExact => text.split_whitespace().collect::<Vec<_>>().join(" "),
            Rule::Telephone => {
                text.chars().filter(|c| !matches!(c, ' ' | '-')).flat_map(char::to_lowercase).collect()
            }
            Rule::Integer => text.parse::<i128>().map_or_else(|_| text.to_owned(), |n| n.to_string()),
            Rule::Name => match Dn::parse(text) {
                Ok(dn) => normal_dn(&dn),
                Err(_) => fold(text),
            },
            Rule::Octets => text.to_owned(),
        };
        text.into_bytes()
    }
}

/// One spelling for all spellings of a name.
fn normal_dn(dn: &Dn) -> String {
    let mut levels = Vec::new();
    let mut at = Some(dn.clone());
    while let Some(level) = at {
        let mut parts: Vec<String> = level
            .rdn_parts()
            .iter()
            .map(|(attribute, value)| {
                format!("{}={}", attribute.to_ascii_lowercase(), crate::dn::escape(&fold(value)))
            })
            .collect();
        parts.sort();
        levels.push(parts.join("+"));
        at = level.parent();
    }
    levels.join(",")
}

/// The value in the one spelling that all equal values of `attribute` share.
pub(crate) fn normal(attribute: &AttributeName, value: &Value) -> Vec<u8> {
    Rule::of(attribute).normal(value)
}

/// Whether `value` is among `values`.
pub(crate) fn contains(attribute: &AttributeName, values: &[Value], value: &Value) -> bool {
    let rule = Rule::of(attribute);
    let wanted = rule.normal(value);
    values.iter().any(|value| rule.normal(value) == wanted)
}

/// Whether both hold the same values, in any order.
pub(crate) fn same(attribute: &AttributeName, a: &[Value], b: &[Value]) -> bool {
    let rule = Rule::of(attribute);
    let normal = |values: &[Value]| values.iter().map(|v| rule.normal(v)).collect::<BTreeSet<_>>();
    normal(a) == normal(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same_text(attribute: &str, a: &str, b: &str) -> bool {
        same(&attribute.into(), &[a.into()], &[b.into()])
    }

    #[test]
    fn each_attribute_has_its_own_sameness() {
        assert!(same_text("Mail", "Ann@Example.com", "ann@example.com"));
        assert!(same_text("cn", "Ann  Smith ", "ann smith"));
        assert!(!same_text("homeDirectory", "/home/Ann", "/home/ann"));
        assert!(same_text("telephoneNumber", "+49 30-123", "+4930123"));
        assert!(same_text("uidNumber", "0042", "42"));
        assert!(same_text("MEMBER", "uid=Ann, dc=x", "UID=ann,DC=X"));
        assert!(!same_text("userPassword", "A", "a"));
        assert!(!same_text("title", "a", "b"));
    }

    #[test]
    fn order_and_repetition_do_not_count_but_values_do() {
        let name = AttributeName::from("mail");
        assert!(same(&name, &["a".into(), "b".into()], &["B".into(), "a".into(), "A".into()]));
        assert!(!same(&name, &["a".into()], &["a".into(), "b".into()]));
        assert!(contains(&name, &["A@x".into()], &"a@X".into()));
    }
}
