//! Roles: their names, the catalogue, and those that are made from captures.

use std::collections::BTreeMap;

use rolecall_sink_api::RoleName;

use super::reader::Reader;
use crate::rules::book::{Catalogue, Named};
use crate::rules::file::{Condition, GroupPattern, OneOrMany, TextOr};
use crate::rules::pattern::{self, Pattern};
use crate::rules::template::Template;
use crate::yaml::{self, Entry, Kind, Node, Place};

/// What a name of a role is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// One role, as it stands.
    Plain,
    /// It may be made from captures.
    Grant,
    /// It may be made from captures, or stand for several.
    Deny,
}

/// The captures that a rule's roles may have.
pub(super) enum Captures {
    /// These.
    Named(Vec<String>),
    /// None, since not every group of the condition is a regular expression.
    None,
}

impl Reader {
    pub(super) fn catalogue(&mut self, entry: &Entry) {
        for role in entry.value.entries() {
            self.name("role", &role.key, &role.place);
            if role.key.contains(['{', '}']) {
                self.fault(
                    &role.place,
                    "a name in the catalogue has no braces",
                    "write `*` for what is captured",
                );
            }
        }
        let roles: Option<BTreeMap<RoleName, Option<String>>> = self.decode(&entry.value);
        // With all its entries commented out there is none.
        self.catalogue = roles.filter(|roles| !roles.is_empty()).map(|roles| Catalogue { roles });
    }

    /// The roles in a list or alone, each as it stands.
    pub(super) fn plain_roles(&mut self, node: &Node, place: &Place) -> Vec<RoleName> {
        let Some(OneOrMany(roles)) = self.decode::<OneOrMany<RoleName>>(node) else { return Vec::new() };
        for (index, role) in roles.iter().enumerate() {
            self.role(role.as_str(), item_place(node, place, index), Use::Plain);
        }
        roles
    }

    /// What a rule grants or denies.
    pub(super) fn effects(
        &mut self,
        item: &Node,
        key: &str,
        written_for: Use,
        captures: &Captures,
    ) -> Vec<Named> {
        let Some(entry) = item.entry(key) else { return Vec::new() };
        let node = &entry.value;
        // That they are roles at all was found with the rule.
        let Ok(OneOrMany(roles)) = yaml::decode::<OneOrMany<RoleName>>(node) else { return Vec::new() };
        let mut named = Vec::new();
        for (index, role) in roles.into_iter().enumerate() {
            let place = item_place(node, &node.place, index);
            self.role(role.as_str(), place, written_for);
            match Template::read(role.as_str()) {
                Ok(Some(template)) => {
                    self.has_captures(&template, captures, place);
                    named.push(Named::Made(template));
                }
                _ if role.as_str().contains('*') => named.push(Named::Pattern(role.as_str().to_owned())),
                _ => named.push(Named::Role(role)),
            }
        }
        named
    }

    /// Checks the name of one role.
    pub(super) fn role(&mut self, role: &str, place: &Place, written_for: Use) {
        self.name("role", role, place);
        let template = match Template::read(role) {
            Ok(template) => template,
            Err(wrong) => {
                self.fault(place, wrong, "write plain characters instead");
                return;
            }
        };
        let known = match template {
            Some(_) if written_for == Use::Plain => {
                let message = "there is nothing to be captured here";
                self.fault(place, message, "captures stand in what a rule grants or denies");
                return;
            }
            Some(template) => {
                self.catalogue.as_ref().is_none_or(|catalogue| catalogue.has_beginning(template.prefix()))
            }
            None if role.contains('*') => {
                if written_for != Use::Deny {
                    self.fault(place, "a `*` stands for several roles", "name each role that is meant");
                }
                return;
            }
            None => self.catalogue.as_ref().is_none_or(|catalogue| catalogue.has(role)),
        };
        if known {
            return;
        }
        let names = self.catalogue.iter().flat_map(|catalogue| catalogue.roles.keys()).map(RoleName::as_str);
        let help = match yaml::nearest(role, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "add it to the catalogue under `roles`".into(),
        };
        self.fault(place, format!("there is no role `{role}` in the catalogue"), &help);
    }

    fn has_captures(&mut self, template: &Template, captures: &Captures, place: &Place) {
        let Captures::Named(names) = captures else {
            let message = "there is nothing to be captured from";
            let help = "let every group of this rule's condition be a `regex` with that capture";
            self.fault(place, message, help);
            return;
        };
        for capture in template.captures().filter(|capture| !names.iter().any(|name| name == capture)) {
            let message =
                format!("no capture is called `{capture}` in every regular expression of this rule");
            let help = match yaml::nearest(capture, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{{{near}}}`?"),
                None => format!("capture it by `(?<{capture}>…)`"),
            };
            self.fault(place, message, &help);
        }
    }

    /// The captures that every group of the condition has.
    pub(super) fn captures(&self, when: &Condition) -> Captures {
        let Some(OneOrMany(groups)) = &when.group else { return Captures::None };
        let mut common: Option<Vec<String>> = None;
        for group in groups {
            let TextOr::Map(GroupPattern { regex: Some(regex), ignore_case, .. }) = group else {
                return Captures::None;
            };
            let Some(regex) = Pattern::regex(regex, *ignore_case).ok().and_then(|p| p.compile().ok()) else {
                return Captures::None;
            };
            let names: Vec<String> = pattern::captures(&regex).map(str::to_owned).collect();
            common = Some(match common {
                Some(common) => common.into_iter().filter(|name| names.contains(name)).collect(),
                None => names,
            });
        }
        common.map_or(Captures::None, Captures::Named)
    }
}

/// The place of one of the roles that stand at `node`, in a list or alone.
fn item_place<'n>(node: &'n Node, alone: &'n Place, index: usize) -> &'n Place {
    if matches!(node.kind, Kind::List(_)) { node.place_of(&index.to_string()) } else { alone }
}
