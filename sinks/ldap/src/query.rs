//! What is looked for in a target: equality of values, joined by "or" within an attribute and "and" between
//! them. A server gets it as a filter (RFC 4515), an LDIF file's memory answers it itself.

use std::fmt::Write as _;

use crate::compare;
use crate::dn::Dn;
use crate::entry::{AttributeName, Entry, Value};

/// How many values one filter names at most; more are asked for in several searches.
pub(crate) const MAX_VALUES: usize = 100;

/// A search below `base`, itself included.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) base: Dn,
    /// All of these must hold.
    pub(crate) conditions: Vec<Condition>,
    /// The attributes to fetch.
    pub(crate) attributes: Vec<AttributeName>,
}

/// One condition on an entry.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    /// At least one of the attributes has the value beside it.
    Any(Vec<(AttributeName, Value)>),
    /// The attribute has a value that begins so.
    Begins(AttributeName, String),
}

impl Query {
    /// The filter, every value escaped.
    pub(crate) fn filter(&self) -> String {
        let mut out = String::from("(&");
        for condition in &self.conditions {
            // Writing to a String cannot fail.
            let _ = match condition {
                Condition::Any(any) => {
                    out.push_str("(|");
                    for (attribute, value) in any {
                        let _ = write!(out, "({attribute}={})", escape(value));
                    }
                    out.write_char(')')
                }
                Condition::Begins(attribute, start) => {
                    write!(out, "({attribute}={}*)", ldap3::ldap_escape(start.as_str()))
                }
            };
        }
        out.push(')');
        out
    }

    /// Two queries for half the values each that find the same together; `None` when there is nothing to halve.
    pub(crate) fn halves(&self) -> Option<[Query; 2]> {
        let long = |condition: &Condition| matches!(condition, Condition::Any(any) if any.len() > 1);
        let at = self.conditions.iter().position(long)?;
        let Condition::Any(any) = &self.conditions[at] else { return None };
        let (first, second) = any.split_at(any.len() / 2);
        Some([first, second].map(|half| {
            let mut query = self.clone();
            query.conditions[at] = Condition::Any(half.to_vec());
            query
        }))
    }

    /// Whether `entry` is one of those.
    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        entry.dn.is_within(&self.base)
            && self.conditions.iter().all(|condition| match condition {
                Condition::Any(any) => any.iter().any(|(attribute, value)| {
                    compare::contains(attribute, entry.attributes.get(attribute), value)
                }),
                Condition::Begins(attribute, start) => {
                    entry.attributes.texts(attribute).any(|text| text.starts_with(start.as_str()))
                }
            })
    }
}

/// RFC 4515 §3. What is not UTF-8 goes as hex.
fn escape(value: &Value) -> String {
    match value.as_text() {
        Some(text) => ldap3::ldap_escape(text).into_owned(),
        None => value.as_bytes().iter().fold(String::new(), |mut out, byte| {
            let _ = write!(out, "\\{byte:02x}");
            out
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_ask_for_everything_once() {
        let any = |names: &[&str]| Condition::Any(names.iter().map(|n| ("cn".into(), (*n).into())).collect());
        let query = |condition: Condition| Query {
            base: Dn::parse("dc=x").unwrap(),
            conditions: vec![Condition::Begins("mail".into(), "a".into()), condition],
            attributes: Vec::new(),
        };
        let halves = query(any(&["a", "b", "c"])).halves().unwrap().map(|half| half.filter());
        assert_eq!(halves, ["(&(mail=a*)(|(cn=a)))", "(&(mail=a*)(|(cn=b)(cn=c)))"]);
        assert!(query(any(&["a"])).halves().is_none());
    }

    #[test]
    fn no_value_changes_the_filters_meaning() {
        let query = Query {
            base: Dn::parse("dc=x").unwrap(),
            conditions: vec![
                Condition::Any(vec![("cn".into(), "*)(uid=\u{0}\\".into()), ("x".into(), vec![0xff].into())]),
                Condition::Begins("businessCategory".into(), "role*".into()),
            ],
            attributes: Vec::new(),
        };
        assert_eq!(query.filter(), r"(&(|(cn=\2a\29\28uid=\00\5c)(x=\ff))(businessCategory=role\2a*))");
    }
}
