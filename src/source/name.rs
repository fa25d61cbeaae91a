//! A source's name.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// A source's name: its key under `sources`, and the end of its address, `/webhooks/<name>`. Lower-case
/// letters, digits, `-` and `_`, at most 64.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct SourceName(String);

impl SourceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SourceName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) {
            return Err(format!(
                "{name:?} cannot be the name of a source: it is the end of an address, so use at most 64 \
                 lower-case letters, digits, - and _"
            ));
        }
        Ok(Self(name))
    }
}

impl std::borrow::Borrow<str> for SourceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for SourceName {
    fn schema_name() -> Cow<'static, str> {
        "SourceName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[a-z0-9_-]{1,64}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_stand_in_an_address_as_it_is() {
        for good in ["scalekit", "scalekit-eu_2"] {
            assert_eq!(SourceName::try_from(good.to_owned()).unwrap().as_str(), good);
        }
        for bad in ["", "Scalekit", "a/b", "a b", "..", "ü", &"a".repeat(65)] {
            assert!(SourceName::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
