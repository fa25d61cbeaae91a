//! What rules mean, and what a wrong file is told.

mod effects;
mod faults;
mod language;
mod properties;

use std::collections::BTreeSet;

use rolecall_sink_api::{GroupId, OrganizationId, Profile, RoleName};

use super::*;

/// A made-up user, with their groups as (id, name, organization).
#[derive(Clone, Debug)]
struct Person {
    active: bool,
    organization: Option<OrganizationId>,
    directory: Option<&'static str>,
    source: Option<&'static str>,
    profile: Profile,
    provider_roles: BTreeSet<String>,
    groups: Vec<(GroupId, String, Option<OrganizationId>)>,
}

impl Person {
    fn new(organization: Option<&str>, groups: &[(&str, &str, Option<&str>)]) -> Self {
        let groups = groups.iter().map(|(id, name, organization)| {
            (GroupId::new(*id), (*name).to_owned(), organization.map(OrganizationId::new))
        });
        Self {
            active: true,
            organization: organization.map(OrganizationId::new),
            directory: None,
            source: None,
            profile: Profile::default(),
            provider_roles: BTreeSet::new(),
            groups: groups.collect(),
        }
    }

    fn in_groups(names: &[&str]) -> Self {
        let groups: Vec<(&str, &str, Option<&str>)> = names.iter().map(|name| (*name, *name, None)).collect();
        Self::new(None, &groups)
    }

    /// Somebody with one attribute.
    fn with(attribute: &str, value: serde_json::Value) -> Self {
        let mut person = Self::in_groups(&[]);
        assert!(set_attribute(&mut person.profile, attribute, &value), "{attribute}");
        person
    }

    fn ask<T>(&self, ask: impl FnOnce(&Subject<'_>) -> T) -> T {
        let groups: Vec<SubjectGroup<'_>> = self
            .groups
            .iter()
            .map(|(id, name, organization)| SubjectGroup { id, name, organization: organization.as_ref() })
            .collect();
        ask(&Subject {
            active: self.active,
            organization: self.organization.as_ref(),
            directory: self.directory,
            source: self.source,
            profile: &self.profile,
            provider_roles: &self.provider_roles,
            groups: &groups,
        })
    }

    /// What the rules say at that time. Deciding says the same in short.
    fn verdict(&self, rules: &Rules, now: Timestamp) -> Verdict {
        let verdict = self.ask(|subject| rules.explain(subject, now));
        let decision = self.ask(|subject| rules.decide(subject, now));
        let roles: BTreeSet<_> = verdict.grants.iter().map(|grant| grant.role.clone()).collect();
        assert_eq!((decision.roles, decision.next), (roles, verdict.next));
        verdict
    }

    fn grants(&self, rules: &Rules) -> Vec<Grant> {
        self.verdict(rules, Timestamp::UNIX_EPOCH).grants
    }

    fn roles(&self, rules: &Rules) -> Vec<String> {
        self.roles_at(rules, Timestamp::UNIX_EPOCH)
    }

    fn roles_at(&self, rules: &Rules, now: Timestamp) -> Vec<String> {
        self.verdict(rules, now).grants.into_iter().map(|grant| grant.role.as_str().to_owned()).collect()
    }
}

fn rules(text: &str) -> Rules {
    Rules::parse("rules.yaml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn error(text: &str) -> String {
    Rules::parse("rules.yaml", text).unwrap_err().to_string()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}
