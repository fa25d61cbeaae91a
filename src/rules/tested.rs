//! The tests that a rules file brings along.

use std::collections::BTreeSet;

use rolecall_sink_api::{GroupId, OrganizationId, Profile, RoleName};

use super::attribute::Attribute;
use super::book::LinedTest;
use super::file::{TestEntry, TestGroup, TextOr};
use super::index::Index;
use super::{Objection, Reason, Subject, SubjectGroup, Verdict, evaluate};
use crate::yaml::Fault;

/// One of a file's tests, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRun {
    /// Its name.
    pub name: String,
    /// Its line in the file, from 1.
    pub line: u32,
    /// What is wrong, shown where it expects something else; `None` when it passed.
    pub failure: Option<Fault>,
}

/// Runs one test.
pub(super) fn run(index: &Index, test: &LinedTest) -> TestRun {
    let person = Person::of(&test.entry);
    let groups = person.groups();
    let subject = person.subject(&groups);
    // Without a time, one at which no window is open: what is asked must not depend on it.
    let at = test.entry.at.map(|at| at.0);
    let verdict = evaluate::explain(index, &subject, at.unwrap_or(jiff::Timestamp::MIN));
    let failure = match (at, verdict.next) {
        (None, Some(_)) => Some(
            Fault::at(
                test.place.clone(),
                format!("the roles of test `{}` depend on the time", test.entry.name),
            )
            .with_help("say when: `at: 2026-03-31`"),
        ),
        _ => difference(test, &verdict),
    };
    TestRun { name: test.entry.name.clone(), line: test.line, failure }
}

/// A made-up user.
pub(super) struct Person {
    profile: Profile,
    provider_roles: BTreeSet<String>,
    groups: Vec<(GroupId, String, Option<OrganizationId>)>,
    organization: Option<OrganizationId>,
    directory: Option<String>,
    source: Option<String>,
    active: bool,
}

impl Person {
    fn of(entry: &TestEntry) -> Self {
        let mut profile = Profile::default();
        for (name, value) in &entry.attributes {
            if let Some(attribute) = Attribute::named(name) {
                attribute.set(&mut profile, value);
            }
        }
        let group = |group: &TextOr<TestGroup>| match group {
            TextOr::Text(name) => (GroupId::new(name.as_str()), name.clone(), None),
            TextOr::Map(TestGroup { name, id, organization }) => {
                let id = id.clone().unwrap_or_else(|| GroupId::new(name.as_deref().unwrap_or_default()));
                let name = name.clone().unwrap_or_else(|| id.as_str().to_owned());
                (id, name, organization.clone())
            }
        };
        Self {
            profile,
            provider_roles: entry.provider_roles.0.iter().cloned().collect(),
            groups: entry.groups.iter().map(group).collect(),
            organization: entry.organization.clone(),
            directory: entry.directory.clone(),
            source: entry.source.clone(),
            active: entry.active,
        }
    }

    fn groups(&self) -> Vec<SubjectGroup<'_>> {
        self.groups
            .iter()
            .map(|(id, name, organization)| SubjectGroup { id, name, organization: organization.as_ref() })
            .collect()
    }

    fn subject<'a>(&'a self, groups: &'a [SubjectGroup<'a>]) -> Subject<'a> {
        Subject {
            active: self.active,
            organization: self.organization.as_ref(),
            directory: self.directory.as_deref(),
            source: self.source.as_deref(),
            profile: &self.profile,
            provider_roles: &self.provider_roles,
            groups,
        }
    }
}

fn difference(test: &LinedTest, verdict: &Verdict) -> Option<Fault> {
    let expected: BTreeSet<&RoleName> = test.entry.expect.0.iter().collect();
    let found: BTreeSet<&RoleName> = verdict.grants.iter().map(|grant| &grant.role).collect();
    let missing = expected.difference(&found).map(|role| match objection(verdict, role) {
        Some(why) => format!("`{role}` is missing ({why})"),
        None => format!("`{role}` is missing (no rule grants it)"),
    });
    let reasons = |role: &RoleName| {
        let grant = verdict.grants.iter().find(|grant| grant.role == *role);
        grant.and_then(|grant| grant.reasons.first()).map(told).unwrap_or_default()
    };
    let surplus = found.difference(&expected).map(|role| format!("`{role}` is too much ({})", reasons(role)));
    let differences: Vec<String> = missing.chain(surplus).collect();
    if differences.is_empty() {
        return None;
    }
    let roles: Vec<&str> = found.into_iter().map(RoleName::as_str).collect();
    let message = format!("test `{}` fails: {}", test.entry.name, differences.join(", "));
    let help = match roles.as_slice() {
        [] => "the rules give no role".to_owned(),
        roles => format!("the rules give [{}]", roles.join(", ")),
    };
    Some(Fault::at(test.place.clone(), message).with_help(help))
}

fn told(reason: &Reason) -> String {
    match &reason.implied_by {
        Some(role) => format!("`{role}` implies it, line {}", reason.line),
        None => format!("rule `{}`, line {}", reason.rule, reason.line),
    }
}

fn objection(verdict: &Verdict, role: &RoleName) -> Option<String> {
    let withheld = verdict.withheld.iter().find(|withheld| withheld.role == *role)?;
    Some(match withheld.objections.first()? {
        Objection::Denied(reason) => format!("denied by {}", told(reason)),
        Objection::Outranked { by, line } => format!("`{by}` is higher, line {line}"),
        Objection::Separated { rule, line, .. } => format!("kept apart by `{rule}`, line {line}"),
        Objection::NotInForce => "no rule that grants it is in force then".into(),
    })
}
