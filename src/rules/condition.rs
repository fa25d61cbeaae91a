//! Conditions, ready to be asked.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use regex::Regex;
use rolecall_sink_api::{GroupId, OrganizationId};

use super::Subject;
use super::attribute::{Attribute, AttributeTest};
use super::file::{Condition, GroupPattern, NamePattern, OneOrMany, TextOr};
use super::pattern::{Pattern, Patterns};

/// One way in which conditions know a group. What is asked for is numbered once, so that a user's groups are looked
/// up once, and from there on numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum GroupKey {
    Name(u32),
    /// By a name in which case does not matter.
    Folded(u32),
    Id(u32),
    Pattern(u32),
}

/// All ways in which some conditions know groups.
#[derive(Clone, Debug, Default)]
pub(super) struct Vocabulary {
    names: HashMap<String, u32>,
    folded: HashMap<String, u32>,
    ids: HashMap<GroupId, u32>,
    numbers: HashMap<Pattern, u32>,
    patterns: Patterns,
}

/// The number of `key` in `map`, which may be a new one.
fn number<K: std::hash::Hash + Eq>(map: &mut HashMap<K, u32>, key: K) -> u32 {
    let next = u32::try_from(map.len()).unwrap_or(u32::MAX);
    *map.entry(key).or_insert(next)
}

impl Vocabulary {
    /// The key of a group's pattern that was found right.
    pub(super) fn key(&mut self, group: &TextOr<GroupPattern>) -> Option<GroupKey> {
        let pattern = match group {
            TextOr::Text(name) => return Some(GroupKey::Name(number(&mut self.names, name.clone()))),
            TextOr::Map(pattern) => pattern,
        };
        Some(match pattern {
            GroupPattern { name: Some(name), ignore_case: false, .. } => {
                GroupKey::Name(number(&mut self.names, name.clone()))
            }
            GroupPattern { name: Some(name), .. } => {
                GroupKey::Folded(number(&mut self.folded, name.to_lowercase()))
            }
            GroupPattern { id: Some(id), .. } => GroupKey::Id(number(&mut self.ids, id.clone())),
            GroupPattern { glob: Some(glob), ignore_case, .. } => {
                GroupKey::Pattern(number(&mut self.numbers, Pattern::glob(glob, *ignore_case)))
            }
            GroupPattern { regex: Some(regex), ignore_case, .. } => {
                GroupKey::Pattern(number(&mut self.numbers, Pattern::regex(regex, *ignore_case).ok()?))
            }
            GroupPattern { .. } => return None,
        })
    }

    /// Makes the patterns ready; before this, no group has one.
    pub(super) fn compile(&mut self) -> Result<(), regex::Error> {
        let mut patterns: Vec<(u32, &Pattern)> = self.numbers.iter().map(|(p, n)| (*n, p)).collect();
        patterns.sort();
        let patterns: Vec<Pattern> = patterns.into_iter().map(|(_, pattern)| pattern.clone()).collect();
        self.patterns = Patterns::new(&patterns)?;
        Ok(())
    }

    /// Every key of a user's groups.
    pub(super) fn facts<'s>(&self, subject: &'s Subject<'s>, now: Timestamp) -> Facts<'s> {
        let mut keys = Vec::with_capacity(subject.groups.len());
        for (at, group) in subject.groups.iter().enumerate() {
            let found = [
                self.names.get(group.name).map(|n| GroupKey::Name(*n)),
                self.ids.get(group.id).map(|n| GroupKey::Id(*n)),
            ];
            let folded = (!self.folded.is_empty())
                .then(|| self.folded.get(&group.name.to_lowercase()).map(|n| GroupKey::Folded(*n)));
            let patterns = self.patterns.matches(group.name).map(GroupKey::Pattern);
            let found = found.into_iter().flatten().chain(folded.flatten()).chain(patterns);
            keys.extend(found.map(|key| (key, at)));
        }
        Facts { subject, keys, moments: Moments { now, next: None }, witnesses: Vec::new() }
    }
}

/// What may change with time alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moments {
    pub(super) now: Timestamp,
    /// The first moment that was looked at and has not come.
    pub(super) next: Option<Timestamp>,
}

