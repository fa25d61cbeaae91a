//! What is wrong with a value, and where.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::{Place, nearest};

/// One thing that is wrong at one place; a [`Report`](super::Report) shows it to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What would be right, where that is known.
    pub help: Option<String>,
    /// The line must not be shown: it may hold a secret.
    pub hide: bool,
}

impl Fault {
    /// A fault at a place.
    pub fn at(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), help: None, hide: false }
    }

    /// With what would be right.
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// A name that is not among those there are: names the nearest, or all of them.
    pub fn unknown(place: Place, what: &str, name: &str, known: &[&str]) -> Self {
        let fault = Self::at(place, format!("there is no {what} `{name}` here"));
        match nearest(name, known.iter().copied()) {
            Some(near) => fault.with_help(format!("did you mean `{near}`?")),
            None if known.is_empty() => fault,
            None => fault.with_help(format!("there are {}", list(known))),
        }
    }

    /// Gives the fault its place, unless something further in knew better.
    pub fn or_at(mut self, place: &Place) -> Self {
        if self.place == Place::Nowhere {
            self.place = place.clone();
        }
        self
    }
}

/// `a, b and c`, each in backquotes.
pub(super) fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.join(""),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.help.iter().try_for_each(|help| write!(f, ": {help}"))
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        match message.starts_with("data did not match any variant of untagged enum") {
            // Serde's own words name a Rust type.
            true => Self::at(Place::Nowhere, "this has none of the shapes it may have: see the reference"),
            false => Self::at(Place::Nowhere, message),
        }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let fault = Self::custom(format!("this must be {}, not {}", wanted(expected), found(unexpected)));
        let expected = expected.to_string();
        match unexpected {
            Unexpected::Str(text) if is_number(&expected) && text.parse::<f64>().is_ok() => {
                fault.with_help("take away the quotes")
            }
            Unexpected::Bool(_) | Unexpected::Signed(_) | Unexpected::Unsigned(_) | Unexpected::Float(_)
                if expected.contains("string") || expected.contains("text") =>
            {
                fault.with_help("write it in quotes")
            }
            Unexpected::Str("yes" | "no" | "on" | "off") if expected == "a boolean" => {
                fault.with_help("write true or false")
            }
            _ => fault,
        }
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format!("this must be {}, not {}", wanted(expected), found(unexpected)))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::custom(format!("this must be {}, not a list of {length}", wanted(expected)))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let fault = Self::unknown(Place::Nowhere, "", variant, expected);
        Self { message: format!("`{variant}` is not one of those there are"), ..fault }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::unknown(Place::Nowhere, "key", field, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format!("the key `{field}` is missing"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::custom(format!("the key `{field}` stands here twice"))
    }
}

/// What was found, without the value where it could be long or secret.
fn found(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Float(value) => value.to_string(),
        Unexpected::Str(_) | Unexpected::Char(_) => "text".into(),
        Unexpected::Unit | Unexpected::Option => "empty".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map | Unexpected::StructVariant => "a map of keys".into(),
        other => other.to_string(),
    }
}

/// serde names Rust's types; a person wants to know what to write.
fn wanted(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "a string" | "path string" | "a borrowed string" => "text".into(),
        "a boolean" => "true or false".into(),
        "socket address" => "an address and a port, such as 127.0.0.1:8080".into(),
        "a sequence" => "a list".into(),
        "a map" => "a map of keys".into(),
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" | "usize" => "a whole number from 0".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a nonzero u8" | "a nonzero u16" | "a nonzero u32" | "a nonzero u64" | "a nonzero usize" => {
            "a whole number from 1".into()
        }
        other if other.starts_with("struct ") => "a map of keys".into(),
        other => other.into(),
    }
}

fn is_number(expected: &str) -> bool {
    matches!(
        expected.trim_start_matches("a nonzero "),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" | "f32" | "f64"
    )
}
