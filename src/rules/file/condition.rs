//! Conditions as they are written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use rolecall_sink_api::{GroupId, OrganizationId};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::{Moment, OneOrMany, Scalar, TestGroup};

/// What must be true of a user. All keys that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Condition {
    /// The user belongs to this organization, or to one of these. A group that is known to belong to another
    /// one does not count for the condition, nor for those within it.
    pub organization: Option<OneOrMany<OrganizationId>>,
    /// The user comes from this directory (`dir_…`: one connection to one identity provider), or from one of these.
    pub directory: Option<OneOrMany<String>>,
    /// What is known of the user came through this source of the configuration, or through one of these.
    pub source: Option<OneOrMany<String>>,
    /// The user is in this group, or in one of these.
    pub group: Option<OneOrMany<TextOr<GroupPattern>>>,
    /// By an attribute's name (`department`, `address.country`, or `custom.` and the name of one that the customer
    /// mapped): what it must be. One that is a list holds when one of its values does.
    pub attribute: Option<BTreeMap<String, AttributeMatch>>,
    /// The identity provider itself gives the user this role, or one of these.
    pub provider_role: Option<OneOrMany<TextOr<NamePattern>>>,
    /// Whether the user may have access. Rules ask only about users who may.
    pub active: Option<bool>,
    /// Each of these conditions holds.
    pub all: Option<Vec<Condition>>,
    /// At least one of these conditions holds.
    pub any: Option<Vec<Condition>>,
    /// This condition does not hold.
    pub not: Option<Box<Condition>>,
}

/// Which groups are meant. Exactly one key is given, beside `ignore_case`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GroupPattern {
    /// The group with exactly this name; upper and lower case differ.
    pub name: Option<String>,
    /// Groups with a name like this: `*` stands for any characters, none included, and `?` for exactly one.
    /// Every other character stands for itself.
    pub glob: Option<String>,
    /// Groups whose whole name matches this regular expression (the syntax of Rust's regex crate, which takes linear
    /// time). What a named capture such as `(?<project>.+)` matched can stand in the rule's roles.
    pub regex: Option<String>,
    /// The group with this id, whatever its name.
    pub id: Option<GroupId>,
    /// Whether upper and lower case are the same. Default: false.
    pub ignore_case: bool,
}

/// Which names are meant. Exactly one key is given, beside `ignore_case`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NamePattern {
    /// Exactly this name; upper and lower case differ.
    pub name: Option<String>,
    /// Names like this: `*` stands for any characters, none included, and `?` for exactly one.
    pub glob: Option<String>,
    /// Names that match this regular expression as a whole.
    pub regex: Option<String>,
    /// Whether upper and lower case are the same. Default: false.
    pub ignore_case: bool,
}

/// What an attribute must be. All keys that are given must hold, for one and the same value.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AttributePattern {
    /// It is this, or one of these.
    pub is: Option<OneOrMany<Scalar>>,
    /// It is like this: `*` stands for any characters, none included, and `?` for exactly one.
    pub glob: Option<String>,
    /// It matches this regular expression as a whole.
    pub regex: Option<String>,
    /// It is set, whatever it is; with false, it is not set.
    pub exists: Option<bool>,
    /// It is a number greater than this.
    pub more_than: Option<f64>,
    /// It is this number or a greater one.
    pub at_least: Option<f64>,
    /// It is a number less than this.
    pub less_than: Option<f64>,
    /// It is this number or a lesser one.
    pub at_most: Option<f64>,
    /// It is a day or a time before this one. A day counts from its first moment, UTC.
    pub before: Option<Moment>,
    /// It is this day or time, or a later one.
    pub since: Option<Moment>,
    /// It is a day or a time that has not begun yet; with false, one that has. Roles come and go when it does.
    pub future: Option<bool>,
    /// Whether upper and lower case are the same in `is`, `glob` and `regex`. Default: false.
    pub ignore_case: bool,
}

/// A text as it is, or a map that says more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextOr<P> {
    /// The text.
    Text(String),
    /// The map.
    Map(P),
}

/// What may stand in place of a text.
pub trait InPlaceOfText {
    /// Both, for whoever wrote something else.
    const EXPECTED: &'static str;
    /// What is meant, for the schema.
    const DESCRIPTION: &'static str;
}

impl InPlaceOfText for GroupPattern {
    const EXPECTED: &'static str =
        "a group's name as text, or one of {name: …}, {glob: …}, {regex: …} and {id: …}";
    const DESCRIPTION: &'static str = "Which groups are meant: a name as it is, or a map.";
}

impl InPlaceOfText for NamePattern {
    const EXPECTED: &'static str = "a name as text, or one of {name: …}, {glob: …} and {regex: …}";
    const DESCRIPTION: &'static str = "Which names are meant: a name as it is, or a map.";
}

impl InPlaceOfText for TestGroup {
    const EXPECTED: &'static str = "a group's name as text, or a map of name, id and organization";
    const DESCRIPTION: &'static str = "A group: its name, or a map.";
}

impl<'de, P: Deserialize<'de> + InPlaceOfText> Deserialize<'de> for TextOr<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrVisitor(PhantomData))
    }
}

struct TextOrVisitor<P>(PhantomData<P>);

impl<'de, P: Deserialize<'de> + InPlaceOfText> Visitor<'de> for TextOrVisitor<P> {
    type Value = TextOr<P>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(P::EXPECTED)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(TextOr::Text(value.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Self::Value, A::Error> {
        P::deserialize(MapAccessDeserializer::new(access)).map(TextOr::Map)
    }
}

impl<P: JsonSchema + InPlaceOfText> JsonSchema for TextOr<P> {
    fn schema_name() -> Cow<'static, str> {
        format!("TextOr_{}", P::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let map = generator.subschema_for::<P>();
        schemars::json_schema!({"description": P::DESCRIPTION, "anyOf": [{"type": "string"}, map]})
    }
}

/// What an attribute must be: a value, one of several, or as the pattern says.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeMatch {
    /// One of these.
    Values(OneOrMany<Scalar>),
    /// As the pattern says.
    Pattern(Box<AttributePattern>),
}

impl<'de> Deserialize<'de> for AttributeMatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AttributeMatchVisitor)
    }
}

struct AttributeMatchVisitor;

impl AttributeMatchVisitor {
    fn one<'de, E: Error>(value: impl IntoDeserializer<'de, E>) -> Result<AttributeMatch, E> {
        Scalar::deserialize(value.into_deserializer())
            .map(|value| AttributeMatch::Values(OneOrMany(vec![value])))
    }
}

impl<'de> Visitor<'de> for AttributeMatchVisitor {
    type Value = AttributeMatch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list of values, or a map such as {glob: …} or {at_least: …}")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<AttributeMatch, E> {
        Self::one(value)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<AttributeMatch, E> {
        Self::one(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<AttributeMatch, E> {
        Self::one(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<AttributeMatch, E> {
        Self::one(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<AttributeMatch, E> {
        Self::one(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<AttributeMatch, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(access))
            .map(|values| AttributeMatch::Values(OneOrMany(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<AttributeMatch, A::Error> {
        AttributePattern::deserialize(MapAccessDeserializer::new(access))
            .map(|pattern| AttributeMatch::Pattern(Box::new(pattern)))
    }
}

impl JsonSchema for AttributeMatch {
    fn schema_name() -> Cow<'static, str> {
        "AttributeMatch".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<Scalar>();
        let pattern = generator.subschema_for::<AttributePattern>();
        schemars::json_schema!({
            "description": "What an attribute must be: a value, one of several, or a map.",
            "anyOf": [value, {"type": "array", "items": value}, pattern]
        })
    }
}