impl Moments {
    /// Whether the moment has not come; when it does, what was asked is to be asked again.
    pub(super) fn is_future(&mut self, at: Timestamp) -> bool {
        let future = at > self.now;
        if future {
            self.next = Some(self.next.map_or(at, |next| next.min(at)));
        }
        future
    }
}

/// A user as conditions ask about them.
pub(super) struct Facts<'s> {
    pub(super) subject: &'s Subject<'s>,
    /// Each key of each group, by its place among the user's groups.
    pub(super) keys: Vec<(GroupKey, usize)>,
    pub(super) moments: Moments,
    /// The groups that made the condition hold, by their place.
    pub(super) witnesses: Vec<usize>,
}

/// A compiled [`Condition`].
#[derive(Clone, Debug)]
pub(super) enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Organization(BTreeSet<OrganizationId>),
    Directory(BTreeSet<String>),
    Source(BTreeSet<String>),
    Group {
        keys: BTreeSet<GroupKey>,
        /// Whether groups that are known to belong to another organization than the user do not count.
        own: bool,
    },
    Attribute(AttributeTest),
    ProviderRole {
        names: BTreeSet<String>,
        patterns: Vec<Regex>,
    },
    Active(bool),
}

/// What a user must have for a condition to have a chance: one of the list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trigger {
    Group(GroupKey),
    Value(Attribute, String),
    ProviderRole(String),
    Organization(OrganizationId),
}

fn listed<T: Ord + Clone>(list: &OneOrMany<T>) -> BTreeSet<T> {
    list.0.iter().cloned().collect()
}

impl Test {
    /// Compiles a condition that was found right. `own`: a condition around it names an organization.
    pub(super) fn new(
        condition: &Condition,
        own: bool,
        vocabulary: &mut Vocabulary,
    ) -> Result<Self, regex::Error> {
        let own = own || condition.organization.is_some();
        let mut tests = Vec::new();
        tests.extend(condition.active.map(Test::Active));
        tests.extend(condition.organization.as_ref().map(|list| Test::Organization(listed(list))));
        tests.extend(condition.directory.as_ref().map(|list| Test::Directory(listed(list))));
        tests.extend(condition.source.as_ref().map(|list| Test::Source(listed(list))));
        if let Some(groups) = &condition.group {
            let keys = groups.0.iter().filter_map(|group| vocabulary.key(group)).collect();
            tests.push(Test::Group { keys, own });
        }
        for (name, wanted) in condition.attribute.iter().flatten() {
            if let Some(attribute) = Attribute::named(name) {
                tests.push(Test::Attribute(AttributeTest::new(attribute, wanted)?));
            }
        }
        if let Some(roles) = &condition.provider_role {
            tests.push(provider_role(roles)?);
        }
        let mut inner = |conditions: &[Condition]| -> Result<Vec<Test>, regex::Error> {
            conditions.iter().map(|condition| Test::new(condition, own, vocabulary)).collect()
        };
        if let Some(all) = &condition.all {
            tests.extend(inner(all)?);
        }
        if let Some(any) = &condition.any {
            tests.push(Test::Any(inner(any)?));
        }
        if let Some(not) = &condition.not {
            tests.extend(inner(std::slice::from_ref(not))?.pop().map(|test| Test::Not(Box::new(test))));
        }
        Ok(if let [_] = tests[..] { tests.remove(0) } else { Test::All(tests) })
    }

