//! What differs between a resource as it is and as it should be.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::attribute::{Attributes, Path, get};
use crate::urn::is_extension;

/// One difference to be put right.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Edit {
    /// A single value differs or is missing.
    Set { path: Path, value: Value, replaces: bool },
    /// A value that was ours has to go.
    Remove { path: Path },
    /// Items are missing from a multi-valued attribute.
    Add { path: Path, items: Vec<Value> },
    /// An item differs in one sub-attribute.
    SetInItem { path: Path, item: Selector, sub: String, value: Value },
    /// An item that was ours has to go.
    RemoveItem { path: Path, item: Selector },
}

/// Which item of a multi-valued attribute: the one whose sub-attributes have these values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selector(pub(crate) Vec<(&'static str, Value)>);

impl Selector {
    /// The items with this `value`.
    pub(crate) fn value(value: &str) -> Self {
        Self(vec![("value", value.into())])
    }

    pub(crate) fn matches(&self, item: &Value) -> bool {
        self.0.iter().all(|(name, value)| part(item, name) == Some(value))
    }
}

/// The edits that turn `current` into what is `desired`, and leave all else as it is. What is not desired goes only
/// if it stands in one of `before`: what was ours.
pub(crate) fn edits(current: &Attributes, desired: &Attributes, before: &[Attributes]) -> Vec<Edit> {
    let desired = Leaves::of(desired);
    let before: Vec<Leaves> = before.iter().map(Leaves::of).collect();
    let mut edits = Vec::new();
    for (path, value) in &desired.single {
        let there = path.get(current);
        if there != Some(value) {
            let (path, value) = (path.clone(), value.clone());
            edits.push(Edit::Set { path, value, replaces: there.is_some() });
        }
    }
    let gone: BTreeSet<&Path> = before.iter().flat_map(|leaves| leaves.single.keys()).collect();
    for path in gone.into_iter().filter(|path| !desired.single.contains_key(path)) {
        if path.get(current).is_some() {
            edits.push(Edit::Remove { path: path.clone() });
        }
    }
    let lists = before.iter().chain([&desired]).flat_map(|leaves| leaves.items.keys());
    for path in lists.collect::<BTreeSet<_>>() {
        let wanted = desired.items.get(path).map_or(&[][..], Vec::as_slice);
        let ours: Vec<&Value> = before.iter().filter_map(|leaves| leaves.items.get(path)).flatten().collect();
        edits.extend(item_edits(path, path.items(current), wanted, &ours));
    }
    edits
}

/// A resource taken apart into what is compared one by one.
struct Leaves {
    single: BTreeMap<Path, Value>,
    items: BTreeMap<Path, Vec<Value>>,
}

impl Leaves {
    fn of(resource: &Attributes) -> Self {
        let mut leaves = Self { single: BTreeMap::new(), items: BTreeMap::new() };
        leaves.add(None, resource);
        leaves
    }

    fn add(&mut self, extension: Option<&str>, attributes: &Attributes) {
        for (name, value) in attributes {
            let path = Path::new(extension, name);
            match value {
                Value::Object(inner) if extension.is_none() && is_extension(name) => {
                    self.add(Some(name), inner);
                }
                Value::Object(inner) => {
                    self.single.extend(inner.iter().map(|(sub, value)| (path.sub(sub), value.clone())));
                }
                Value::Array(items) => {
                    self.items.insert(path, items.clone());
                }
                value => {
                    self.single.insert(path, value.clone());
                }
            }
        }
    }
}

