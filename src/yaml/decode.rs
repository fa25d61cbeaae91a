//! From a [`Node`] to a type, by serde, without losing the place of what is wrong.

use std::cell::RefCell;

use rolecall_sink_api::SecretSource;
use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, EnumAccess, Error as _, IntoDeserializer as _, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::fault::list;
use super::{Entry, Fault, Kind, Node, Place, parse};

/// A secret's source, and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSite {
    /// Where.
    pub place: Place,
    /// The source.
    pub source: SecretSource,
}

/// A value and the secrets it will read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<T> {
    /// The value.
    pub value: T,
    /// Every secret's source in it.
    pub secrets: Vec<SecretSite>,
}

/// Turns a node into a value.
///
/// An empty value stands for an empty map or list where one is wanted, so that a section may have all its
/// keys commented out. A text from the environment is read as what is wanted: a number, `true`, or a list or
/// map in YAML's flow style.
///
/// # Errors
/// The first thing that is wrong, at its place.
pub fn decode<T: DeserializeOwned>(node: &Node) -> Result<T, Fault> {
    T::deserialize(Decoder { node, secrets: None })
}

/// [`decode`], also noting each [`SecretSource`] on the way, so that it can be tried at once.
///
/// # Errors
/// As [`decode`].
pub fn decode_noting_secrets<T: DeserializeOwned>(node: &Node) -> Result<Decoded<T>, Fault> {
    let secrets = RefCell::new(Vec::new());
    let value = T::deserialize(Decoder { node, secrets: Some(&secrets) })?;
    Ok(Decoded { value, secrets: secrets.into_inner() })
}

#[derive(Clone, Copy)]
struct Decoder<'a> {
    node: &'a Node,
    secrets: Option<&'a RefCell<Vec<SecretSite>>>,
}

impl<'a> Decoder<'a> {
    fn at(self, node: &'a Node) -> Self {
        Decoder { node, ..self }
    }

    /// Runs `read` on this value as YAML reads it, which matters for a text from the environment.
    fn read<T>(self, read: impl FnOnce(Decoder<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let result = match (&self.node.kind, &self.node.place) {
            (Kind::Text(text), Place::Environment(_)) => {
                let kind = parse(text).map_or_else(|_| self.node.kind.clone(), |parsed| parsed.kind);
                let node = Node { kind, place: self.node.place.clone() }.all_at(&self.node.place);
                read(Decoder { node: &node, secrets: self.secrets })
            }
            _ => read(self),
        };
        result.map_err(|fault| fault.or_at(&self.node.place))
    }

    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Int(value) => visitor.visit_i64(*value),
            Kind::Unsigned(value) => visitor.visit_u64(*value),
            Kind::Float(value) => visitor.visit_f64(*value),
            Kind::Text(value) => visitor.visit_str(value),
            Kind::List(items) => visitor.visit_seq(Items { decoder: self, items: items.iter() }),
            Kind::Map(entries) => {
                visitor.visit_map(Entries { decoder: self, entries: entries.iter(), value: None })
            }
        }
        .map_err(|fault| fault.or_at(&self.node.place))
    }

    fn unexpected(&self) -> Unexpected<'a> {
        match &self.node.kind {
            Kind::Null => Unexpected::Unit,
            Kind::Bool(value) => Unexpected::Bool(*value),
            Kind::Int(value) => Unexpected::Signed(*value),
            Kind::Unsigned(value) => Unexpected::Unsigned(*value),
            Kind::Float(value) => Unexpected::Float(*value),
            Kind::Text(value) => Unexpected::Str(value),
            Kind::List(_) => Unexpected::Seq,
            Kind::Map(_) => Unexpected::Map,
        }
    }

    fn note_secret(self) -> Result<(), Fault> {
        if !matches!(self.node.kind, Kind::Map(_)) {
            let fault =
                Fault::at(self.node.place.clone(), "a secret never stands in the configuration itself");
            let help = "say where it is kept: {file: /path}, {env: VARIABLE} or {credential: name}";
            return Err(Fault { hide: true, ..fault.with_help(help) });
        }
        if let Some(secrets) = self.secrets {
            let source: SecretSource = decode(self.node).map_err(|fault| fault.or_at(&self.node.place))?;
            secrets.borrow_mut().push(SecretSite { place: self.node.place.clone(), source });
        }
        Ok(())
    }
}