    /// Whether the condition holds; the groups that make it do so are added to the witnesses.
    pub(super) fn holds(&self, facts: &mut Facts<'_>) -> bool {
        let subject = facts.subject;
        match self {
            Test::All(tests) => {
                let before = facts.witnesses.len();
                let holds = tests.iter().all(|test| test.holds(facts));
                if !holds {
                    facts.witnesses.truncate(before);
                }
                holds
            }
            // Every one is asked: each may have groups that are a reason.
            Test::Any(tests) => {
                let mut holds = false;
                for test in tests {
                    holds |= test.holds(facts);
                }
                holds
            }
            Test::Not(test) => {
                let before = facts.witnesses.len();
                let holds = !test.holds(facts);
                facts.witnesses.truncate(before);
                holds
            }
            Test::Active(active) => subject.active == *active,
            Test::Organization(list) => subject.organization.is_some_and(|own| list.contains(own)),
            Test::Directory(list) => subject.directory.is_some_and(|own| list.contains(own)),
            Test::Source(list) => subject.source.is_some_and(|own| list.contains(own)),
            Test::Attribute(test) => test.holds(subject.profile, &mut facts.moments),
            Test::ProviderRole { names, patterns } => subject
                .provider_roles
                .iter()
                .any(|role| names.contains(role) || patterns.iter().any(|pattern| pattern.is_match(role))),
            Test::Group { keys, own } => {
                let before = facts.witnesses.len();
                for (key, at) in &facts.keys {
                    let organization = subject.groups[*at].organization;
                    let foreign = organization.is_some() && organization != subject.organization;
                    if keys.contains(key) && !(*own && foreign) {
                        facts.witnesses.push(*at);
                    }
                }
                facts.witnesses.len() > before
            }
        }
    }

    /// One of these must be true for the condition to hold; `None` where that cannot be looked up. Those that are
    /// true of few users are preferred.
    pub(super) fn triggers(&self) -> Option<Vec<Trigger>> {
        match self {
            Test::All(tests) => {
                let choices = tests.iter().filter_map(Test::triggers);
                // The sort is stable, so the first of equals is taken.
                let mut choices: Vec<_> = choices.map(|triggers| (breadth(&triggers), triggers)).collect();
                choices.sort_by_key(|(breadth, _)| *breadth);
                choices.into_iter().next().map(|(_, triggers)| triggers)
            }
            Test::Any(tests) => {
                let triggers: Option<Vec<_>> = tests.iter().map(Test::triggers).collect();
                Some(triggers?.concat())
            }
            Test::Group { keys, .. } => Some(keys.iter().copied().map(Trigger::Group).collect()),
            Test::Organization(list) => Some(list.iter().cloned().map(Trigger::Organization).collect()),
            Test::Attribute(test) => {
                let (attribute, values) = test.values()?;
                Some(values.iter().map(|value| Trigger::Value(attribute.clone(), value.clone())).collect())
            }
            Test::ProviderRole { names, patterns } if patterns.is_empty() => {
                Some(names.iter().cloned().map(Trigger::ProviderRole).collect())
            }
            Test::Not(_)
            | Test::Directory(_)
            | Test::Source(_)
            | Test::ProviderRole { .. }
            | Test::Active(_) => None,
        }
    }
}

/// How many users a kind of trigger is likely to be true of, in a word; the broadest decides.
fn breadth(triggers: &[Trigger]) -> u8 {
    let breadth = |trigger: &Trigger| match trigger {
        Trigger::Group(GroupKey::Pattern(_)) => 3,
        Trigger::Group(_) => 0,
        Trigger::ProviderRole(_) => 1,
        Trigger::Value(..) => 2,
        Trigger::Organization(_) => 4,
    };
    triggers.iter().map(breadth).max().unwrap_or(0)
}

fn provider_role(roles: &OneOrMany<TextOr<NamePattern>>) -> Result<Test, regex::Error> {
    let mut names = BTreeSet::new();
    let mut patterns = Vec::new();
    for role in &roles.0 {
        let pattern = match role {
            TextOr::Text(name) => {
                names.insert(name.clone());
                continue;
            }
            TextOr::Map(NamePattern { name: Some(name), ignore_case: false, .. }) => {
                names.insert(name.clone());
                continue;
            }
            TextOr::Map(NamePattern { name: Some(name), .. }) => {
                Pattern::regex(&regex::escape(name), true).ok()
            }
            TextOr::Map(NamePattern { glob: Some(glob), ignore_case, .. }) => {
                Some(Pattern::glob(glob, *ignore_case))
            }
            TextOr::Map(NamePattern { regex, ignore_case, .. }) => {
                regex.as_deref().and_then(|regex| Pattern::regex(regex, *ignore_case).ok())
            }
        };
        if let Some(pattern) = pattern {
            patterns.push(pattern.compile()?);
        }
    }
    Ok(Test::ProviderRole { names, patterns })
}