fn item_edits(path: &Path, current: &[Value], wanted: &[Value], ours: &[&Value]) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut missing = Vec::new();
    let mut taken: Vec<&Value> = Vec::new();
    for want in wanted {
        let free = |item: &&Value| !taken.iter().any(|taken| std::ptr::eq(*taken, *item));
        let Some(item) = counterpart(current.iter().filter(free), want) else {
            missing.push(want.clone());
            continue;
        };
        taken.push(item);
        edits.extend(edits_in_item(path, current, item, want));
    }
    if !missing.is_empty() {
        edits.push(Edit::Add { path: path.clone(), items: missing });
    }
    let goes = |item: &Value| {
        ours.iter().any(|old| holds(item, old)) && !wanted.iter().any(|want| holds(item, want))
    };
    for item in current.iter().filter(|item| !taken.iter().any(|taken| std::ptr::eq(*taken, *item))) {
        if goes(item)
            && let Some(item) = selector(current, item).or_else(|| selector_of_all(current, item, goes))
        {
            let gone = Edit::RemoveItem { path: path.clone(), item };
            if !edits.contains(&gone) {
                edits.push(gone);
            }
        }
    }
    // What goes makes room for what comes: some attributes take one item of each type.
    edits.sort_by_key(|edit| !matches!(edit, Edit::RemoveItem { .. }));
    edits
}

/// The item that stands for `want`: of the same type and value, or else the same type, or else the same value.
fn counterpart<'a>(current: impl Iterator<Item = &'a Value> + Clone, want: &Value) -> Option<&'a Value> {
    let same = |item: &Value, name| part(want, name).is_some() && part(item, name) == part(want, name);
    let untyped = part(want, "type").is_none();
    current
        .clone()
        .find(|item| same(item, "value") && (untyped || same(item, "type")))
        .or_else(|| current.clone().find(|item| same(item, "type")))
        .or_else(|| current.clone().find(|item| same(item, "value")))
}

fn edits_in_item(path: &Path, current: &[Value], item: &Value, want: &Value) -> Vec<Edit> {
    let (Some(want), Some(selector)) = (want.as_object(), selector(current, item)) else { return Vec::new() };
    let mut differing: Vec<(&String, &Value)> =
        want.iter().filter(|(sub, value)| part(item, sub) != Some(value)).collect();
    // After these the item is not selected any more.
    differing.sort_by_key(|(sub, _)| selector.0.iter().any(|(name, _)| name == sub));
    differing
        .into_iter()
        .map(|(sub, value)| Edit::SetInItem {
            path: path.clone(),
            item: selector.clone(),
            sub: sub.clone(),
            value: value.clone(),
        })
        .collect()
}

/// How to select `item` and no other: by its type if it has one of its own, or else by its value too. `None` when
/// nothing tells it from others.
fn selector(current: &[Value], item: &Value) -> Option<Selector> {
    let named = |name: &'static str| part(item, name).map(|value| (name, value.clone()));
    let (kind, value) = (named("type"), named("value"));
    let choices = [
        Selector(kind.clone().into_iter().collect()),
        Selector(value.clone().into_iter().collect()),
        Selector(kind.into_iter().chain(value).collect()),
    ];
    let only = |choice: &Selector| {
        !choice.0.is_empty() && current.iter().filter(|item| choice.matches(item)).count() == 1
    };
    choices.into_iter().find(only)
}

/// How to select `item` with those that nothing tells it from, when all of them go: an application may keep twice
/// what it was told twice.
fn selector_of_all(current: &[Value], item: &Value, goes: impl Fn(&Value) -> bool) -> Option<Selector> {
    let named = |name: &'static str| part(item, name).map(|value| (name, value.clone()));
    let choice = Selector(named("type").into_iter().chain(named("value")).collect());
    let all_go = current.iter().filter(|item| choice.matches(item)).all(goes);
    (!choice.0.is_empty() && all_go).then_some(choice)
}

/// Whether `item` has everything that `part` has.
fn holds(item: &Value, of: &Value) -> bool {
    match of.as_object() {
        Some(of) => of.iter().all(|(name, value)| part(item, name) == Some(value)),
        None => item == of,
    }
}

/// A sub-attribute of an item. An item that is no object is its own `value`.
fn part<'a>(item: &'a Value, name: &str) -> Option<&'a Value> {
    match item {
        Value::Object(item) => get(item, name),
        item if name.eq_ignore_ascii_case("value") => Some(item),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
