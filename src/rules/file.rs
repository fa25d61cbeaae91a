//! The rules file as it is written. These types are its JSON Schema too.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use rolecall_sink_api::{GroupId, OrganizationId, RoleName};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};

/// The rules file: from groups to roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RulesFile {
    /// The roles there are, each with a description or nothing. With this catalogue, a rule that grants a role
    /// that is not in it is an error; without it, any role may be granted.
    pub roles: Option<BTreeMap<RoleName, Option<String>>>,
    /// The roles that every active user has.
    pub default: OneOrMany<RoleName>,
    /// The rules, in any order: a user has every role that some rule grants.
    pub rules: Vec<RuleEntry>,
}

/// One rule: when its condition holds for a user, they have its roles.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleEntry {
    /// A name of the rule's own, for those who ask why somebody has a role.
    pub name: String,
    /// The condition.
    pub when: Condition,
    /// The roles.
    pub grant: OneOrMany<RoleName>,
}

/// What must be true of a user. All keys that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Condition {
    /// The user belongs to this organization, or to one of these. A group that is known to belong to another
    /// one does not count for the condition.
    pub organization: Option<OneOrMany<OrganizationId>>,
    /// The user is in this group, or in one of these.
    pub group: Option<OneOrMany<GroupMatch>>,
}

/// Which groups are meant: a name as it is, or a map with one of the keys of [`GroupPattern`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupMatch {
    /// The group with exactly this name; upper and lower case differ.
    Name(String),
    /// As the pattern says.
    Pattern(GroupPattern),
}

/// Which groups are meant. Exactly one key is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GroupPattern {
    /// The group with exactly this name; upper and lower case differ.
    pub name: Option<String>,
    /// Groups with a name like this: `*` stands for any characters, none included, and `?` for exactly one.
    /// Every other character stands for itself.
    pub glob: Option<String>,
    /// The group with this id, whatever its name.
    pub id: Option<GroupId>,
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value as text, or a list")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(OneOrMany::default())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        T::deserialize(value.into_deserializer()).map(|value| OneOrMany(vec![value]))
    }

    // A number or a boolean is refused in the words of what is wanted.
    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        T::deserialize(value.into_deserializer()).map(|value| OneOrMany(vec![value]))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        T::deserialize(value.into_deserializer()).map(|value| OneOrMany(vec![value]))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        T::deserialize(value.into_deserializer()).map(|value| OneOrMany(vec![value]))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(access)).map(|value| OneOrMany(vec![value]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(access)).map(OneOrMany)
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        schemars::json_schema!({"anyOf": [one, {"type": "array", "items": one}]})
    }
}

impl<'de> Deserialize<'de> for GroupMatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GroupMatchVisitor)
    }
}

struct GroupMatchVisitor;

impl<'de> Visitor<'de> for GroupMatchVisitor {
    type Value = GroupMatch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a group's name as text, or one of {name: …}, {glob: …} and {id: …}")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<GroupMatch, E> {
        Ok(GroupMatch::Name(value.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<GroupMatch, A::Error> {
        GroupPattern::deserialize(MapAccessDeserializer::new(access)).map(GroupMatch::Pattern)
    }
}

impl JsonSchema for GroupMatch {
    fn schema_name() -> Cow<'static, str> {
        "GroupMatch".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let pattern = generator.subschema_for::<GroupPattern>();
        schemars::json_schema!({
            "description": "Which groups are meant: a name as it is, or a map with one of name, glob and id.",
            "anyOf": [{"type": "string"}, pattern]
        })
    }
}
