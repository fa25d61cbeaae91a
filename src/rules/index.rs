//! Rules arranged so that a user is asked only about rules that may hold for them.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use regex::Regex;
use rolecall_sink_api::{OrganizationId, RoleName};

use super::Subject;
use super::attribute::Attribute;
use super::book::{Book, Catalogue, Named, Rule, Window};
use super::condition::{Facts, GroupKey, Moments, Test, Trigger, Vocabulary};
use super::file::{GroupPattern, TextOr};
use super::parse::{MAX_NAME, is_name};
use super::pattern::Pattern;
use super::resolve::{Order, Role, Separated};
use super::template::Template;

/// All rules, compiled.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    vocabulary: Vocabulary,
    /// The known roles, by number.
    pub(super) roles: Vec<RoleName>,
    numbers: HashMap<RoleName, Role>,
    catalogue: Option<Catalogue>,
    pub(super) defaults: (u32, Vec<Role>),
    pub(super) order: Order,
    /// The line where each known role is said to bring others.
    pub(super) implied_lines: HashMap<Role, u32>,
    pub(super) family_lines: Vec<u32>,
    /// The name and the line of each set of roles that are kept apart.
    pub(super) separation_names: Vec<(String, u32)>,
    pub(super) rules: Vec<Compiled>,
    by_group: HashMap<GroupKey, Vec<usize>>,
    by_value: HashMap<Attribute, HashMap<String, Vec<usize>>>,
    by_provider_role: HashMap<String, Vec<usize>>,
    by_organization: HashMap<OrganizationId, Vec<usize>>,
    /// Rules that can hold for anybody.
    always: Vec<usize>,
}

/// One rule.
#[derive(Clone, Debug)]
pub(super) struct Compiled {
    pub(super) name: String,
    pub(super) line: u32,
    when: Test,
    grant: Vec<Effect>,
    deny: Vec<Effect>,
    pub(super) window: Window,
    /// What captures, where some role needs it.
    regexes: Vec<Regex>,
}

#[derive(Clone, Debug)]
enum Effect {
    Role(Role),
    Pattern(String),
    Made(Template),
}

/// Why a role is granted or denied: the rule, none for the default, and the group, each by its place.
pub(super) type Cause = (Option<usize>, Option<usize>);

/// What all rules say of one user.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Roles that were made from captures and are not known otherwise: their numbers follow those of the known ones.
    made: Vec<RoleName>,
    pub(super) granted: Vec<(Role, Cause)>,
    pub(super) denied: Vec<(Role, Cause)>,
    /// Names with stars that are denied.
    pub(super) denied_patterns: Vec<(String, Cause)>,
    /// What rules grant that hold and are not in force now.
    pub(super) dormant: Vec<(Role, Cause)>,
    pub(super) next: Option<Timestamp>,
}

impl Index {
    pub(super) fn new(book: Book) -> Result<Self, regex::Error> {
        let mut index = Index::default();
        index.defaults =
            (book.defaults.line, book.defaults.roles.iter().map(|role| index.number(role)).collect());
        for implied in &book.implied {
            let role = index.number(&implied.role);
            let brings: Vec<Role> = implied.brings.iter().map(|role| index.number(role)).collect();
            index.implied_lines.insert(role, implied.line);
            *at(&mut index.order.brings, role) = brings;
        }
        for (place, family) in book.families.iter().enumerate() {
            index.family_lines.push(family.line);
            for (rank, role) in family.roles.iter().enumerate() {
                let role = index.number(role);
                *at(&mut index.order.rank, role) = Some((place, rank));
            }
        }
        for separation in book.separations {
            let roles = separation.roles.iter().map(|role| index.number(role)).collect();
            let keep = separation.keep.as_ref().map(|role| index.number(role));
            index.order.separations.push(Separated { roles, keep });
            index.separation_names.push((separation.name, separation.line));
        }
        for rule in book.rules {
            index.add(rule)?;
        }
        index.catalogue = book.catalogue;
        index.vocabulary.compile()?;
        Ok(index)
    }

    fn add(&mut self, rule: Rule) -> Result<(), regex::Error> {
        let place = self.rules.len();
        let when = Test::new(&rule.when, false, &mut self.vocabulary)?;
        match when.triggers() {
            Some(triggers) => triggers.into_iter().for_each(|trigger| {
                let rules = match trigger {
                    Trigger::Group(key) => self.by_group.entry(key).or_default(),
                    Trigger::Value(attribute, value) => {
                        self.by_value.entry(attribute).or_default().entry(value).or_default()
                    }
                    Trigger::ProviderRole(role) => self.by_provider_role.entry(role).or_default(),
                    Trigger::Organization(id) => self.by_organization.entry(id).or_default(),
                };
                rules.push(place);
            }),
            None => self.always.push(place),
        }
        let mut effects = |named: Vec<Named>| -> Vec<Effect> {
            let effect = |named| match named {
                Named::Role(role) => Effect::Role(self.number(&role)),
                Named::Pattern(pattern) => Effect::Pattern(pattern),
                Named::Made(template) => Effect::Made(template),
            };
            named.into_iter().map(effect).collect()
        };
        let (grant, deny) = (effects(rule.grant), effects(rule.deny));
        let needs_captures = grant.iter().chain(&deny).any(|effect| matches!(effect, Effect::Made(_)));
        let groups = rule.when.group.iter().flat_map(|list| &list.0).filter(|_| needs_captures);
        let regexes = groups.filter_map(|group| match group {
            TextOr::Map(GroupPattern { regex: Some(regex), ignore_case, .. }) => {
                Pattern::regex(regex, *ignore_case).ok().map(|pattern| pattern.compile())
            }
            _ => None,
        });
        let regexes = regexes.collect::<Result<_, _>>()?;
        let Rule { name, line, window, .. } = rule;
        self.rules.push(Compiled { name, line, when, grant, deny, window, regexes });
        Ok(())
    }

