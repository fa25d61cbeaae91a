//! Conditions: what the types alone do not say of them.

use super::reader::Reader;
use crate::rules::file::{
    AttributeMatch, AttributePattern, Condition, GroupPattern, NamePattern, OneOrMany, TextOr,
};
use crate::rules::pattern::{MAX_PATTERN, Pattern};
use crate::yaml::{Kind, Node, Place};

/// A pattern, of whatever it is.
struct Parts<'a> {
    glob: Option<&'a str>,
    regex: Option<&'a str>,
    ignore_case: bool,
}

impl Reader {
    /// Checks a condition, which stands at `node`; `place` is shown when it is wrong as a whole.
    pub(super) fn condition(&mut self, condition: &Condition, node: &Node, place: &Place) {
        if *condition == Condition::default() {
            let help = "say for whom it is: `group`, `organization`, `attribute` and so on; \
                        roles for everybody stand under `default`";
            self.fault(place, "this condition asks for nothing", help);
        }
        self.some(condition.organization.as_ref(), node, "organization");
        self.some(condition.directory.as_ref(), node, "directory");
        self.some(condition.source.as_ref(), node, "source");
        self.some(condition.group.as_ref(), node, "group");
        self.some(condition.provider_role.as_ref(), node, "provider_role");
        for (index, group) in condition.group.iter().flat_map(|list| &list.0).enumerate() {
            self.group(group, place_of(node, "group", index));
        }
        for (index, role) in condition.provider_role.iter().flat_map(|list| &list.0).enumerate() {
            self.provider_role(role, place_of(node, "provider_role", index));
        }
        self.attributes(condition, node);
        for (key, conditions) in [("all", &condition.all), ("any", &condition.any)] {
            let Some(conditions) = conditions else { continue };
            if conditions.is_empty() {
                self.fault(node.place_of(key), "this list is empty", "write at least one condition");
            }
            let Some(Kind::List(items)) = node.entry(key).map(|entry| &entry.value.kind) else { continue };
            for (condition, item) in conditions.iter().zip(items) {
                self.condition(condition, item, &item.place);
            }
        }
        if let (Some(condition), Some(entry)) = (&condition.not, node.entry("not")) {
            self.condition(condition, &entry.value, &entry.place);
        }
    }

    fn some<T>(&mut self, list: Option<&OneOrMany<T>>, node: &Node, key: &str) {
        if list.is_some_and(|list| list.0.is_empty()) {
            self.fault(node.place_of(key), "this list is empty", "write at least one, or take the key away");
        }
    }

    fn group(&mut self, group: &TextOr<GroupPattern>, place: &Place) {
        match group {
            TextOr::Text(name) => self.not_empty(name, place),
            TextOr::Map(GroupPattern { name, glob, regex, id, ignore_case }) => {
                let given =
                    [name.as_deref(), glob.as_deref(), regex.as_deref(), id.as_ref().map(|id| id.as_str())];
                let [text] = given.into_iter().flatten().collect::<Vec<_>>()[..] else {
                    let message = "this must have exactly one of `name`, `glob`, `regex` and `id`";
                    self.fault(place, message, "keep the one you mean");
                    return;
                };
                self.not_empty(text, place);
                if id.is_some() && *ignore_case {
                    self.fault(place, "an id is compared as it is", "take `ignore_case` away");
                }
                let parts =
                    Parts { glob: glob.as_deref(), regex: regex.as_deref(), ignore_case: *ignore_case };
                self.pattern(&parts, place);
            }
        }
    }

    fn provider_role(&mut self, role: &TextOr<NamePattern>, place: &Place) {
        match role {
            TextOr::Text(name) => self.not_empty(name, place),
            TextOr::Map(NamePattern { name, glob, regex, ignore_case }) => {
                let given = [name.as_deref(), glob.as_deref(), regex.as_deref()];
                let [text] = given.into_iter().flatten().collect::<Vec<_>>()[..] else {
                    let message = "this must have exactly one of `name`, `glob` and `regex`";
                    self.fault(place, message, "keep the one you mean");
                    return;
                };
                self.not_empty(text, place);
                let parts =
                    Parts { glob: glob.as_deref(), regex: regex.as_deref(), ignore_case: *ignore_case };
                self.pattern(&parts, place);
            }
        }
    }

    fn not_empty(&mut self, text: &str, place: &Place) {
        if text.is_empty() {
            self.fault(place, "this is empty and would match nothing", "write the name");
        }
    }

    fn pattern(&mut self, parts: &Parts<'_>, place: &Place) {
        let long = |text: Option<&str>| text.is_some_and(|text| text.chars().count() > MAX_PATTERN);
        if long(parts.glob) || long(parts.regex) {
            self.fault(
                place,
                format!("a pattern has at most {MAX_PATTERN} characters"),
                "write a shorter one",
            );
        } else if let Some(Err(error)) = parts.regex.map(|regex| Pattern::regex(regex, parts.ignore_case)) {
            let help = "the syntax is that of https://docs.rs/regex, without look-around and backreferences";
            self.fault(place, format!("this is no regular expression: {error}"), help);
        }
    }

    fn attributes(&mut self, condition: &Condition, node: &Node) {
        let Some(entry) = node.entry("attribute") else { return };
        let Some(attributes) = &condition.attribute else { return };
        if attributes.is_empty() {
            self.fault(&entry.place, "this asks for no attribute", "write one, such as `department: Sales`");
        }
        for entry in entry.value.entries() {
            self.attribute(&entry.key, &entry.place);
            match attributes.get(&entry.key) {
                Some(AttributeMatch::Values(values)) if values.0.is_empty() => {
                    self.fault(&entry.place, "this list is empty", "write at least one value");
                }
                Some(AttributeMatch::Pattern(pattern)) => {
                    self.attribute_pattern(pattern, &entry.value, &entry.place)
                }
                _ => {}
            }
        }
    }

    fn attribute_pattern(&mut self, pattern: &AttributePattern, node: &Node, place: &Place) {
        let asked = AttributePattern { ignore_case: false, ..pattern.clone() };
        if asked == AttributePattern::default() {
            let help = "write a value, or one of `is`, `glob`, `regex`, `exists`, `at_least`, `before` and their like";
            self.fault(place, "this asks for nothing", help);
        }
        let missing = AttributePattern { exists: Some(false), ..AttributePattern::default() };
        if pattern.exists == Some(false) && *pattern != missing {
            let message = "an attribute that is not set is nothing else";
            self.fault(node.place_of("exists"), message, "keep `exists: false` alone, or take it away");
        }
        self.some(pattern.is.as_ref(), node, "is");
        let parts = Parts {
            glob: pattern.glob.as_deref(),
            regex: pattern.regex.as_deref(),
            ignore_case: pattern.ignore_case,
        };
        let key = if pattern.regex.is_some() { "regex" } else { "glob" };
        self.pattern(&parts, node.place_of(key));
    }
}

/// The place of one item under a key that has one or a list.
fn place_of<'n>(node: &'n Node, key: &str, index: usize) -> &'n Place {
    match node.entry(key).map(|entry| &entry.value) {
        Some(list @ Node { kind: Kind::List(_), .. }) => list.place_of(&index.to_string()),
        _ => node.place_of(key),
    }
}