impl<'de> de::Deserializer<'de> for Decoder<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.read(|decoder| decoder.visit(visitor))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let is_null = self.read(|decoder| Ok(decoder.node.kind == Kind::Null))?;
        let result = if is_null { visitor.visit_none() } else { visitor.visit_some(self) };
        result.map_err(|fault: Fault| fault.or_at(&self.node.place))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self).map_err(|fault: Fault| fault.or_at(&self.node.place))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.read(|decoder| match decoder.node.kind {
            Kind::Null => visitor.visit_seq(Items { decoder, items: [].iter() }),
            _ => decoder.visit(visitor),
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.read(|decoder| match decoder.node.kind {
            Kind::Null => visitor.visit_map(Entries { decoder, entries: [].iter(), value: None }),
            _ => decoder.visit(visitor),
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.read(|decoder| match decoder.node.kind {
            Kind::Null | Kind::Map(_) => decoder.deserialize_map(visitor),
            _ => Err(Fault::invalid_type(decoder.unexpected(), &visitor)
                .with_help(format!("its keys are {}", list(fields)))),
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.read(|decoder| {
            if name == "SecretSource" {
                decoder.note_secret()?;
            }
            match &decoder.node.kind {
                Kind::Text(text) => visitor.visit_enum(Choice { decoder, name: text, entry: None }),
                Kind::Map(entries) => match entries.as_slice() {
                    [entry] => visitor.visit_enum(Choice { decoder, name: &entry.key, entry: Some(entry) }),
                    _ => Err(Fault::custom(format!("this must have exactly one key of {}", list(variants)))),
                },
                _ => Err(Fault::custom(format!("this must be one of {}", list(variants)))),
            }
        })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 bytes byte_buf unit unit_struct ignored_any
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }
}

struct Items<'a> {
    decoder: Decoder<'a>,
    items: std::slice::Iter<'a, Node>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(item) = self.items.next() else { return Ok(None) };
        seed.deserialize(self.decoder.at(item)).map(Some).map_err(|fault| fault.or_at(&item.place))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'a> {
    decoder: Decoder<'a>,
    entries: std::slice::Iter<'a, Entry>,
    value: Option<&'a Entry>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.value = self.entries.next();
        let Some(entry) = self.value else { return Ok(None) };
        let key: StrDeserializer<'_, Fault> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|fault| fault.or_at(&entry.place))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let Some(entry) = self.value.take() else {
            return Err(Fault::custom("a value was asked for before its key"));
        };
        seed.deserialize(self.decoder.at(&entry.value)).map_err(|fault| fault.or_at(&entry.value.place))
    }
}

/// One variant of an enum: its name alone, or a key with a value.
struct Choice<'a> {
    decoder: Decoder<'a>,
    name: &'a str,
    entry: Option<&'a Entry>,
}

impl<'a> Choice<'a> {
    fn value(&self) -> Result<Decoder<'a>, Fault> {
        let entry = self.entry.ok_or_else(|| {
            Fault::custom(format!("`{}` needs a value", self.name))
                .with_help(format!("write {{{}: …}}", self.name))
        })?;
        Ok(self.decoder.at(&entry.value))
    }
}

impl<'de> EnumAccess<'de> for Choice<'_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let place = self.entry.map_or(&self.decoder.node.place, |entry| &entry.place);
        let name: StrDeserializer<'_, Fault> = self.name.into_deserializer();
        Ok((seed.deserialize(name).map_err(|fault| fault.or_at(place))?, self))
    }
}

