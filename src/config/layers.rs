//! The file with the environment laid over it.

use std::collections::HashMap;
use std::ffi::OsString;

use config::{ConfigError, Map, Value, ValueKind};

use crate::yaml::{Entry, Fault, Kind, Node, Place};

/// How the names of variables begin that are configuration.
const PREFIX: &str = "ROLECALL__";
/// What stands between the parts of a path.
const SEPARATOR: &str = "__";

/// One environment variable that is configuration.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    name: String,
    value: String,
}

impl Variable {
    /// Those of the process's variables that are configuration and not empty.
    pub(super) fn of(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> (Vec<Variable>, Vec<Fault>) {
        let (mut variables, mut faults) = (Vec::new(), Vec::new());
        for (name, value) in environment {
            let Ok(name) = name.into_string() else { continue };
            let is_ours = name.get(..PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(PREFIX));
            if !is_ours || value.is_empty() {
                continue;
            }
            match value.into_string() {
                Ok(value) => variables.push(Variable { name, value }),
                Err(_) => faults.push(Fault::at(Place::Environment(name), "this is not UTF-8")),
            }
        }
        variables.sort_by(|a, b| a.name.cmp(&b.name));
        (variables, faults)
    }

    /// The path that the variable sets, in the keys of the file where it has them: a name in the environment
    /// says neither upper and lower case nor hyphens.
    fn path(&self, file: &Node) -> String {
        let mut node = Some(file);
        let mut path = Vec::new();
        for part in self.name[PREFIX.len()..].split(SEPARATOR) {
            let part = part.to_ascii_lowercase();
            let same = |key: &str| key.to_ascii_lowercase().replace('-', "_") == part.replace('-', "_");
            let entry = node.and_then(|node| node.entries().iter().find(|entry| same(&entry.key)));
            path.push(entry.map_or(part, |entry| entry.key.clone()));
            node = entry.map(|entry| &entry.value);
        }
        path.join(".")
    }
}

/// Lays the variables over the file. Every value keeps its place.
pub(super) fn layered(file: Node, variables: Vec<Variable>) -> Result<Node, Fault> {
    let mut set: Vec<(String, Variable)> =
        variables.into_iter().map(|variable| (variable.path(&file), variable)).collect();
    set.sort_by(|(a, _), (b, _)| a.cmp(b));
    for ((outer, variable), (inner, other)) in set.iter().zip(set.iter().skip(1)) {
        if inner == outer || inner.strip_prefix(outer.as_str()).is_some_and(|rest| rest.starts_with('.')) {
            let message = format!("this and {} both set `{outer}`", variable.name);
            return Err(Fault::at(Place::Environment(other.name.clone()), message));
        }
    }
    let environment = EnvironmentLayer(set);
    let layers = config::Config::builder().add_source(FileLayer(value_of(&file))).add_source(environment);
    match layers.build() {
        Ok(merged) => Ok(node_of(merged.cache, Some(&file))),
        Err(error) => Err(Fault::at(Place::Nowhere, error.to_string())),
    }
}

#[derive(Clone, Debug)]
struct FileLayer(Value);

impl config::Source for FileLayer {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        match &self.0.kind {
            ValueKind::Table(table) => Ok(table.clone()),
            _ => Ok(Map::new()),
        }
    }
}

#[derive(Clone, Debug)]
struct EnvironmentLayer(Vec<(String, Variable)>);

impl config::Source for EnvironmentLayer {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let value =
            |variable: &Variable| Value::new(Some(&variable.name), ValueKind::String(variable.value.clone()));
        Ok(self.0.iter().map(|(path, variable)| (path.clone(), value(variable))).collect())
    }
}

fn value_of(node: &Node) -> Value {
    let kind = match &node.kind {
        Kind::Null => ValueKind::Nil,
        Kind::Bool(value) => ValueKind::Boolean(*value),
        Kind::Int(value) => ValueKind::I64(*value),
        Kind::Unsigned(value) => ValueKind::U64(*value),
        Kind::Float(value) => ValueKind::Float(*value),
        Kind::Text(value) => ValueKind::String(value.clone()),
        Kind::List(items) => ValueKind::Array(items.iter().map(value_of).collect()),
        Kind::Map(entries) => ValueKind::Table(
            entries.iter().map(|entry| (entry.key.clone(), value_of(&entry.value))).collect(),
        ),
    };
    Value::new(None, kind)
}

