//! From the rules file's text to rules that are known to be right.

use std::collections::{BTreeMap, HashMap};

use rolecall_sink_api::{GroupId, OrganizationId, RoleName};
use serde::de::DeserializeOwned;

use super::RulesError;
use super::file::{Condition, GroupMatch, GroupPattern, OneOrMany, RuleEntry};
use crate::yaml::{self, Fault, Kind, Node, Place, Report, Reports, Source};

/// The name that stands as the reason for default roles, and so is no rule's.
pub(super) const DEFAULT: &str = "default";
/// The longest name of a rule, role or group pattern, in characters.
const MAX_NAME: usize = 256;

/// The roles of every active user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Defaults {
    pub(super) line: u32,
    pub(super) roles: Vec<RoleName>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) line: u32,
    /// Any of these; `None`: any at all.
    pub(super) organizations: Option<Vec<OrganizationId>>,
    /// Any of these; `None`: the rule asks for no group.
    pub(super) groups: Option<Vec<GroupTest>>,
    pub(super) roles: Vec<RoleName>,
}

/// Whether a group is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GroupTest {
    Name(String),
    Glob(String),
    Id(GroupId),
}

/// Reads the file; all that is wrong is found in one go.
pub(super) fn parse(file_name: &str, text: &str) -> Result<(Defaults, Vec<Rule>), RulesError> {
    let source = Source { name: file_name, text };
    let root = yaml::parse(text).map_err(|fault| Report::new(source, fault))?;
    let mut reader = Reader::default();
    let parsed = reader.file(&root);
    Reports::none_of(reader.faults.into_iter().map(|fault| Report::new(source, fault)).collect())?;
    Ok(parsed)
}

#[derive(Default)]
struct Reader {
    catalogue: Option<BTreeMap<RoleName, Option<String>>>,
    names: HashMap<String, u32>,
    faults: Vec<Fault>,
}

impl Reader {
    fn fault(&mut self, place: &Place, message: impl Into<String>, help: &str) {
        self.faults.push(Fault::at(place.clone(), message).with_help(help));
    }

    fn decode<T: DeserializeOwned>(&mut self, node: &Node) -> Option<T> {
        yaml::decode(node).map_err(|fault| self.faults.push(fault)).ok()
    }

    fn file(&mut self, root: &Node) -> (Defaults, Vec<Rule>) {
        if !matches!(root.kind, Kind::Map(_) | Kind::Null) {
            self.fault(
                &root.place,
                "this must be a map of keys",
                "its keys are `roles`, `default` and `rules`",
            );
        }
        let known = ["roles", "default", "rules"];
        for entry in root.entries() {
            if !known.contains(&entry.key.as_str()) {
                self.faults.push(Fault::unknown(entry.place.clone(), "key", &entry.key, &known));
            }
        }
        if let Some(entry) = root.entry("roles") {
            self.catalogue = self.decode(&entry.value);
            for role in entry.value.entries() {
                self.name("role", &role.key, &role.place);
            }
        }
        let defaults = root.entry("default").map(|entry| Defaults {
            line: entry.place.line(),
            roles: self.roles(&entry.value, root.place_of("default")),
        });
        let rules = match root.entry("rules").map(|entry| &entry.value) {
            None | Some(Node { kind: Kind::Null, .. }) => Vec::new(),
            Some(Node { kind: Kind::List(items), .. }) => {
                items.iter().filter_map(|item| self.rule(item)).collect()
            }
            Some(_) => {
                self.fault(root.place_of("rules"), "this must be a list", "begin each rule with `- name:`");
                Vec::new()
            }
        };
        (defaults.unwrap_or_default(), rules)
    }

