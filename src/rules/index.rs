//! Rules arranged so that a user is asked only about rules that may hold for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rolecall_sink_api::{GroupId, OrganizationId, RoleName};

use super::glob::Globs;
use super::parse::{DEFAULT, Defaults, GroupTest, Rule};
use super::{Grant, Reason, Subject, SubjectGroup};

#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    defaults: Defaults,
    rules: Vec<Scoped>,
    /// Rules, as places in `rules`, by a group's exact name.
    by_name: HashMap<String, Vec<usize>>,
    by_id: HashMap<GroupId, Vec<usize>>,
    globs: Globs,
    /// The rule of each glob.
    by_glob: Vec<usize>,
    /// Rules that ask for the organization alone.
    by_organization: HashMap<OrganizationId, Vec<usize>>,
}

/// What is left to ask once a group or an organization led to a rule.
#[derive(Clone, Debug)]
struct Scoped {
    name: String,
    line: u32,
    organizations: Option<BTreeSet<OrganizationId>>,
    roles: Vec<RoleName>,
}

impl Scoped {
    /// Whether the rule is for this organization's users, through groups that may be counted.
    fn admits(&self, user: Option<&OrganizationId>, group: Option<&OrganizationId>) -> bool {
        let Some(organizations) = &self.organizations else { return true };
        let admits = |organization| organizations.contains(organization);
        user.is_some_and(admits) && group.is_none_or(|group| Some(group) == user)
    }
}

impl Index {
    pub(super) fn new(defaults: Defaults, rules: Vec<Rule>) -> Result<Self, globset::Error> {
        let mut index = Index { defaults, ..Self::default() };
        let mut globs = Vec::new();
        for (at, rule) in rules.into_iter().enumerate() {
            match rule.groups {
                Some(groups) => {
                    for group in groups {
                        match group {
                            GroupTest::Name(name) => index.by_name.entry(name).or_default().push(at),
                            GroupTest::Id(id) => index.by_id.entry(id).or_default().push(at),
                            GroupTest::Glob(glob) => {
                                globs.push(glob);
                                index.by_glob.push(at);
                            }
                        }
                    }
                }
                None => {
                    for organization in rule.organizations.iter().flatten() {
                        index.by_organization.entry(organization.clone()).or_default().push(at);
                    }
                }
            }
            index.rules.push(Scoped {
                name: rule.name,
                line: rule.line,
                organizations: rule.organizations.map(|list| list.into_iter().collect()),
                roles: rule.roles,
            });
        }
        index.globs = Globs::new(globs.iter().map(String::as_str))?;
        Ok(index)
    }

    pub(super) fn evaluate(&self, subject: &Subject<'_>) -> Vec<Grant> {
        let mut granted = Granted::default();
        for role in &self.defaults.roles {
            granted.note(role, DEFAULT, self.defaults.line, None);
        }
        for rule in listed(subject.organization.and_then(|id| self.by_organization.get(id))) {
            granted.rule(&self.rules[rule], None);
        }
        for group in subject.groups {
            for rule in self.of_group(group) {
                let rule = &self.rules[rule];
                if rule.admits(subject.organization, group.organization) {
                    granted.rule(rule, Some(group.id));
                }
            }
        }
        granted.into_grants()
    }

    /// The rules that ask for this group, some perhaps twice.
    fn of_group(&self, group: &SubjectGroup<'_>) -> impl Iterator<Item = usize> {
        let globs = if self.by_glob.is_empty() { Vec::new() } else { self.globs.matches(group.name) };
        listed(self.by_name.get(group.name))
            .chain(listed(self.by_id.get(group.id)))
            .chain(globs.into_iter().map(|glob| self.by_glob[glob]))
    }
}

fn listed(rules: Option<&Vec<usize>>) -> impl Iterator<Item = usize> {
    rules.into_iter().flatten().copied()
}

/// A line, the rule there, and the group that made it.
type Because<'a> = (u32, &'a str, Option<&'a GroupId>);

/// Roles with their reasons, each once.
#[derive(Default)]
struct Granted<'a>(BTreeMap<&'a RoleName, BTreeSet<Because<'a>>>);

impl<'a> Granted<'a> {
    fn note(&mut self, role: &'a RoleName, rule: &'a str, line: u32, group: Option<&'a GroupId>) {
        self.0.entry(role).or_default().insert((line, rule, group));
    }

    fn rule(&mut self, rule: &'a Scoped, group: Option<&'a GroupId>) {
        for role in &rule.roles {
            self.note(role, &rule.name, rule.line, group);
        }
    }

    fn into_grants(self) -> Vec<Grant> {
        let reason =
            |(line, rule, group): Because<'_>| Reason { rule: rule.to_owned(), line, group: group.cloned() };
        self.0
            .into_iter()
            .map(|(role, reasons)| Grant {
                role: role.clone(),
                reasons: reasons.into_iter().map(reason).collect(),
            })
            .collect()
    }
}
