//! The reference of every key, from the JSON Schema, which comes from the types and their comments.

use std::collections::HashMap;
use std::fmt::Write as _;

use schemars::Schema;
use serde_json::Value;

/// How deep keys may nest before the walk gives up: deeper than any configuration.
const MAX_DEPTH: usize = 12;

/// What the rules file has and other places ask for too.
const CONDITION: &str = "Condition";

/// A file's keys as Markdown: a heading, an introduction, and an entry for each key.
pub(super) fn reference(schema: &Schema, title: &str, introduction: &str) -> String {
    let root = schema.as_value();
    let mut reference = Reference {
        definitions: root.get("$defs").unwrap_or(&Value::Null),
        seen: HashMap::new(),
        out: String::new(),
    };
    let _ = writeln!(reference.out, "# {title}\n\n{introduction}");
    reference.keys(root, "", 0);
    reference.out
}

/// Every key of a file, as a path: `listen.tls.key`, `sinks.<name>.url`.
pub(super) fn paths(schema: &Schema) -> Vec<String> {
    let text = reference(schema, "", "");
    let lines = text.lines().filter_map(|line| line.strip_prefix("- `"));
    lines.filter_map(|line| line.split_once('`')).map(|(path, _)| path.to_owned()).collect()
}

struct Reference<'a> {
    definitions: &'a Value,
    /// Where in this section each definition with keys of its own was written out.
    seen: HashMap<&'a str, String>,
    out: String,
}

/// A schema without the ways of saying "or nothing" and "as defined there".
struct Resolved<'a> {
    schema: &'a Value,
    /// The name of its definition.
    name: &'a str,
}

