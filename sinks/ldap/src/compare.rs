//! When two values are the same: by the attribute's matching rule, not byte by byte.

use std::collections::{BTreeMap, BTreeSet};

use crate::dn::{Dn, fold};
use crate::entry::{AttributeName, Value};

/// How values of an attribute are compared (RFC 4517 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// caseIgnoreMatch and its kin: most of what people read.
    CaseIgnore,
    /// caseExactMatch and its kin.
    CaseExact,
    /// distinguishedNameMatch.
    Name,
    /// telephoneNumberMatch: spaces and hyphens do not count.
    Telephone,
    /// numericStringMatch: spaces do not count.
    Numeric,
    /// integerMatch.
    Integer,
    /// booleanMatch.
    Boolean,
    /// generalizedTimeMatch: a fraction of nothing does not count.
    Time,
    /// octetStringMatch and what else is no text.
    Octets,
}

/// The rule of each attribute, as a server's schema has it. What the schema does not say follows the standards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules(BTreeMap<AttributeName, Rule>);

impl Rules {
    /// The rules that a schema states.
    pub(crate) fn new(rules: impl IntoIterator<Item = (AttributeName, Rule)>) -> Self {
        Self(rules.into_iter().collect())
    }

    fn of(&self, attribute: &AttributeName) -> Rule {
        match self.0.get(&attribute.without_options()) {
            Some(rule) => *rule,
            None => Rule::standard(attribute),
        }
    }

    /// The value in the one spelling that all equal values of `attribute` share.
    pub(crate) fn normal(&self, attribute: &AttributeName, value: &Value) -> Vec<u8> {
        self.of(attribute).normal(value)
    }

    /// Whether `value` is among `values`.
    pub(crate) fn contains(&self, attribute: &AttributeName, values: &[Value], value: &Value) -> bool {
        let rule = self.of(attribute);
        let wanted = rule.normal(value);
        values.iter().any(|value| rule.normal(value) == wanted)
    }

    /// Whether both hold the same values, in any order.
    pub(crate) fn same(&self, attribute: &AttributeName, a: &[Value], b: &[Value]) -> bool {
        let rule = self.of(attribute);
        let normal = |values: &[Value]| values.iter().map(|v| rule.normal(v)).collect::<BTreeSet<_>>();
        normal(a) == normal(b)
    }
}

