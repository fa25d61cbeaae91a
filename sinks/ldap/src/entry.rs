//! An entry: its name, and its attributes with their values.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use ldap3::SearchEntry;

use crate::dn::{Dn, DnError};

/// An attribute's name. LDAP does not regard its case, so neither do comparisons here.
#[derive(Clone, Debug)]
pub(crate) struct AttributeName(String);

impl AttributeName {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The attribute itself: `userCertificate` of `userCertificate;binary` (RFC 4512 §2.5).
    pub(crate) fn without_options(&self) -> Self {
        Self(self.0.split(';').next().unwrap_or_default().to_owned())
    }
}

impl PartialEq for AttributeName {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for AttributeName {}

impl PartialOrd for AttributeName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AttributeName {
    fn cmp(&self, other: &Self) -> Ordering {
        let lower = |name: &AttributeName| name.0.bytes().map(|b| b.to_ascii_lowercase()).collect::<Vec<_>>();
        lower(self).cmp(&lower(other))
    }
}

impl From<&str> for AttributeName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One value of an attribute: octets, which most syntaxes read as UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Value(Vec<u8>);

impl Value {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<Vec<u8>> for Value {
    fn from(octets: Vec<u8>) -> Self {
        Self(octets)
    }
}

/// Attributes by name. An attribute without values does not exist, so none is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(BTreeMap<AttributeName, Vec<Value>>);

impl Attributes {
    /// The values of `name`; none when it is absent.
    pub(crate) fn get(&self, name: &AttributeName) -> &[Value] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The values of `name` that are text.
    pub(crate) fn texts<'a>(&'a self, name: &AttributeName) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.get(name).into_iter().flatten().filter_map(Value::as_text)
    }

    /// Gives `name` exactly these values.
    pub(crate) fn set(&mut self, name: AttributeName, values: Vec<Value>) {
        if values.is_empty() {
            self.0.remove(&name);
        } else {
            self.0.insert(name, values);
        }
    }

    /// Adds one value, unless it is there byte by byte.
    pub(crate) fn push(&mut self, name: AttributeName, value: Value) {
        let values = self.0.entry(name).or_default();
        if !values.contains(&value) {
            values.push(value);
        }
    }

    /// Adds values to those that are there, without a look at them.
    pub(crate) fn append(&mut self, name: AttributeName, values: Vec<Value>) {
        if !values.is_empty() {
            self.0.entry(name).or_default().extend(values);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&AttributeName, &[Value])> {
        self.0.iter().map(|(name, values)| (name, values.as_slice()))
    }
}

/// An entry as the target holds it, with those attributes that were asked for.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) dn: Dn,
    pub(crate) attributes: Attributes,
}

impl TryFrom<SearchEntry> for Entry {
    type Error = DnError;

    fn try_from(found: SearchEntry) -> Result<Self, DnError> {
        let mut attributes = Attributes::default();
        for (name, values) in found.attrs {
            attributes.set(AttributeName(name), values.into_iter().map(Value::from).collect());
        }
        for (name, values) in found.bin_attrs {
            attributes.set(AttributeName(name), values.into_iter().map(Value::from).collect());
        }
        Ok(Self { dn: Dn::parse(&found.dn)?, attributes })
    }
}
