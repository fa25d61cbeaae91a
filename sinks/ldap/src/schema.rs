//! What a server's schema knows: object classes, attribute types, and how their values are compared, read from its
//! subschema entry (RFC 4512 §4.2).

use std::collections::{BTreeMap, BTreeSet};

use ldap3::Scope;
use rolecall_sink_api::SinkDown;

use crate::compare::{Rule, Rules};
use crate::connection::Connection;
use crate::entry::AttributeName;
use crate::server_kind::ServerKind;

/// How far an attribute's superiors are followed: a schema that goes in circles has an end all the same.
const DEPTH: usize = 16;

/// The object classes and attribute types of a server.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    /// By every name they have, in lower case.
    object_classes: BTreeSet<String>,
    /// By every name they have.
    attribute_types: BTreeMap<AttributeName, AttributeType>,
}

/// What one attribute type says of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct AttributeType {
    superior: Option<AttributeName>,
    equality: Option<String>,
    /// The syntax's OID, without a length.
    syntax: Option<String>,
}

impl Schema {
    /// Reads it; `None` when the server does not publish it to us.
    pub(crate) async fn read(connection: &Connection) -> Result<Option<Self>, SinkDown> {
        let Some(base) = &connection.server.subschema else { return Ok(None) };
        // Active Directory's is an entry of this class too, though all else of its schema is its own.
        let wanted = vec!["objectClasses", "attributeTypes"];
        let found = connection.search_raw(base, Scope::Base, "(objectClass=subschema)", wanted).await?;
        let Some(entry) = found.into_iter().next() else { return Ok(None) };
        let schema = Self::parse(
            entry.attributes.texts(&"objectClasses".into()),
            entry.attributes.texts(&"attributeTypes".into()),
        );
        Ok((!schema.object_classes.is_empty()).then_some(schema))
    }

    fn parse<'a>(
        object_classes: impl Iterator<Item = &'a str>,
        attribute_types: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut schema = Self::default();
        for description in object_classes {
            let names = Description::parse(description).names;
            schema.object_classes.extend(names.into_iter().map(|name| name.to_ascii_lowercase()));
        }
        for text in attribute_types {
            let description = Description::parse(text);
            let attribute_type = description.attribute_type();
            let names = description.names.into_iter().map(|name| (name.into(), attribute_type.clone()));
            schema.attribute_types.extend(names);
        }
        schema
    }

    pub(crate) fn has_object_class(&self, name: &str) -> bool {
        self.object_classes.contains(&name.to_ascii_lowercase())
    }

    /// Whether there is such an attribute; options (`;binary`) do not count.
    pub(crate) fn has_attribute(&self, name: &AttributeName) -> bool {
        self.attribute_types.contains_key(&name.without_options())
    }

    /// How the values of each attribute are compared.
    pub(crate) fn rules(&self, kind: ServerKind) -> Rules {
        let names = self.attribute_types.keys();
        Rules::new(names.filter_map(|name| Some((name.clone(), self.rule(name, kind)?))))
    }

    fn rule(&self, name: &AttributeName, kind: ServerKind) -> Option<Rule> {
        let mut at = self.attribute_types.get(name)?;
        for _ in 0..DEPTH {
            if let Some(rule) = at.equality.as_deref().and_then(Rule::of_matching_rule) {
                return Some(rule);
            }
            if kind == ServerKind::ActiveDirectory
                && let Some(rule) = at.syntax.as_deref().and_then(Rule::of_syntax)
            {
                return Some(rule);
            }
            at = self.attribute_types.get(at.superior.as_ref()?)?;
        }
        None
    }
}

/// One description (RFC 4512 §4.1), taken apart: `( 2.5.4.3 NAME ( 'cn' 'commonName' ) SUP name )`.
struct Description<'a> {
    /// The OID and the names.
    names: Vec<&'a str>,
    words: Vec<&'a str>,
}

impl<'a> Description<'a> {
    fn parse(text: &'a str) -> Self {
        let words = words(text);
        let mut names: Vec<&str> = words.iter().copied().find(|word| *word != "(").into_iter().collect();
        if let Some(at) = words.iter().position(|word| *word == "NAME") {
            match words.get(at + 1) {
                Some(&"(") => names.extend(words[at + 2..].iter().take_while(|word| **word != ")")),
                Some(name) => names.push(name),
                None => {}
            }
        }
        Self { names, words }
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        let at = self.words.iter().position(|word| *word == key)?;
        self.words.get(at + 1).copied()
    }

    fn attribute_type(&self) -> AttributeType {
        AttributeType {
            superior: self.value("SUP").map(AttributeName::from),
            equality: self.value("EQUALITY").map(str::to_owned),
            syntax: self.value("SYNTAX").and_then(|oid| oid.split('{').next()).map(str::to_owned),
        }
    }
}

/// The words of a description; what stands in quotes is one word, without them.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '\'' => rest[1..].split_once('\'').unwrap_or((&rest[1..], "")),
            '(' | ')' => rest.split_at(1),
            _ => rest.split_at(rest.find([' ', '(', ')', '\'']).unwrap_or(rest.len())),
        };
        words.push(word);
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_known_by_its_oid_and_all_its_names() {
        let names = |text| Description::parse(text).names;
        assert_eq!(names("( 2.5.4.3 NAME ( 'cn' 'commonName' ) SUP name )"), ["2.5.4.3", "cn", "commonName"]);
        assert_eq!(names("( 2.5.6.9 NAME 'groupOfNames' DESC 'a (b) NAME x' )"), ["2.5.6.9", "groupOfNames"]);
        assert_eq!(names("(1.2.3 DESC 'x')"), ["1.2.3"]);
    }

    #[test]
    fn an_attribute_is_compared_as_it_or_its_superior_says() {
        let types = [
            "( 2.5.4.41 NAME 'name' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15{32768} )",
            "( 2.5.4.3 NAME ( 'cn' 'commonName' ) DESC 'EQUALITY is not here' SUP name )",
            "( 1.2.3 NAME 'acmeBadge' EQUALITY caseExactMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )",
            "( 1.2.4 NAME 'acmeLoop' SUP acmeLoop )",
        ];
        let schema = Schema::parse(["( 2.5.6.0 NAME 'top' )"].into_iter(), types.into_iter());
        let rule = |name: &str| schema.rule(&name.into(), ServerKind::OpenLdap);
        assert_eq!(rule("commonname"), Some(Rule::CaseIgnore));
        assert_eq!(rule("acmeBadge"), Some(Rule::CaseExact));
        assert_eq!(rule("acmeLoop"), None);
        assert!(schema.has_attribute(&"CN;lang-en".into()) && !schema.has_attribute(&"sn".into()));
        assert!(schema.has_object_class("TOP"));
    }

    #[test]
    fn active_directory_compares_by_syntax() {
        let types = [
            "( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' SYNTAX '1.3.6.1.4.1.1466.115.121.1.15' SINGLE-VALUE )",
            "( 2.5.4.31 NAME 'member' SYNTAX '1.3.6.1.4.1.1466.115.121.1.12' )",
            "( 1.2.840.113556.1.4.750 NAME 'groupType' SYNTAX '1.3.6.1.4.1.1466.115.121.1.27' SINGLE-VALUE )",
        ];
        let schema = Schema::parse(std::iter::empty(), types.into_iter());
        let rule = |name: &str| schema.rule(&name.into(), ServerKind::ActiveDirectory);
        assert_eq!(rule("sAMAccountName"), Some(Rule::CaseIgnore));
        assert_eq!(rule("member"), Some(Rule::Name));
        assert_eq!(rule("groupType"), Some(Rule::Integer));
    }
}