impl<'de> VariantAccess<'de> for Choice<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.entry {
            Some(Entry { value, .. }) if value.kind != Kind::Null => {
                Err(Fault::at(value.place.clone(), format!("`{}` takes no value", self.name)))
            }
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.value()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Fault> {
        de::Deserializer::deserialize_seq(self.value()?, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        de::Deserializer::deserialize_struct(self.value()?, "variant", fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use rolecall_sink_api::Timespan;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Section {
        #[serde(default)]
        port: u16,
        #[serde(default)]
        wait: Option<Timespan>,
        #[serde(default)]
        names: Vec<String>,
        #[serde(default)]
        mode: Option<Mode>,
        #[serde(default)]
        secret: Option<SecretSource>,
        #[serde(default)]
        inner: BTreeMap<String, Inner>,
        #[serde(default)]
        free: serde_json::Value,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        needed: bool,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Fast,
        Slow(u8),
        Custom { speed: f64 },
    }

    fn read(text: &str) -> Result<Section, Fault> {
        decode(&parse(text).unwrap())
    }

    #[track_caller]
    fn refused(text: &str, line: u32, column: u32, message: &str, help: Option<&str>) {
        let fault = read(text).unwrap_err();
        assert_eq!(
            (fault.place, fault.message.as_str(), fault.help.as_deref()),
            (Place::Text { line, column }, message, help)
        );
    }

    fn from_environment(key: &str, text: &str) -> Result<Section, Fault> {
        let place = Place::Environment("ROLECALL__X".into());
        let value = Node { kind: Kind::Text(text.into()), place: place.clone() };
        let entry = Entry { key: key.into(), place: place.clone(), value };
        decode(&Node { kind: Kind::Map(vec![entry]), place })
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let section = read(
            "port: 80\nwait: 5m\nnames: [a, b]\nmode: {custom: {speed: 2}}\nsecret: {file: /s}\n\
             inner: {x: {needed: true}}\nfree: {a: [1, x, null]}\n",
        )
        .unwrap();
        assert_eq!(section.port, 80);
        assert_eq!(section.wait, Some(Timespan::from_secs(300)));
        assert_eq!(section.names, ["a", "b"]);
        assert_eq!(section.mode, Some(Mode::Custom { speed: 2.0 }));
        assert_eq!(section.secret, Some(SecretSource::File(PathBuf::from("/s"))));
        assert_eq!(section.inner["x"], Inner { needed: true });
        assert_eq!(section.free, serde_json::json!({"a": [1, "x", null]}));
        assert_eq!(read("mode: fast").unwrap().mode, Some(Mode::Fast));
        assert_eq!(read("mode: {slow: 3}").unwrap().mode, Some(Mode::Slow(3)));
    }

    #[test]
    fn what_is_empty_is_an_empty_section_or_list() {
        let section = read("names:\ninner:\nwait:\n").unwrap();
        assert_eq!((section.names, section.inner, section.wait), (vec![], BTreeMap::new(), None));
        assert!(read("").is_ok());
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        refused("port: 1\nmod: fast\n", 2, 1, "there is no key `mod` here", Some("did you mean `mode`?"));
    }

    #[test]
    fn a_wrong_type_says_what_to_write() {
        refused(
            "port: '80'",
            1,
            7,
            "this must be a whole number from 0 to 65535, not text",
            Some("take away the quotes"),
        );
        refused("port: 70000", 1, 7, "this must be a whole number from 0 to 65535, not 70000", None);
        refused("names:\n  - a\n  - 7\n", 3, 5, "this must be text, not 7", Some("write it in quotes"));
        refused(
            "inner:\n  x: {needed: yes}\n",
            2,
            15,
            "this must be true or false, not text",
            Some("write true or false"),
        );
        refused("inner:\n  x: 1\n", 2, 6, "this must be a map of keys, not 1", Some("its keys are `needed`"));
        let wanted =
            "this must be a length of time with its unit, such as 500ms, 30s, 5m, 12h or 30d, not 30";
        refused("wait: 30", 1, 7, wanted, None);
    }

    #[test]
    fn what_is_missing_is_shown_at_the_key_of_its_section() {
        refused("inner:\n  x:\n    {}\n", 2, 3, "the key `needed` is missing", None);
    }

    #[test]
    fn a_choice_says_what_there_is() {
        refused("mode: fats", 1, 7, "`fats` is not one of those there are", Some("did you mean `fast`?"));
        refused("mode: slow", 1, 7, "`slow` needs a value", Some("write {slow: …}"));
        refused("mode: {fast: 1}", 1, 14, "`fast` takes no value", None);
    }

    #[test]
    fn a_secret_in_line_is_refused_and_hidden() {
        let fault = read("secret: hunter2").unwrap_err();
        assert!(fault.hide && fault.help.unwrap().contains("{file: /path}"));
    }

    #[test]
    fn secrets_are_noted_with_their_place() {
        let node = parse("port: 1\nsecret:\n  env: TOKEN\n").unwrap();
        let decoded = decode_noting_secrets::<Section>(&node).unwrap();
        let site = SecretSite {
            place: Place::Text { line: 2, column: 1 },
            source: SecretSource::Env("TOKEN".into()),
        };
        assert_eq!(decoded.secrets, [site]);
    }

    #[test]
    fn the_environment_is_read_as_what_is_wanted() {
        assert_eq!(from_environment("port", "80").unwrap().port, 80);
        assert_eq!(from_environment("names", "[a, '7']").unwrap().names, ["a", "7"]);
        assert_eq!(from_environment("wait", "30s").unwrap().wait, Some(Timespan::from_secs(30)));
        assert_eq!(from_environment("mode", "{slow: 3}").unwrap().mode, Some(Mode::Slow(3)));
        assert_eq!(from_environment("free", "{{ not yaml").unwrap().free, serde_json::json!("{{ not yaml"));
        let fault = from_environment("port", "many").unwrap_err();
        assert_eq!(fault.place, Place::Environment("ROLECALL__X".into()));
    }
}
