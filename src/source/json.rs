//! Reading a sender's JSON strictly enough to trust it, and saying what is wrong without repeating what it
//! holds.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::error::Category;

/// The longest id that is accepted, in bytes. Senders' ids have some thirty.
pub(super) const MAX_ID: usize = 255;

/// How much of the path to a fault is shown: its keys come from the body.
const MAX_PATH: usize = 120;

/// A JSON object, where serde alone would also take a list of the fields in their order.
#[derive(Debug, Default)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// An attribute: text, or not set when it is missing, null or empty. Its length is bounded by the body's
/// alone: what a store cannot hold, its sink rejects by name, and the user's other stores still get it.
#[derive(Debug, Default)]
pub(super) struct Text(pub(super) Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Text)
    }
}

/// An id, or none when it is missing, null or empty.
#[derive(Debug, Default)]
pub(super) struct Id(pub(super) Option<String>);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = deserializer.deserialize_any(TextVisitor)?;
        if let Some(id) = &id {
            check_id(id).map_err(D::Error::custom)?;
        }
        Ok(Id(id))
    }
}

/// Whether the text can be an id: what is longer, or could not be shown on one line of a log, is a fault of
/// the sender that must not become a name in every store.
pub(super) fn check_id(id: &str) -> Result<(), &'static str> {
    if id.len() > MAX_ID {
        return Err("an id is at most 255 bytes long");
    }
    if id.chars().any(char::is_control) {
        return Err("an id holds no control characters");
    }
    Ok(())
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Reads a value whose key, where it is there, states something: null states that there is nothing.
pub(super) fn stated<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Some(Option::deserialize(deserializer)?.unwrap_or_default()))
}

/// Reads the whole text as one `T`.
///
/// # Errors
/// Where and why it is none; holds keys of the text at most, never a value.
pub(super) fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        // Keeping track of the path costs as much as the reading, so only a fault pays for it.
        let mut json = serde_json::Deserializer::from_str(text);
        match serde_path_to_error::deserialize::<_, T>(&mut json) {
            Err(error) => describe(&error.path().to_string(), error.inner()),
            Ok(_) => describe(".", &error),
        }
    })
}

fn describe(path: &str, error: &serde_json::Error) -> String {
    let place = match path {
        "." | "?" => "the body".to_owned(),
        path => shorten(path),
    };
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let at = match error.column() {
        0 => String::new(),
        column => format!(" (line {} column {column})", error.line()),
    };
    match error.classify() {
        Category::Data => {
            let mismatch =
                message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
            match mismatch {
                Some(mismatch) => {
                    // The last one is ours; any other stands in the value that was found.
                    let expected = match mismatch.rsplit(", expected ").next().unwrap_or_default() {
                        "a sequence" => "a list",
                        "a map" => "an object",
                        expected => expected,
                    };
                    format!("{place}: expected {expected}, found {}{at}", found(mismatch))
                }
                None => format!("{place}: {message}{at}"),
            }
        }
        _ => format!("not JSON: {message}{at}, in {place}"),
    }
}

/// What stands in the place of what was expected, in JSON's words and without its value.
fn found(mismatch: &str) -> &'static str {
    match mismatch.split([' ', ',']).next().unwrap_or_default() {
        "boolean" => "a boolean",
        "integer" | "floating" | "number" => "a number",
        "string" | "character" => "a string",
        "null" | "unit" | "Option" => "null",
        "sequence" => "a list",
        "map" => "an object",
        _ => "something else",
    }
}

/// One line of bounded length.
pub(super) fn shorten(path: &str) -> String {
    let mut shown: String = path.chars().take(MAX_PATH).flat_map(char::escape_debug).collect();
    if path.chars().nth(MAX_PATH).is_some() {
        shown.push('…');
    }
    shown
}
