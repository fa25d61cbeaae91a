//! A request's body, read as the API's document describes it.
//!
//! serde reads JSON more freely in two ways and more narrowly in one: a struct also from a list of its fields, and a whole
//! number not when it is written as `2.0`, which JSON Schema (2020-12, 6.1.1) takes for the same. What schemas are made
//! of is the document's word, so bodies go by that.

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Number, Value};

use super::refusal::Refusal;

/// Reads a body.
///
/// # Errors
/// When it is no JSON, or not what the document describes: says where.
pub(super) fn read<B: DeserializeOwned>(bytes: &[u8]) -> Result<B, Refusal> {
    let json = serde_json::from_slice(bytes).map_err(|error| Refusal::unreadable("the body", error))?;
    serde_path_to_error::deserialize(Json(json)).map_err(|error| Refusal::unreadable("the body", error))
}

/// JSON that is read by what it is.
struct Json(Value);

/// The whole number that this is, where it is written with a fraction of zero.
enum Whole {
    Negative(i64),
    Natural(u64),
}

impl Whole {
    fn written_as_fraction(number: &Number) -> Option<Self> {
        // Both ends are powers of two, so floats hold them. What was written beyond an end may have been rounded to it.
        const LEAST: f64 = i64::MIN as f64;
        const BEYOND: f64 = u64::MAX as f64;
        let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0)?;
        if (0.0..BEYOND).contains(&float) {
            Some(Self::Natural(float as u64))
        } else {
            (float > LEAST && float < 0.0).then_some(Self::Negative(float as i64))
        }
    }
}

impl<'de> Deserializer<'de> for Json {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.into_iter().map(Json));
                let value = visitor.visit_seq(&mut items)?;
                items.end().map(|()| value)
            }
            Value::Object(fields) => {
                let mut fields =
                    MapDeserializer::new(fields.into_iter().map(|(name, value)| (name, Json(value))));
                let value = visitor.visit_map(&mut fields)?;
                fields.end().map(|()| value)
            }
            Value::Number(number) => match Whole::written_as_fraction(&number) {
                Some(Whole::Negative(whole)) => visitor.visit_i64(whole),
                Some(Whole::Natural(whole)) => visitor.visit_u64(whole),
                None => number.deserialize_any(visitor),
            },
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &"an object")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Object(fields) if fields.len() == 1 => {
                let field = fields.into_iter().map(|(name, value)| (name, Json(value)));
                visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(field)))
            }
            other => other.deserialize_enum(name, variants, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

impl IntoDeserializer<'_, Error> for Json {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Asked {
        number: Option<u64>,
        cursor: Option<(i64, i64)>,
        part: Option<Part>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Part {
        All,
        Some(Named),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Named {
        name: String,
    }

    #[track_caller]
    fn accepted(body: &str) -> Asked {
        read(body.as_bytes()).unwrap_or_else(|refusal| panic!("{body}: {refusal:?}"))
    }

    #[track_caller]
    fn refused(body: &str) -> String {
        format!("{:?}", read::<Asked>(body.as_bytes()).expect_err(body))
    }

    #[test]
    fn what_the_types_say_is_read() {
        assert_eq!(accepted("{}"), Asked::default());
        assert_eq!(accepted(r#"{"number": null}"#), Asked::default());
        assert_eq!(accepted(r#"{"cursor": [-1, 2]}"#).cursor, Some((-1, 2)));
        assert_eq!(accepted(r#"{"part": "all"}"#).part, Some(Part::All));
        let some = Part::Some(Named { name: "x".into() });
        assert_eq!(accepted(r#"{"part": {"some": {"name": "x"}}}"#).part, Some(some));
    }

    #[test]
    fn an_object_is_not_read_from_a_list() {
        for body in ["[]", "[1, [1, 2], null]", r#"{"part": {"some": ["x"]}}"#] {
            assert!(refused(body).contains("expected an object"), "{}", refused(body));
        }
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_of_zero() {
        assert_eq!(accepted(r#"{"number": 3.0, "cursor": [1e3, -2.0]}"#).cursor, Some((1000, -2)));
        assert_eq!(accepted(r#"{"number": 1e19}"#).number, Some(10_000_000_000_000_000_000));
        for body in [r#"{"number": 3.5}"#, r#"{"number": -1.0}"#, r#"{"number": 2e19}"#, r#"{"number": "3"}"#]
        {
            assert!(refused(body).contains("number"), "{}", refused(body));
        }
        for beyond in ["-9223372036854775809", "9223372036854775808", "18446744073709551616", "1e300"] {
            assert!(refused(&format!(r#"{{"cursor": [0, {beyond}]}}"#)).contains("cursor[1]"), "{beyond}");
        }
    }

    #[test]
    fn what_is_too_much_or_unknown_is_refused_with_its_place() {
        for (body, place) in [
            (r#"{"cursor": [1, 2, 3]}"#, "cursor"),
            (r#"{"part": {"all": null, "some": {"name": "x"}}}"#, "part"),
            (r#"{"part": {"some": {"name": 1}}}"#, "part.some.name"),
            (r#"{"snik": 1}"#, "snik"),
            (r#"{"number": 1"#, "line 1"),
        ] {
            assert!(refused(body).contains(place), "{}", refused(body));
        }
    }
}
