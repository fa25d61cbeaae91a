//! From the rules file's text to rules that are known to be right.

mod condition;
mod reader;
mod roles;

use std::collections::{BTreeMap, HashMap};

use rolecall_sink_api::RoleName;

use self::reader::Reader;
pub(super) use self::reader::{is_name, scope_condition};
use self::roles::Use;
use super::RulesError;
use super::attribute::Attribute;
use super::book::{Book, Defaults, Family, Implied, LinedTest, Rule, Separation, Window};
use super::file::{OneOrMany, RuleEntry, SeparationEntry, TestEntry};
use super::fingerprint::Fingerprint;
use crate::yaml::{self, Entry, Fault, Kind, Node, Report, Reports, Source};

/// The name that stands as the reason for default roles, and so is no rule's.
pub(super) const DEFAULT: &str = "default";
/// The name that stands as the reason for roles that another role brings.
pub(super) const IMPLIES: &str = "implies";
/// The longest name of a rule or role, in characters.
pub(super) const MAX_NAME: usize = 256;
/// The keys of the file.
const KEYS: [&str; 7] = ["roles", "default", "implies", "families", "separate", "rules", "tests"];

/// Reads the file; all that is wrong is found in one go.
pub(super) fn parse(file_name: &str, text: &str) -> Result<(Book, Fingerprint), RulesError> {
    let source = Source { name: file_name, text };
    let root = yaml::parse(text).map_err(|fault| Report::new(source, fault))?;
    let mut reader = Reader::default();
    let book = reader.file(&root);
    Reports::none_of(reader.faults.into_iter().map(|fault| Report::new(source, fault)).collect())?;
    Ok((book, Fingerprint::of(&root)))
}

impl Reader {
    fn file(&mut self, root: &Node) -> Book {
        if !matches!(root.kind, Kind::Map(_) | Kind::Null) {
            self.fault(
                &root.place,
                "this must be a map of keys",
                &format!("its keys are `{}`", KEYS.join("`, `")),
            );
        }
        for entry in root.entries() {
            if !KEYS.contains(&entry.key.as_str()) {
                self.faults.push(Fault::unknown(entry.place.clone(), "key", &entry.key, &KEYS));
            }
        }
        if let Some(entry) = root.entry("roles") {
            self.catalogue(entry);
        }
        let defaults = root.entry("default").map(|entry| Defaults {
            line: entry.place.line(),
            roles: self.plain_roles(&entry.value, root.place_of("default")),
        });
        let implied = root.entry("implies").map(|entry| self.implied(entry)).unwrap_or_default();
        let families = self.list(root, "families", "write each as `- owner > admin > member`", Self::family);
        self.one_family_each(&families);
        let separations = self.list(root, "separate", "begin each set with `- name:`", Self::separation);
        let rules = self.list(root, "rules", "begin each rule with `- name:`", Self::rule);
        let tests = self.list(root, "tests", "begin each test with `- name:`", Self::test);
        Book {
            catalogue: self.catalogue.take(),
            defaults: defaults.unwrap_or_default(),
            implied,
            families: families.into_iter().map(|(family, _)| family).collect(),
            separations,
            rules,
            tests,
        }
    }

    /// What `read` makes of each item under a key.
    fn list<T>(
        &mut self,
        root: &Node,
        key: &str,
        help: &str,
        mut read: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        match root.entry(key).map(|entry| &entry.value) {
            None | Some(Node { kind: Kind::Null, .. }) => Vec::new(),
            Some(Node { kind: Kind::List(items), .. }) => {
                items.iter().filter_map(|item| read(self, item)).collect()
            }
            Some(_) => {
                self.fault(root.place_of(key), "this must be a list", help);
                Vec::new()
            }
        }
    }

    fn implied(&mut self, entry: &Entry) -> Vec<Implied> {
        let read: Option<BTreeMap<String, OneOrMany<RoleName>>> = self.decode(&entry.value);
        if read.is_none() {
            return Vec::new();
        }
        let implied: Vec<Implied> = entry
            .value
            .entries()
            .iter()
            .map(|entry| {
                self.role(&entry.key, &entry.place, Use::Plain);
                Implied {
                    line: entry.place.line(),
                    role: RoleName::new(entry.key.as_str()),
                    brings: self.plain_roles(&entry.value, &entry.value.place),
                }
            })
            .collect();
        let brings: HashMap<&str, &[RoleName]> =
            implied.iter().map(|implied| (implied.role.as_str(), implied.brings.as_slice())).collect();
        for entry in entry.value.entries() {
            if let Some(way) = way_back(&entry.key, &brings) {
                let message = format!("`{}` implies itself: {}", entry.key, way.join(", which implies "));
                self.fault(&entry.place, message, "take one of these away");
                // The others on the way are the same mistake.
                break;
            }
        }
        implied
    }

    fn family(&mut self, item: &Node) -> Option<(Family, Node)> {
        let text: String = self.decode(item)?;
        let roles: Vec<RoleName> = text.split('>').map(|role| RoleName::new(role.trim())).collect();
        if roles.len() < 2 {
            self.fault(
                &item.place,
                "a family has two roles or more",
                "write the highest first: owner > admin > member",
            );
            return None;
        }
        for role in &roles {
            self.role(role.as_str(), &item.place, Use::Plain);
        }
        Some((Family { line: item.place.line(), roles }, item.clone()))
    }

