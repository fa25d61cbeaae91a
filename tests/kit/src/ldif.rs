//! Reading what `ldapsearch` prints (RFC 2849).

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// An entry as LDAP returned it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The distinguished name.
    pub dn: String,
    /// The values by attribute name, names as the server spells them, values in its order. Bytes that are not UTF-8
    /// appear as U+FFFD.
    pub attributes: BTreeMap<String, Vec<String>>,
}

impl Entry {
    /// The values of an attribute, whatever the case of its name; none when it is absent.
    pub fn values(&self, name: &str) -> &[String] {
        self.attributes
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map_or(&[], |(_, values)| values)
    }

    /// The first value of an attribute.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).first().map(String::as_str)
    }
}

/// The entries in an LDIF text.
pub(crate) fn entries(ldif: &str) -> Vec<Entry> {
    // A line that begins with a space goes on where the last one was folded.
    let unfolded = ldif.replace("\r\n", "\n").replace("\n ", "");
    let mut entries: Vec<Entry> = Vec::new();
    for line in unfolded.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, rest) = line.split_once(':').unwrap_or_else(|| panic!("no LDIF: {line}"));
        let value = match rest.strip_prefix(':') {
            Some(encoded) => {
                let bytes = BASE64_STANDARD.decode(encoded.trim());
                let bytes = bytes.unwrap_or_else(|e| panic!("no base64 in LDIF: {e}: {line}"));
                String::from_utf8_lossy(&bytes).into_owned()
            }
            None => rest.trim_start_matches(' ').to_owned(),
        };
        match entries.last_mut() {
            _ if name == "dn" => entries.push(Entry { dn: value, ..Entry::default() }),
            Some(entry) => entry.attributes.entry(name.to_owned()).or_default().push(value),
            // Before the first entry, only the version can stand.
            None => assert_eq!(name, "version", "no LDIF: {line}"),
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_folded_lines_joined() {
        let found = entries(
            "version: 1\n# a comment\ndn:: dWlkPXrDvMOfLG91PXBlb3BsZQ==\ncn: a very lo\n ng name\nmail: a@x\nmail: b@x\n\n\
             dn: cn=two\ndescription:: IGxlYWRpbmcgc3BhY2U=\nempty:\n",
        );
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].dn, "uid=züß,ou=people");
        assert_eq!(found[0].value("CN"), Some("a very long name"));
        assert_eq!(found[0].values("mail"), ["a@x", "b@x"]);
        assert_eq!(found[1].value("description"), Some(" leading space"));
        assert_eq!(found[1].value("empty"), Some(""));
        assert!(found[1].values("mail").is_empty());
    }
}
