//! A YAML text as a tree of values that know their place.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, MessageFormatter as _, Spanned, UserMessageFormatter};

use super::Fault;

/// The longest text that is read, in bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// How deep lists and maps may nest. Reading recurses, so this also bounds the stack.
const MAX_DEPTH: usize = 32;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the text: both count from 1, columns in characters.
    Text {
        /// The line.
        line: u32,
        /// The column.
        column: u32,
    },
    /// In the environment variable of this name.
    Environment(String),
    /// Nowhere: a default, or something that is missing from the whole text.
    Nowhere,
}

impl Place {
    /// The line in the text, or 0.
    pub fn line(&self) -> u32 {
        match self {
            Place::Text { line, .. } => *line,
            Place::Environment(_) | Place::Nowhere => 0,
        }
    }

    fn of(location: Location) -> Self {
        match (u32::try_from(location.line()), u32::try_from(location.column())) {
            (Ok(line), Ok(column)) if line > 0 => Place::Text { line, column },
            _ => Place::Nowhere,
        }
    }
}

/// One value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub kind: Kind,
    /// The place to show when it is wrong as a whole: its beginning; the key, where a map, a list or nothing
    /// stands under one. An alias stands where it is used.
    pub place: Place,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number beyond [`Kind::Int`].
    Unsigned(u64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys with values, in the order they are written; no key stands twice.
    Map(Vec<Entry>),
}

/// One key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub place: Place,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The same value with everything in it at `place`.
    pub fn all_at(self, place: &Place) -> Self {
        let kind = match self.kind {
            Kind::List(items) => Kind::List(items.into_iter().map(|item| item.all_at(place)).collect()),
            Kind::Map(entries) => Kind::Map(
                entries
                    .into_iter()
                    .map(|Entry { key, value, .. }| Entry {
                        key,
                        place: place.clone(),
                        value: value.all_at(place),
                    })
                    .collect(),
            ),
            other => other,
        };
        Node { kind, place: place.clone() }
    }

    /// The entry of a map with this key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// A map's entries; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The same map without some of its keys.
    pub fn without(&self, keys: &[&str]) -> Node {
        let kind = match &self.kind {
            Kind::Map(entries) => Kind::Map(
                entries.iter().filter(|entry| !keys.contains(&entry.key.as_str())).cloned().collect(),
            ),
            other => other.clone(),
        };
        Node { kind, place: self.place.clone() }
    }

    /// The value under one segment of a path, and the place to show for it.
    fn child(&self, segment: &str) -> Option<(&Node, &Place)> {
        match &self.kind {
            Kind::Map(_) => self.entry(segment).map(|entry| (&entry.value, &entry.value.place)),
            Kind::List(items) => {
                let item = segment.parse().ok().and_then(|index: usize| items.get(index))?;
                Some((item, &item.place))
            }
            _ => None,
        }
    }

    /// The place to show for a dotted path, as far down as it exists. List items are numbers: `groups.0.dn`.
    pub fn place_of(&self, path: &str) -> &Place {
        let (mut node, mut place) = (self, &self.place);
        for segment in path.split('.') {
            let Some((child, at)) = node.child(segment) else { break };
            (node, place) = (child, at);
        }
        place
    }
}

/// Reads one YAML document. An empty one is [`Kind::Null`].
///
/// # Errors
/// Where the text is not YAML, has a key twice, has more than one document, is longer than [`MAX_BYTES`], or
/// grows beyond its bounds by aliases.
pub fn parse(text: &str) -> Result<Node, Fault> {
    if text.len() > MAX_BYTES {
        return Err(Fault::at(
            Place::Nowhere,
            format!("{} bytes are too many: a file of this kind has at most {MAX_BYTES}", text.len()),
        ));
    }
    let options = serde_saphyr::options! {
        // Only true and false are booleans: a country or an answer of `no` stays text.
        strict_booleans: true,
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: 250_000,
            // Replayed aliases count too, so this bounds what they can blow up to.
            max_total_scalar_bytes: 4 * MAX_BYTES,
            // The bounds above do the work of this heuristic, which would refuse one anchor used widely.
            enforce_alias_anchor_ratio: false,
        },
    };
    match serde_saphyr::from_str_with_options::<Spanned<Kind>>(text, options) {
        Ok(spanned) => Ok(Node::from(spanned)),
        Err(error) => Err(syntax_fault(text, &error)),
    }
}