    fn rule(&mut self, item: &Node) -> Option<Rule> {
        let entry: RuleEntry = self.decode(item)?;
        let line = item.place.line();
        let place = item.place_of("name");
        self.name("rule", &entry.name, place);
        if entry.name == DEFAULT {
            self.fault(place, "no rule can be called `default`", "that name stands for the default roles");
        }
        if let Some(first) = self.names.insert(entry.name.clone(), line) {
            let help = "give each rule a name of its own, so that it can be told which one gave a role";
            self.fault(place, format!("the rule on line {first} has the same name"), help);
        }
        let when = item.entry("when").map_or(item, |entry| &entry.value);
        let Condition { organization, group } = entry.when;
        if organization.is_none() && group.is_none() {
            let help = "say for whom the rule is: `group` or `organization`; \
                        roles for everybody stand under `default`";
            self.fault(item.place_of("when"), "this condition asks for nothing", help);
        }
        let organizations = organization.map(|list| self.some(list, item, "when.organization"));
        let groups = group.map(|list| {
            let groups = self.some(list, item, "when.group");
            let many = matches!(when.entry("group").map(|entry| &entry.value.kind), Some(Kind::List(_)));
            let test = |(index, group)| {
                let path = if many { format!("when.group.{index}") } else { "when.group".into() };
                self.group(group, item.place_of(&path))
            };
            groups.into_iter().enumerate().filter_map(test).collect()
        });
        let grant = item.entry("grant").map_or(item, |entry| &entry.value);
        let roles = self.roles(grant, item.place_of("grant"));
        if entry.grant.0.is_empty() {
            self.fault(item.place_of("grant"), "this rule grants nothing", "write at least one role");
        }
        Some(Rule { name: entry.name, line, organizations, groups, roles })
    }

    fn some<T>(&mut self, list: OneOrMany<T>, item: &Node, path: &str) -> Vec<T> {
        if list.0.is_empty() {
            self.fault(item.place_of(path), "this list is empty", "write at least one, or take the key away");
        }
        list.0
    }

    fn group(&mut self, group: GroupMatch, place: &Place) -> Option<GroupTest> {
        let test = match group {
            GroupMatch::Name(name) => GroupTest::Name(name),
            GroupMatch::Pattern(GroupPattern { name: Some(name), glob: None, id: None }) => {
                GroupTest::Name(name)
            }
            GroupMatch::Pattern(GroupPattern { name: None, glob: Some(glob), id: None }) => {
                GroupTest::Glob(glob)
            }
            GroupMatch::Pattern(GroupPattern { name: None, glob: None, id: Some(id) }) => GroupTest::Id(id),
            GroupMatch::Pattern(_) => {
                self.fault(
                    place,
                    "this must have exactly one of `name`, `glob` and `id`",
                    "keep the one you mean",
                );
                return None;
            }
        };
        let text = match &test {
            GroupTest::Name(text) | GroupTest::Glob(text) => text.as_str(),
            GroupTest::Id(id) => id.as_str(),
        };
        if text.is_empty() {
            self.fault(place, "this is empty and would match no group", "write the group's name");
        } else if matches!(test, GroupTest::Glob(_)) && text.chars().count() > MAX_NAME {
            self.fault(place, format!("a glob has at most {MAX_NAME} characters"), "write a shorter one");
        }
        Some(test)
    }

    /// The roles in a list or alone, checked against the catalogue.
    fn roles(&mut self, node: &Node, place: &Place) -> Vec<RoleName> {
        let Some(OneOrMany(roles)) = self.decode::<OneOrMany<RoleName>>(node) else { return Vec::new() };
        for (index, role) in roles.iter().enumerate() {
            let place =
                if matches!(node.kind, Kind::List(_)) { node.place_of(&index.to_string()) } else { place };
            self.name("role", role.as_str(), place);
            if let Some(catalogue) = &self.catalogue
                && !catalogue.contains_key(role)
            {
                let known: Vec<&str> = catalogue.keys().map(RoleName::as_str).collect();
                let fault = match yaml::nearest(role.as_str(), known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "add it to the catalogue under `roles`".into(),
                };
                self.fault(place, format!("there is no role `{role}` in the catalogue"), &fault);
            }
        }
        roles
    }

    fn name(&mut self, what: &str, name: &str, place: &Place) {
        if name.is_empty() || name.trim() != name || name.chars().any(char::is_control) {
            let message =
                format!("a {what}'s name is not empty and has no space around it or control characters");
            self.fault(place, message, "write a plain name");
        } else if name.chars().count() > MAX_NAME {
            self.fault(
                place,
                format!("a {what}'s name has at most {MAX_NAME} characters"),
                "write a shorter one",
            );
        }
    }
}