    fn one_family_each(&mut self, families: &[(Family, Node)]) {
        let mut seen: HashMap<&RoleName, u32> = HashMap::new();
        for (family, item) in families {
            for role in &family.roles {
                if let Some(line) = seen.insert(role, family.line) {
                    let message = format!("`{role}` is in the family on line {line} already");
                    self.fault(
                        &item.place,
                        message,
                        "a role is in one family, and once: put the families together",
                    );
                }
            }
        }
    }

    fn separation(&mut self, item: &Node) -> Option<Separation> {
        let entry: SeparationEntry = self.decode(item)?;
        self.own_name(&entry.name, item);
        let roles = item.entry("roles").map_or(item, |entry| &entry.value);
        let roles = self.plain_roles(roles, item.place_of("roles"));
        let mut distinct = roles.clone();
        distinct.sort();
        distinct.dedup();
        if distinct.len() < 2 {
            self.fault(
                item.place_of("roles"),
                "this names fewer than two roles",
                "write those that no one may hold together",
            );
        }
        if let Some(keep) = entry.keep.as_ref().filter(|keep| !roles.contains(keep)) {
            let message = format!("`{keep}` is not one of the roles of this set");
            self.fault(item.place_of("keep"), message, "write the one that stays, or take the key away");
        }
        Some(Separation { name: entry.name, line: item.place.line(), roles: distinct, keep: entry.keep })
    }

    fn rule(&mut self, item: &Node) -> Option<Rule> {
        let entry: RuleEntry = self.decode(item)?;
        self.own_name(&entry.name, item);
        let when = item.entry("when").map_or(item, |entry| &entry.value);
        self.condition(&entry.when, when, item.place_of("when"));
        if entry.when.active == Some(false) {
            let help = "take the rule away: whoever is not active has no roles";
            self.fault(item.place_of("when.active"), "rules ask only about active users", help);
        }
        if entry.grant.0.is_empty() && entry.deny.0.is_empty() {
            let place = item.entry("grant").or(item.entry("deny")).map_or(&item.place, |entry| &entry.place);
            self.fault(place, "this rule neither grants nor denies anything", "write at least one role");
        }
        let captures = self.captures(&entry.when);
        let grant = self.effects(item, "grant", Use::Grant, &captures);
        let deny = self.effects(item, "deny", Use::Deny, &captures);
        let window = Window { from: entry.from.map(|m| m.0), until: entry.until.map(|m| m.0) };
        if let (Some(from), Some(until)) = (window.from, window.until)
            && from >= until
        {
            self.fault(
                item.place_of("until"),
                "this is not after `from`",
                "the rule would never be in force",
            );
        }
        Some(Rule { name: entry.name, line: item.place.line(), when: entry.when, grant, deny, window })
    }

    /// Checks the name under which a rule or a set stands as a reason.
    fn own_name(&mut self, name: &str, item: &Node) {
        let place = item.place_of("name");
        self.name("rule", name, place);
        if [DEFAULT, IMPLIES].contains(&name) {
            let message = format!("no rule can be called `{name}`");
            self.fault(place, message, "that name stands for roles that come by themselves");
        }
        if let Some(first) = self.names.insert(name.to_owned(), item.place.line()) {
            let help = "give each rule a name of its own, so that it can be told which one gave a role";
            self.fault(place, format!("the rule on line {first} has the same name"), help);
        }
    }

    fn test(&mut self, item: &Node) -> Option<LinedTest> {
        let entry: TestEntry = self.decode(item)?;
        self.name("test", &entry.name, item.place_of("name"));
        if let Some(attributes) = item.entry("attributes") {
            for attribute in attributes.value.entries() {
                let known = self.attribute(&attribute.key, &attribute.place);
                let value = entry.attributes.get(&attribute.key);
                if let (Some(known), Some(value)) = (known, value)
                    && !matches!(known, Attribute::Custom(_))
                    && super::file::Scalar::of(value).is_none()
                {
                    let message = format!("`{}` is one value", attribute.key);
                    self.fault(
                        &attribute.value.place,
                        message,
                        "only custom attributes can be lists or maps",
                    );
                }
            }
        }
        let expect = item.entry("expect").map_or(item, |entry| &entry.value);
        self.plain_roles(expect, item.place_of("expect"));
        Some(LinedTest { line: item.place.line(), place: item.place_of("expect").clone(), entry })
    }
}

/// The roles on the way from a role back to itself, when there is one.
fn way_back(role: &str, brings: &HashMap<&str, &[RoleName]>) -> Option<Vec<String>> {
    let mut came_from: HashMap<&str, &str> = HashMap::new();
    let mut open = vec![role];
    while let Some(from) = open.pop() {
        for next in brings.get(from).copied().unwrap_or_default() {
            let next = next.as_str();
            if next == role {
                let mut way = vec![format!("`{role}`")];
                let mut at = from;
                while at != role {
                    way.push(format!("`{at}`"));
                    at = came_from.get(at).copied().unwrap_or(role);
                }
                way.push(format!("`{role}`"));
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, from);
                open.push(next);
            }
        }
    }
    None
}
