//! The names that a server's schema knows, read from its subschema entry (RFC 4512 §4.2).

use std::collections::BTreeSet;

use ldap3::Scope;
use rolecall_sink_api::SinkDown;

use crate::connection::Connection;

/// The object classes and attribute types of a server, by every name they have, in lower case.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    object_classes: BTreeSet<String>,
    attribute_types: BTreeSet<String>,
}

impl Schema {
    /// Reads it; `None` when the server does not publish it to us.
    pub(crate) async fn read(connection: &Connection) -> Result<Option<Self>, SinkDown> {
        let Some(base) = &connection.server.subschema else { return Ok(None) };
        let found = connection
            .search_raw(base, Scope::Base, "(objectClass=subschema)", vec!["objectClasses", "attributeTypes"])
            .await?;
        let Some(entry) = found.into_iter().next() else { return Ok(None) };
        let names = |attribute: &str| entry.attributes.texts(&attribute.into()).flat_map(names).collect();
        let schema =
            Self { object_classes: names("objectClasses"), attribute_types: names("attributeTypes") };
        Ok((!schema.object_classes.is_empty()).then_some(schema))
    }

    pub(crate) fn has_object_class(&self, name: &str) -> bool {
        self.object_classes.contains(&name.to_ascii_lowercase())
    }

    /// Whether there is such an attribute; options (`;binary`) do not count.
    pub(crate) fn has_attribute(&self, name: &str) -> bool {
        let name = name.split(';').next().unwrap_or(name);
        self.attribute_types.contains(&name.to_ascii_lowercase())
    }
}

/// The OID and the names of one description: `( 2.5.4.3 NAME ( 'cn' 'commonName' ) SUP name )`.
fn names(description: &str) -> Vec<String> {
    let mut words = description.split_whitespace().skip_while(|word| *word == "(");
    let mut names: Vec<String> = words.next().map(str::to_ascii_lowercase).into_iter().collect();
    if let Some((_, after)) = description.split_once(" NAME ") {
        let after = after.trim_start();
        let listed = match after.strip_prefix('(') {
            Some(list) => list.split(')').next().unwrap_or_default(),
            None => after.split_inclusive('\'').take(2).last().unwrap_or_default(),
        };
        let listed = listed.split('\'').map(str::trim).filter(|name| !name.is_empty());
        names.extend(listed.map(str::to_ascii_lowercase));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_known_by_its_oid_and_all_its_names() {
        assert_eq!(names("( 2.5.4.3 NAME ( 'cn' 'commonName' ) SUP name )"), ["2.5.4.3", "cn", "commonname"]);
        assert_eq!(names("( 2.5.6.9 NAME 'groupOfNames' DESC 'a (b) ''c' )"), ["2.5.6.9", "groupofnames"]);
        assert_eq!(names("(1.2.3 DESC 'x')"), ["(1.2.3"]);
    }
}
