//! Names of attributes, and values found by them: both regardless of case (RFC 7643 §2.1).

use std::fmt;

use serde_json::{Map, Value};

/// A resource, or an object in it: attributes by name.
pub(crate) type Attributes = Map<String, Value>;

/// The path of an attribute or of a sub-attribute: `title`, `name.givenName`,
/// `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department` (RFC 7644 §3.10).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path {
    /// The extension's URN; none for the core schema.
    pub(crate) extension: Option<String>,
    pub(crate) name: String,
    pub(crate) sub: Option<String>,
}

impl Path {
    /// The attribute `name` of the core schema or of an extension.
    pub(crate) fn new(extension: Option<&str>, name: &str) -> Self {
        Self { extension: extension.map(str::to_owned), name: name.to_owned(), sub: None }
    }

    /// One of its sub-attributes.
    pub(crate) fn sub(&self, sub: &str) -> Self {
        Self { sub: Some(sub.to_owned()), ..self.clone() }
    }

    /// What stands there; nothing is the same as null (RFC 7643 §2.5).
    pub(crate) fn get<'a>(&self, resource: &'a Attributes) -> Option<&'a Value> {
        let schema = match &self.extension {
            Some(urn) => get(resource, urn)?.as_object()?,
            None => resource,
        };
        let value = get(schema, &self.name)?;
        match &self.sub {
            Some(sub) => get(value.as_object()?, sub),
            None => Some(value),
        }
    }

    /// The items of the multi-valued attribute there.
    pub(crate) fn items<'a>(&self, resource: &'a Attributes) -> &'a [Value] {
        self.get(resource).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The place itself, made where it is missing.
    pub(crate) fn place<'a>(&self, resource: &'a mut Attributes) -> &'a mut Value {
        let mut at = resource;
        for name in self.extension.iter().chain(self.sub.is_some().then_some(&self.name)) {
            at = object(entry(at, name));
        }
        entry(at, self.sub.as_ref().unwrap_or(&self.name))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(extension) = &self.extension {
            write!(f, "{extension}:")?;
        }
        f.write_str(&self.name)?;
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}

/// The value of `name`, which is not null.
pub(crate) fn get<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a Value> {
    let named = |(key, _): &(&String, &Value)| key.eq_ignore_ascii_case(name);
    let value = attributes.get(name).or_else(|| attributes.iter().find(named).map(|(_, value)| value));
    value.filter(|value| !value.is_null())
}

/// The text of `name`, where it is text.
pub(crate) fn text<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    get(attributes, name).and_then(Value::as_str)
}

/// The entry of `name`, under the spelling that is there.
fn entry<'a>(attributes: &'a mut Attributes, name: &str) -> &'a mut Value {
    let spelling = attributes.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();
    attributes.entry(spelling.unwrap_or_else(|| name.to_owned())).or_insert(Value::Null)
}

/// The value as an object, which it becomes if it is none.
fn object(value: &mut Value) -> &mut Attributes {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(object) => object,
        _ => unreachable!("it was made an object just now"),
    }
}