    /// The number of a known role, which may be new.
    fn number(&mut self, role: &RoleName) -> Role {
        if let Some(number) = self.numbers.get(role) {
            return *number;
        }
        let number = Role::try_from(self.roles.len()).unwrap_or(Role::MAX);
        self.roles.push(role.clone());
        self.numbers.insert(role.clone(), number);
        number
    }

    /// The name of a role that a tally speaks of.
    pub(super) fn name<'a>(&'a self, tally: &'a Tally, role: Role) -> &'a RoleName {
        let role = role as usize;
        self.roles.get(role).unwrap_or_else(|| &tally.made[role - self.roles.len()])
    }

    /// What all rules say of a user who is active.
    pub(super) fn tally(&self, subject: &Subject<'_>, now: Timestamp) -> Tally {
        let mut facts = self.vocabulary.facts(subject, now);
        let mut tally = Tally::default();
        tally.granted.extend(self.defaults.1.iter().map(|role| (*role, (None, None))));
        for place in self.candidates(&facts) {
            facts.witnesses.clear();
            let rule = &self.rules[place];
            if rule.when.holds(&mut facts) {
                let in_force = rule.window.holds(&mut facts.moments);
                self.note(&mut tally, place, &mut facts, in_force);
            }
        }
        tally.next = facts.moments.next;
        tally
    }

    /// The rules that may hold for the user, in their order.
    fn candidates(&self, facts: &Facts<'_>) -> Vec<usize> {
        let subject = facts.subject;
        let mut found = self.always.clone();
        let mut take = |rules: Option<&Vec<usize>>| found.extend(rules.into_iter().flatten());
        facts.keys.iter().for_each(|(key, _)| take(self.by_group.get(key)));
        take(subject.organization.and_then(|id| self.by_organization.get(id)));
        subject.provider_roles.iter().for_each(|role| take(self.by_provider_role.get(role)));
        for (attribute, values) in &self.by_value {
            attribute.any(subject.profile, |value| {
                take(values.get(value));
                false
            });
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Notes what a rule says that holds.
    fn note(&self, tally: &mut Tally, place: usize, facts: &mut Facts<'_>, in_force: bool) {
        let rule = &self.rules[place];
        facts.witnesses.sort_unstable();
        facts.witnesses.dedup();
        let groups = facts.subject.groups;
        let alone = [None];
        let witnesses: Vec<Option<usize>> = facts.witnesses.iter().copied().map(Some).collect();
        let causes = if witnesses.is_empty() { &alone[..] } else { &witnesses };
        let effects = rule.grant.iter().map(|effect| (true, effect));
        for (grants, effect) in effects.chain(rule.deny.iter().map(|effect| (false, effect))) {
            for group in causes {
                let cause = (Some(place), *group);
                let say = |tally: &mut Tally, role| match (grants, in_force) {
                    (true, true) => tally.granted.push((role, cause)),
                    (true, false) => tally.dormant.push((role, cause)),
                    (false, true) => tally.denied.push((role, cause)),
                    (false, false) => {}
                };
                match effect {
                    Effect::Role(role) => say(tally, *role),
                    Effect::Pattern(pattern) if in_force => {
                        tally.denied_patterns.push((pattern.clone(), cause));
                    }
                    Effect::Pattern(_) => {}
                    Effect::Made(template) => {
                        let Some(name) = group.map(|group| groups[group].name) else { continue };
                        let found = rule.regexes.iter().filter_map(|regex| regex.captures(name));
                        for role in found.filter_map(|captures| template.fill(&captures)) {
                            if let Some(role) = self.made(tally, role) {
                                say(tally, role);
                            }
                        }
                    }
                }
            }
        }
    }

    /// The number of a role that was made from captures; none when it cannot be one.
    fn made(&self, tally: &mut Tally, role: String) -> Option<Role> {
        if let Some(known) = self.numbers.get(role.as_str()) {
            return Some(*known);
        }
        let is_right = is_name(&role)
            && role.chars().count() <= MAX_NAME
            && !role.contains(['*', '{', '}'])
            && self.catalogue.as_ref().is_none_or(|catalogue| catalogue.has(&role));
        if !is_right {
            return None;
        }
        let place = tally.made.iter().position(|made| made.as_str() == role).unwrap_or_else(|| {
            tally.made.push(RoleName::new(role));
            tally.made.len() - 1
        });
        Role::try_from(self.roles.len() + place).ok()
    }

    /// The catalogue's descriptions.
    pub(super) fn descriptions(&self) -> BTreeMap<&RoleName, Option<&str>> {
        let roles = self.catalogue.iter().flat_map(|catalogue| &catalogue.roles);
        roles.map(|(role, description)| (role, description.as_deref())).collect()
    }
}

impl Window {
    /// Whether a rule is in force now; when that changes is noted.
    fn holds(&self, moments: &mut Moments) -> bool {
        let begun = self.from.is_none_or(|from| !moments.is_future(from));
        begun && self.until.is_none_or(|until| moments.is_future(until))
    }
}

/// The place of a known role in a list by numbers, which grows as needed.
fn at<T: Default + Clone>(list: &mut Vec<T>, role: Role) -> &mut T {
    let place = role as usize;
    if list.len() <= place {
        list.resize(place + 1, T::default());
    }
    &mut list[place]
}