impl<'a> Reference<'a> {
    /// Writes the keys of an object.
    fn keys(&mut self, object: &'a Value, path: &str, depth: usize) {
        let properties = object.get("properties").and_then(Value::as_object);
        let is_required = |key: &str| {
            let required = object.get("required").and_then(Value::as_array);
            required.is_some_and(|keys| keys.iter().any(|required| required == key))
        };
        let mut keys: Vec<(&String, &Value)> = properties.into_iter().flatten().collect();
        keys.sort_by_key(|(key, _)| (*key != "type", !is_required(key), *key));
        // What is only allowed here is described elsewhere.
        for (key, property) in keys.into_iter().filter(|(_, property)| !property.is_boolean()) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            if depth == 0 {
                self.seen.clear();
                let _ = writeln!(self.out, "\n## {key}\n");
            }
            self.key(&path, property, is_required(key), None, depth);
        }
    }

    fn key(
        &mut self,
        path: &str,
        property: &'a Value,
        required: bool,
        meaning: Option<String>,
        depth: usize,
    ) {
        let resolved = self.resolve(property);
        let kind = self.kind(&resolved);
        let description =
            sentence(property).or(meaning).or_else(|| sentence(resolved.schema)).unwrap_or_default();
        let default = match property.get("default") {
            _ if required => ", required".to_owned(),
            Some(Value::Null) | None => String::new(),
            Some(Value::Array(_) | Value::Object(_)) => String::new(),
            Some(_) if description.contains("Default: ") => String::new(),
            Some(Value::String(text)) => format!(", default `{text}`"),
            Some(other) => format!(", default `{other}`"),
        };
        let limits = limits(resolved.schema).or_else(|| limits(property)).unwrap_or_default();
        // Of a list whose items were written out, too: conditions have conditions in them.
        let items = resolved.schema.get("items").map_or("", |items| self.resolve(items).name);
        let seen =
            self.written_out(path, resolved.name).map(|first| format!(" Its keys are those of {first}."));
        let seen =
            seen.or(self.written_out(path, items).map(|first| format!(" Each has the keys of {first}.")));
        let as_there = seen.as_deref().unwrap_or_default();
        let _ = writeln!(self.out, "- `{path}` ({kind}{limits}{default}): {description}{as_there}");
        if resolved.schema.get("properties").is_some() && !resolved.name.is_empty() {
            self.seen.entry(resolved.name).or_insert_with(|| path.to_owned());
        }
        if depth < MAX_DEPTH && seen.is_none() {
            self.below(path, &resolved, depth);
        }
    }

    /// Where a definition stands whose keys need not be written out again.
    fn written_out(&self, path: &str, name: &str) -> Option<String> {
        if name == CONDITION && !path.starts_with("rules[]") {
            return Some("`rules[].when` in rules.yaml".into());
        }
        self.seen.get(name).map(|first| format!("`{first}`"))
    }

    /// What stands under a key.
    fn below(&mut self, path: &str, resolved: &Resolved<'a>, depth: usize) {
        if matches!(resolved.name, "SecretSource" | "Timespan") {
            return;
        }
        if let Some(one) = one_or_many(resolved) {
            return self.inner(path, one, depth);
        }
        let schema = resolved.schema;
        self.keys(schema, path, depth + 1);
        let inner = schema.get("additionalProperties").filter(|inner| inner.is_object());
        if let Some(inner) = inner {
            self.inner(&format!("{path}.<name>"), inner, depth);
        }
        if let Some(items) = schema.get("items") {
            self.inner(&format!("{path}[]"), items, depth);
        }
        for variant in variants(schema) {
            let variant = self.resolve(variant).schema;
            match (variant.get("const"), variant.get("title"), sentence(variant)) {
                (Some(Value::String(word)), _, meaning) => {
                    let _ = writeln!(self.out, "  - `{word}`: {}", meaning.unwrap_or_default());
                }
                (_, Some(Value::String(title)), meaning) => {
                    let meaning = meaning.unwrap_or_default();
                    self.seen.clear();
                    let _ = writeln!(self.out, "\n### `{path}` with `type: {title}`\n\n{meaning}\n");
                    self.keys(variant, path, depth + 1);
                }
                (_, _, meaning) => {
                    let properties = variant.get("properties").and_then(Value::as_object);
                    for (key, property) in properties.into_iter().flatten() {
                        self.key(&format!("{path}.{key}"), property, false, meaning.clone(), depth + 1);
                    }
                }
            }
        }
    }

    fn inner(&mut self, path: &str, inner: &'a Value, depth: usize) {
        let resolved = self.resolve(inner);
        self.below(path, &resolved, depth + 1);
    }

    fn resolve(&self, schema: &'a Value) -> Resolved<'a> {
        let some = |schema: &&Value| schema.get("type") != Some(&Value::from("null"));
        if let Some(options) = schema.get("anyOf").and_then(Value::as_array)
            && let [only] = options.iter().filter(some).collect::<Vec<_>>().as_slice()
        {
            return self.resolve(only);
        }
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
        match name.and_then(|name| Some((name, self.definitions.get(name)?))) {
            Some((name, definition)) => Resolved { name, ..self.resolve(definition) },
            None => Resolved { schema, name: "" },
        }
    }

    /// What to write under the key, in a word or two.
    fn kind(&self, resolved: &Resolved<'a>) -> String {
        match resolved.name {
            "SecretSource" => return "secret".into(),
            "Timespan" => return "length of time".into(),
            _ => {}
        }
        if let Some(one) = one_or_many(resolved) {
            return format!("{}, or a list", self.kind(&self.resolve(one)));
        }
        let schema = resolved.schema;
        if let Some(word) = schema.get("const").and_then(Value::as_str) {
            return format!("`{word}`");
        }
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(some)) => {
                some.iter().filter_map(Value::as_str).filter(|t| *t != "null").collect()
            }
            _ => Vec::new(),
        };
        match types.as_slice() {
            ["string"] => "text".into(),
            ["integer"] => "whole number".into(),
            ["number"] => "number".into(),
            ["boolean"] => "true or false".into(),
            ["array"] => match schema.get("items").map(|items| self.resolve(items)) {
                Some(items) => format!("list of {}", plural(&self.kind(&items))),
                None => "list".into(),
            },
            ["object"] if schema.get("properties").is_some() => "section".into(),
            ["object"] => match schema.get("additionalProperties").filter(|inner| inner.is_object()) {
                Some(inner) => format!("names, each with {}", article(&self.kind(&self.resolve(inner)))),
                None => "section".into(),
            },
            _ => self.choice(schema),
        }
    }

    fn choice(&self, schema: &'a Value) -> String {
        let variants = variants(schema);
        if variants.is_empty() {
            return "anything".into();
        }
        if variants.iter().any(|variant| variant.get("title").is_some()) {
            return "section".into();
        }
        if variants.iter().all(|variant| variant.get("const").is_some()) {
            return "one of these".into();
        }
        let names: Vec<String> = variants
            .iter()
            .map(|variant| {
                let resolved = self.resolve(variant);
                let keys = resolved.schema.get("properties").and_then(Value::as_object);
                match keys.map(|keys| keys.keys().collect::<Vec<_>>()).as_deref() {
                    Some([only]) => format!("`{{{only}: …}}`"),
                    _ => self.kind(&resolved),
                }
            })
            .collect();
        names.join(" or ")
    }
}

/// What there may be one of, or a list.
fn one_or_many<'a>(resolved: &Resolved<'a>) -> Option<&'a Value> {
    variants(resolved.schema).first().filter(|_| resolved.name.starts_with("OneOrMany_"))
}

fn variants(schema: &Value) -> &[Value] {
    let variants = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array);
    variants.map_or(&[], Vec::as_slice)
}

/// The description as one line.
fn sentence(schema: &Value) -> Option<String> {
    let description = schema.get("description")?.as_str()?;
    Some(description.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn limits(schema: &Value) -> Option<String> {
    let bound = |key| schema.get(key).and_then(Value::as_f64);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => Some(format!(" from {least} to {most}")),
        (Some(least), None) if least > 0.0 => Some(format!(" from {least}")),
        _ => None,
    }
}

fn plural(kind: &str) -> String {
    match kind {
        "text" | "anything" => kind.into(),
        "length of time" => "lengths of time".into(),
        kind if kind.contains(' ') || kind.contains('`') => kind.into(),
        kind => format!("{kind}s"),
    }
}

fn article(kind: &str) -> String {
    match kind {
        "section" | "secret" | "length of time" | "whole number" | "number" => format!("a {kind}"),
        kind => kind.into(),
    }
}