impl Rule {
    /// The rule of the standard attributes; what is not listed ignores case, as most attributes do.
    fn standard(attribute: &AttributeName) -> Self {
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

    /// The rule with this name or OID (RFC 4517 §4.2; RFC 4530 for UUIDs).
    pub(crate) fn of_matching_rule(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "caseignorematch"
            | "2.5.13.2"
            | "caseignoreia5match"
            | "1.3.6.1.4.1.1466.109.114.2"
            | "caseignorelistmatch"
            | "2.5.13.11"
            | "objectidentifiermatch"
            | "2.5.13.0"
            | "uuidmatch"
            | "1.3.6.1.1.16.2" => Rule::CaseIgnore,
            "caseexactmatch" | "2.5.13.5" | "caseexactia5match" | "1.3.6.1.4.1.1466.109.114.1" => {
                Rule::CaseExact
            }
            "distinguishednamematch" | "2.5.13.1" | "uniquemembermatch" | "2.5.13.23" => Rule::Name,
            "telephonenumbermatch" | "2.5.13.20" => Rule::Telephone,
            "numericstringmatch" | "2.5.13.8" => Rule::Numeric,
            "integermatch" | "2.5.13.14" => Rule::Integer,
            "booleanmatch" | "2.5.13.13" => Rule::Boolean,
            "generalizedtimematch" | "2.5.13.27" => Rule::Time,
            "octetstringmatch" | "2.5.13.17" => Rule::Octets,
            _ => return None,
        })
    }

    /// The rule by which Active Directory compares values of a syntax: its schema names no matching rules
    /// ([MS-ADTS] §3.1.1.2.2.2; there IA5 and printable strings are case-sensitive).
    pub(crate) fn of_syntax(oid: &str) -> Option<Self> {
        Some(match oid {
            "1.3.6.1.4.1.1466.115.121.1.15" | "1.2.840.113556.1.4.905" | "1.3.6.1.4.1.1466.115.121.1.38" => {
                Rule::CaseIgnore
            }
            "1.3.6.1.4.1.1466.115.121.1.26" | "1.3.6.1.4.1.1466.115.121.1.44" | "1.2.840.113556.1.4.1362" => {
                Rule::CaseExact
            }
            "1.3.6.1.4.1.1466.115.121.1.12" => Rule::Name,
            "1.3.6.1.4.1.1466.115.121.1.36" => Rule::Numeric,
            "1.3.6.1.4.1.1466.115.121.1.27" | "1.2.840.113556.1.4.906" => Rule::Integer,
            "1.3.6.1.4.1.1466.115.121.1.7" => Rule::Boolean,
            "1.3.6.1.4.1.1466.115.121.1.24" | "1.3.6.1.4.1.1466.115.121.1.53" => Rule::Time,
            "1.3.6.1.4.1.1466.115.121.1.40" | "1.2.840.113556.1.4.907" => Rule::Octets,
            _ => return None,
        })
    }

    fn normal(self, value: &Value) -> Vec<u8> {
        let Some(text) = value.as_text() else { return value.as_bytes().to_vec() };
        let text = match self {
            Rule::CaseIgnore => fold(text),
            Rule::CaseExact => text.split_whitespace().collect::<Vec<_>>().join(" "),
            Rule::Telephone => {
                text.chars().filter(|c| !matches!(c, ' ' | '-')).flat_map(char::to_lowercase).collect()
            }
            Rule::Numeric => text.chars().filter(|c| *c != ' ').collect(),
            Rule::Boolean => text.to_ascii_uppercase(),
            Rule::Time => whole_seconds(text),
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

/// `20260101000000.0Z` as `20260101000000Z` (RFC 4517 §3.3.13).
fn whole_seconds(time: &str) -> String {
    match time.split_once(['.', ',']) {
        Some((seconds, rest)) => {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let fraction = rest[..digits].trim_end_matches('0');
            let point = if fraction.is_empty() { "" } else { "." };
            format!("{seconds}{point}{fraction}{}", &rest[digits..])
        }
        None => time.to_owned(),
    }
}

/// [`Rules::normal`] by the standards, where there is no server whose schema would say more.
pub(crate) fn normal(attribute: &AttributeName, value: &Value) -> Vec<u8> {
    Rule::standard(attribute).normal(value)
}

/// [`Rules::contains`] by the standards.
pub(crate) fn contains(attribute: &AttributeName, values: &[Value], value: &Value) -> bool {
    Rules::default().contains(attribute, values, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same_text(attribute: &str, a: &str, b: &str) -> bool {
        Rules::default().same(&attribute.into(), &[a.into()], &[b.into()])
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
    fn what_the_schema_says_comes_before_what_is_standard() {
        let rules = Rules::new([("title".into(), Rule::CaseExact), ("acmeSwitch".into(), Rule::Boolean)]);
        let same = |name: &str, a: &str, b: &str| rules.same(&name.into(), &[a.into()], &[b.into()]);
        assert!(!same("Title", "CTO", "cto") && !same("title;lang-en", "CTO", "cto"));
        assert!(same("acmeSwitch", "true", "TRUE"));
        assert!(same("sn", "Smith", "SMITH"));
    }

    #[test]
    fn every_rule_knows_what_it_calls_equal() {
        let equal = |rule: Rule, a: &str, b: &str| rule.normal(&a.into()) == rule.normal(&b.into());
        assert!(equal(Rule::Numeric, "12 34", "1234") && !equal(Rule::Numeric, "012", "12"));
        assert!(equal(Rule::Time, "20260101000000Z", "20260101000000.0Z"));
        assert!(!equal(Rule::Time, "20260101000000.5Z", "20260101000000Z"));
        assert!(equal(Rule::Integer, "-007", "-7") && !equal(Rule::Octets, "a", "A"));
    }

    #[test]
    fn order_and_repetition_do_not_count_but_values_do() {
        let name = AttributeName::from("mail");
        let rules = Rules::default();
        assert!(rules.same(&name, &["a".into(), "b".into()], &["B".into(), "a".into(), "A".into()]));
        assert!(!rules.same(&name, &["a".into()], &["a".into(), "b".into()]));
        assert!(contains(&name, &["A@x".into()], &"a@X".into()));
    }
}