/// The merged value as a node again: what came from the environment says so, everything else has the place
/// that it has in the file.
fn node_of(value: Value, file: Option<&Node>) -> Node {
    let place = match value.origin() {
        Some(variable) => Place::Environment(variable.to_owned()),
        None => file.map_or(Place::Nowhere, |node| node.place.clone()),
    };
    let kind = match value.kind {
        ValueKind::Nil => Kind::Null,
        ValueKind::Boolean(value) => Kind::Bool(value),
        ValueKind::I64(value) => Kind::Int(value),
        ValueKind::U64(value) => Kind::Unsigned(value),
        ValueKind::I128(value) => Kind::Text(value.to_string()),
        ValueKind::U128(value) => Kind::Text(value.to_string()),
        ValueKind::Float(value) => Kind::Float(value),
        ValueKind::String(value) => Kind::Text(value),
        ValueKind::Array(items) => {
            let known: &[Node] = match file.map(|node| &node.kind) {
                Some(Kind::List(known)) => known,
                _ => &[],
            };
            let item = |(index, item)| node_of(item, known.get(index));
            Kind::List(items.into_iter().enumerate().map(item).collect())
        }
        ValueKind::Table(table) => return map_of(table, file, place),
    };
    Node { kind, place }
}

fn map_of(table: Map<String, Value>, file: Option<&Node>, place: Place) -> Node {
    let known = file.map_or(&[][..], Node::entries);
    let order: HashMap<&str, usize> =
        known.iter().enumerate().map(|(index, entry)| (entry.key.as_str(), index)).collect();
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| {
            let entry = order.get(key.as_str()).map(|index| &known[*index]);
            let value = node_of(value, entry.map(|entry| &entry.value));
            let place = entry.map_or_else(|| first_of(&value).clone(), |entry| entry.place.clone());
            Entry { key, place, value }
        })
        .collect();
    entries.sort_by(|a, b| {
        let at = |entry: &Entry| order.get(entry.key.as_str()).copied().unwrap_or(usize::MAX);
        at(a).cmp(&at(b)).then_with(|| a.key.cmp(&b.key))
    });
    // A map that the file does not have stands where the names of its variables begin.
    let place = match (place, entries.first().map(|first| &first.value.place)) {
        (Place::Nowhere, Some(Place::Environment(variable))) => Place::Environment(
            variable.rsplit_once(SEPARATOR).map_or(&**variable, |(head, _)| head).to_owned(),
        ),
        (place, _) => place,
    };
    Node { kind: Kind::Map(entries), place }
}

/// The place of the first thing in a value: for a key that the file does not have, a whole variable's name.
fn first_of(node: &Node) -> &Place {
    node.entries().first().map_or(&node.place, |entry| first_of(&entry.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn merged(file: &str, variables: &[(&str, &str)]) -> Node {
        let environment = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let (variables, faults) = Variable::of(environment);
        assert_eq!(faults, []);
        layered(yaml::parse(file).unwrap(), variables).unwrap()
    }

    fn text<'a>(node: &'a Node, path: &[&str]) -> (&'a str, &'a Place) {
        let found = path.iter().fold(node, |node, key| &node.entry(key).unwrap().value);
        let Kind::Text(text) = &found.kind else { panic!("{found:?}") };
        (text, &found.place)
    }

    #[test]
    fn without_variables_the_file_stays_as_it_is() {
        let file = "b: {y: [1, {z: x}], x: 2.5}\na:\n- true\n- ~\n- 18446744073709551615\n";
        assert_eq!(merged(file, &[]), yaml::parse(file).unwrap());
    }

    #[test]
    fn a_variable_wins_and_is_named_as_the_place() {
        let node = merged(
            "store:\n  path: /a\n  other_key: b\n",
            &[("ROLECALL__STORE__PATH", "/b"), ("ROLECALL__STORE__MORE_KEYS__X", "1"), ("OTHER", "x")],
        );
        let variable = |name: &str| Place::Environment(name.into());
        assert_eq!(text(&node, &["store", "path"]), ("/b", &variable("ROLECALL__STORE__PATH")));
        assert_eq!(
            text(&node, &["store", "more_keys", "x"]),
            ("1", &variable("ROLECALL__STORE__MORE_KEYS__X"))
        );
        assert_eq!(text(&node, &["store", "other_key"]), ("b", &Place::Text { line: 3, column: 14 }));
        assert!(node.entry("other").is_none());
    }

    #[test]
    fn a_variable_finds_names_with_hyphens_and_capitals() {
        let node = merged(
            "sinks:\n  corp-ldap: {headers: {X-Api-Key: a}}\n",
            &[("ROLECALL__SINKS__CORP_LDAP__HEADERS__X_API_KEY", "b")],
        );
        assert_eq!(text(&node, &["sinks", "corp-ldap", "headers", "X-Api-Key"]).0, "b");
    }

    #[test]
    fn two_variables_for_one_thing_are_refused() {
        let variables = ["ROLECALL__A__B", "ROLECALL__A", "ROLECALL__A_B"]
            .map(|name| Variable { name: name.into(), value: "x".into() });
        let fault = layered(yaml::parse("").unwrap(), variables.to_vec()).unwrap_err();
        assert_eq!(fault.place, Place::Environment("ROLECALL__A__B".into()));
        assert_eq!(fault.message, "this and ROLECALL__A both set `a`");
    }

    #[test]
    fn an_empty_variable_is_none() {
        let node = merged("a: b\n", &[("ROLECALL__A", "")]);
        assert_eq!(text(&node, &["a"]).0, "b");
    }
}