fn syntax_fault(text: &str, error: &serde_saphyr::Error) -> Fault {
    let error = error.without_snippet();
    let place = error.location().map_or(Place::Nowhere, Place::of);
    let message = UserMessageFormatter.format_message(error).into_owned();
    let fault = Fault::at(place.clone(), message);
    let line = usize::try_from(place.line()).unwrap_or(0);
    let indent_has_tab = |line: &str| line.trim_start_matches(' ').starts_with('\t');
    // The parser often stumbles one line after the tab.
    let tab =
        (line.saturating_sub(2)..line).find(|index| text.lines().nth(*index).is_some_and(indent_has_tab));
    match tab {
        Some(index) => Fault {
            place: Place::Text { line: u32::try_from(index + 1).unwrap_or(0), column: 1 },
            ..fault.with_help("YAML is indented with spaces, never with tabs")
        },
        None => fault,
    }
}

impl From<Spanned<Kind>> for Node {
    fn from(spanned: Spanned<Kind>) -> Self {
        Node { kind: spanned.value, place: Place::of(spanned.referenced) }
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(i64::try_from(value).map_or(Kind::Unsigned(value), Kind::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Kind, E> {
        Ok(Kind::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element::<Spanned<Kind>>()? {
            items.push(Node::from(item));
        }
        Ok(Kind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let place = Place::of(key.referenced);
            let mut value = Node::from(access.next_value::<Spanned<Kind>>()?);
            if matches!(value.kind, Kind::Null | Kind::List(_) | Kind::Map(_)) {
                value.place = place.clone();
            }
            entries.push(Entry { key: key.value, place, value });
        }
        Ok(Kind::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32) -> Place {
        Place::Text { line, column }
    }

    #[test]
    fn keys_and_values_know_their_place() {
        let node = parse("a: 1\nb:\n  - x: yes\n    é: [true, 2.5, ~]\n").unwrap();
        let b = node.entry("b").unwrap();
        assert_eq!(b.place, at(2, 1));
        assert_eq!(node.place_of("b.0.x"), &at(3, 8));
        assert_eq!(node.place_of("b.0.é.1"), &at(4, 15));
        assert_eq!(node.place_of("b.0.nowhere.else"), &at(3, 5));
        let Kind::List(items) = &b.value.kind else { panic!("{b:?}") };
        assert_eq!(items[0].entry("x").unwrap().value.kind, Kind::Text("yes".into()));
    }

    #[test]
    fn an_alias_stands_where_it_is_used() {
        let node = parse("a: &x {k: 1}\nb: *x\nc: &y 1\nd: *y\n").unwrap();
        assert_eq!(node.entry("b").unwrap().value.entry("k").unwrap().value.kind, Kind::Int(1));
        assert_eq!((node.place_of("b"), node.place_of("d")), (&at(2, 1), &at(4, 4)));
    }

    #[test]
    fn aliases_cannot_blow_up() {
        let laughs = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
            format!("{text}a{n}: &a{n} [*a{}, *a{}, *a{}]\n", n - 1, n - 1, n - 1)
        });
        assert!(parse(&laughs).is_err());
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1_000_000), "*a, ".repeat(10_000));
        assert!(parse(&long).is_err());
    }

    #[test]
    fn nesting_and_length_are_bounded() {
        assert!(parse(&format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH))).is_ok());
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&"- ".repeat(100_000)).is_err());
        assert!(parse(&" ".repeat(MAX_BYTES + 1)).is_err());
    }

    #[test]
    fn a_second_document_is_refused() {
        assert!(parse("a: 1\n---\nb: 1\n").is_err());
    }

    #[test]
    fn a_key_twice_is_shown_where_it_comes_again() {
        let fault = parse("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert_eq!(fault.place, at(3, 1), "{fault:?}");
    }

    #[test]
    fn nothing_is_null() {
        assert_eq!(parse("# only a comment\n").unwrap().kind, Kind::Null);
    }
}
