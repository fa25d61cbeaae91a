//! What rules mean, and what a wrong file is told.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rolecall_sink_api::{GroupId, OrganizationId, Profile, RoleName};

use super::parse::{Defaults, GroupTest, Rule};
use super::*;

/// A user: their organization, and their groups as (id, name, organization).
#[derive(Clone, Debug)]
struct Person {
    organization: Option<OrganizationId>,
    groups: Vec<(GroupId, String, Option<OrganizationId>)>,
}

impl Person {
    fn new(organization: Option<&str>, groups: &[(&str, &str, Option<&str>)]) -> Self {
        let groups = groups.iter().map(|(id, name, organization)| {
            (GroupId::new(*id), (*name).to_owned(), organization.map(OrganizationId::new))
        });
        Self { organization: organization.map(OrganizationId::new), groups: groups.collect() }
    }

    fn in_groups(names: &[&str]) -> Self {
        let groups: Vec<(&str, &str, Option<&str>)> = names.iter().map(|name| (*name, *name, None)).collect();
        Self::new(None, &groups)
    }

    fn grants(&self, rules: &Rules) -> Vec<Grant> {
        let groups: Vec<SubjectGroup<'_>> = self
            .groups
            .iter()
            .map(|(id, name, organization)| SubjectGroup { id, name, organization: organization.as_ref() })
            .collect();
        rules.evaluate(&Subject {
            organization: self.organization.as_ref(),
            profile: &Profile::default(),
            provider_roles: &BTreeSet::new(),
            groups: &groups,
        })
    }

    fn roles(&self, rules: &Rules) -> Vec<String> {
        self.grants(rules).into_iter().map(|grant| grant.role.as_str().to_owned()).collect()
    }
}

fn rules(text: &str) -> Rules {
    Rules::parse("rules.yaml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn error(text: &str) -> String {
    Rules::parse("rules.yaml", text).unwrap_err().to_string()
}

#[test]
fn without_rules_nobody_has_a_role() {
    let person = Person::in_groups(&["Engineering"]);
    assert!(person.grants(&Rules::none()).is_empty());
    assert!(person.grants(&rules("")).is_empty());
    assert!(person.grants(&rules("rules:\ndefault:\n")).is_empty());
}

#[test]
fn a_group_gives_its_roles_and_everybody_has_the_default() {
    let rules = rules(
        "default: [member]\nrules:\n  - name: engineers\n    when: {group: Engineering}\n    grant: [developer, deployer]\n",
    );
    assert_eq!(Person::in_groups(&["Engineering"]).roles(&rules), ["deployer", "developer", "member"]);
    assert_eq!(Person::in_groups(&["engineering", "Eng"]).roles(&rules), ["member"]);
}

#[test]
fn a_reason_names_the_rule_its_line_and_the_group() {
    let rules = rules(
        "default: member\nrules:\n- name: a\n  when: {group: {glob: 'eng-*'}}\n  grant: dev\n- name: b\n  when: {group: {id: g2}}\n  grant: dev\n",
    );
    let person = Person::new(None, &[("g2", "eng-2", None), ("g1", "eng-1", None), ("g3", "x", None)]);
    let reason = |rule: &str, line, group: Option<&str>| Reason {
        rule: rule.into(),
        line,
        group: group.map(GroupId::new),
    };
    assert_eq!(
        person.grants(&rules),
        [
            Grant {
                role: RoleName::new("dev"),
                reasons: vec![
                    reason("a", 3, Some("g1")),
                    reason("a", 3, Some("g2")),
                    reason("b", 6, Some("g2"))
                ]
            },
            Grant { role: RoleName::new("member"), reasons: vec![reason("default", 1, None)] },
        ]
    );
}

#[test]
fn one_rule_takes_several_groups_in_several_ways() {
    let rules = rules(
        "rules:\n- name: a\n  when:\n    group: [Ops, {name: SRE}, {glob: 'on-call?'}, {id: g7}]\n  grant: ops\n",
    );
    for name in ["Ops", "SRE", "on-call1"] {
        assert_eq!(Person::in_groups(&[name]).roles(&rules), ["ops"], "{name}");
    }
    assert_eq!(Person::new(None, &[("g7", "whatever", None)]).roles(&rules), ["ops"]);
    assert!(Person::in_groups(&["on-call", "on-call12", "ops"]).roles(&rules).is_empty());
}

#[test]
fn an_organization_keeps_a_rule_to_itself() {
    let rules = rules(
        "rules:\n\
         - name: acme admins\n  when: {organization: org_1, group: Admins}\n  grant: admin\n\
         - name: acme\n  when: {organization: [org_1, org_3]}\n  grant: customer\n",
    );
    let admins = |organization, group_organization| {
        Person::new(organization, &[("g1", "Admins", group_organization)]).roles(&rules)
    };
    assert_eq!(admins(Some("org_1"), Some("org_1")), ["admin", "customer"]);
    assert_eq!(admins(Some("org_1"), None), ["admin", "customer"]);
    // The same name in another organization is another group.
    assert_eq!(admins(Some("org_1"), Some("org_2")), ["customer"]);
    assert_eq!(admins(Some("org_3"), Some("org_3")), ["customer"]);
    assert!(admins(Some("org_2"), Some("org_2")).is_empty());
    // Nobody is given a tenant's role before it is known that they are of that tenant.
    assert!(admins(None, Some("org_1")).is_empty());
    assert!(admins(None, None).is_empty());
}

#[test]
fn the_fingerprint_changes_with_what_an_evaluation_says() {
    let base =
        "roles: {dev: A developer}\ndefault: []\nrules:\n  - {name: a, when: {group: G}, grant: dev}\n";
    let fingerprint = |text: &str| rules(text).fingerprint();
    let same = base.replace("A developer", "Writes code").replace("grant: dev}", "grant: [dev]} # why");
    assert_eq!(fingerprint(base), fingerprint(&same));
    for (from, to) in [
        ("name: a", "name: b"),
        ("group: G", "group: H"),
        ("group: G", "group: {glob: G}"),
        ("group: G", "organization: G"),
        ("default: []", "default: [dev]"),
        ("rules:", "\nrules:"),
    ] {
        assert_ne!(fingerprint(base), fingerprint(&base.replace(from, to)), "{to}");
    }
    // Kept on disk from one version to the next, so it may not change by accident.
    assert_eq!(Rules::none().fingerprint().to_string(), "e7e29fa8c1fb4ddd203966ee7d217017");
}

#[test]
fn everything_wrong_is_told_at_once_where_it_is() {
    let text = "\
role: {}
roles:
  admin: Full administration
  developer:
default: [membr]
rules:
  - name: engineers
    when: {groups: Engineering}
    grant: [developer]
  - name: ops
    when: {group: {globb: 'ops-*'}}
    grant: admin
  - name: acme
    when: {}
    grant: [admn]
  - when: {group: A}
    grant: admin
  - name: acme
    when: {group: {glob: x, id: y}}
    grant: []
";
    let expected = "\
rules.yaml:1:1: there is no key `role` here
 1 | role: {}
   | ^^^^
   = did you mean `roles`?

rules.yaml:5:11: there is no role `membr` in the catalogue
 5 | default: [membr]
   |           ^^^^^
   = add it to the catalogue under `roles`

rules.yaml:8:12: there is no key `groups` here
 8 |     when: {groups: Engineering}
   |            ^^^^^^
   = did you mean `group`?

rules.yaml:11:20: there is no key `globb` here
 11 |     when: {group: {globb: 'ops-*'}}
    |                    ^^^^^
    = did you mean `glob`?

rules.yaml:14:5: this condition asks for nothing
 14 |     when: {}
    |     ^^^^
    = say for whom the rule is: `group` or `organization`; roles for everybody stand under `default`

rules.yaml:15:13: there is no role `admn` in the catalogue
 15 |     grant: [admn]
    |             ^^^^
    = did you mean `admin`?

rules.yaml:16:5: the key `name` is missing
 16 |   - when: {group: A}
    |     ^^^^

rules.yaml:18:11: the rule on line 13 has the same name
 18 |   - name: acme
    |           ^^^^
    = give each rule a name of its own, so that it can be told which one gave a role

rules.yaml:19:12: this must have exactly one of `name`, `glob` and `id`
 19 |     when: {group: {glob: x, id: y}}
    |            ^^^^^
    = keep the one you mean

rules.yaml:20:5: this rule grants nothing
 20 |     grant: []
    |     ^^^^^
    = write at least one role";
    assert_eq!(error(text), expected);
}

#[test]
fn a_number_is_no_group_and_a_list_no_file() {
    assert_eq!(
        error("rules:\n  - {name: a, when: {group: 2024}, grant: x}\n"),
        "rules.yaml:2:29: this must be a group's name as text, or one of {name: …}, {glob: …} and {id: …}, not 2024\n \
         2 |   - {name: a, when: {group: 2024}, grant: x}\n   |                             ^^^^\n   = write it in quotes"
    );
    assert!(error("- a\n").starts_with("rules.yaml:1:1: this must be a map of keys"), "{}", error("- a\n"));
    assert!(error("rules: {}\n").contains("rules.yaml:1:1: this must be a list"), "{}", error("rules: {}\n"));
    assert!(error("rules: [{name: default, when: {group: a}, grant: b}]").contains("no rule can be called"));
}

#[test]
fn a_tab_is_named_as_what_it_is() {
    let error = error("rules:\n\t- name: a\n");
    assert!(error.starts_with("rules.yaml:2:1: ") && error.ends_with("never with tabs"), "{error}");
}

#[test]
fn anchors_work() {
    let rules = rules(
        "rules:\n- name: a\n  when: &ops {group: Ops}\n  grant: &r [x, y]\n- name: b\n  when: *ops\n  grant: [z]\n",
    );
    assert_eq!(Person::in_groups(&["Ops"]).roles(&rules), ["x", "y", "z"]);
}

/// The rules in the plainest way: every rule is asked about every group.
fn plainly(
    defaults: &Defaults,
    rules: &[Rule],
    person: &Person,
) -> BTreeMap<String, BTreeSet<(String, Option<GroupId>)>> {
    let mut granted: BTreeMap<String, BTreeSet<(String, Option<GroupId>)>> = BTreeMap::new();
    let mut grant = |role: &RoleName, rule: &str, group: Option<&GroupId>| {
        granted.entry(role.as_str().into()).or_default().insert((rule.into(), group.cloned()));
    };
    for role in &defaults.roles {
        grant(role, "default", None);
    }
    for rule in rules {
        let in_organization = match &rule.organizations {
            None => true,
            Some(list) => person.organization.as_ref().is_some_and(|own| list.contains(own)),
        };
        if !in_organization {
            continue;
        }
        let Some(tests) = &rule.groups else {
            rule.roles.iter().for_each(|role| grant(role, &rule.name, None));
            continue;
        };
        for (id, name, organization) in &person.groups {
            let foreign = organization.is_some() && *organization != person.organization;
            let meant = tests.iter().any(|test| match test {
                GroupTest::Name(wanted) => wanted == name,
                GroupTest::Glob(glob) => glob.split_once('*').is_some_and(|(head, tail)| {
                    name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
                }),
                GroupTest::Id(wanted) => wanted == id,
            });
            if meant && !(foreign && rule.organizations.is_some()) {
                rule.roles.iter().for_each(|role| grant(role, &rule.name, Some(id)));
            }
        }
    }
    granted
}

fn of(grants: Vec<Grant>) -> BTreeMap<String, BTreeSet<(String, Option<GroupId>)>> {
    let reasons = |grant: &Grant| grant.reasons.iter().map(|r| (r.rule.clone(), r.group.clone())).collect();
    grants.iter().map(|grant| (grant.role.as_str().to_owned(), reasons(grant))).collect()
}

prop_compose! {
    fn organization()(n in 0..3) -> OrganizationId { OrganizationId::new(format!("org_{n}")) }
}

fn role() -> impl Strategy<Value = RoleName> {
    (0..4).prop_map(|n| RoleName::new(format!("role{n}")))
}

fn test() -> impl Strategy<Value = GroupTest> {
    prop_oneof![
        "[ab]{1,2}".prop_map(GroupTest::Name),
        r"[ab]{0,1}\*[ab]{0,1}".prop_map(GroupTest::Glob),
        "g[0-5]".prop_map(|id| GroupTest::Id(GroupId::new(id))),
    ]
}

fn some_rules() -> impl Strategy<Value = Vec<Rule>> {
    let condition = (
        prop::option::of(prop::collection::vec(organization(), 1..3)),
        prop::option::of(prop::collection::vec(test(), 1..4)),
    )
        .prop_filter("asks for something", |(organizations, groups)| {
            organizations.is_some() || groups.is_some()
        });
    let rule = (condition, prop::collection::vec(role(), 1..3));
    prop::collection::vec(rule, 0..12).prop_map(|rules| {
        let numbered = rules.into_iter().enumerate();
        numbered
            .map(|(at, ((organizations, groups), roles))| Rule {
                name: format!("rule {at}"),
                line: u32::try_from(at).unwrap(),
                organizations,
                groups,
                roles,
            })
            .collect()
    })
}

fn person() -> impl Strategy<Value = Person> {
    let group = ("g[0-5]".prop_map(GroupId::new), "[ab]{1,3}", prop::option::of(organization()));
    (prop::option::of(organization()), prop::collection::vec(group, 0..6))
        .prop_map(|(organization, groups)| Person { organization, groups })
}

fn indexed(defaults: &Defaults, rules: &[Rule]) -> Rules {
    Rules {
        index: index::Index::new(defaults.clone(), rules.to_vec()).unwrap(),
        fingerprint: Fingerprint::of(defaults, rules),
    }
}

proptest! {
    #[test]
    fn the_index_says_what_asking_every_rule_would(
        rules in some_rules(), default in prop::collection::vec(role(), 0..2), person in person()
    ) {
        let defaults = Defaults { line: 1, roles: default };
        let expected = plainly(&defaults, &rules, &person);
        prop_assert_eq!(of(person.grants(&indexed(&defaults, &rules))), expected);
    }

    #[test]
    fn the_order_of_rules_and_groups_does_not_matter(
        (rules, shuffled) in some_rules().prop_flat_map(|rules| (Just(rules.clone()), Just(rules).prop_shuffle())),
        (person, turned) in person().prop_flat_map(|person| {
            let groups = Just(person.groups.clone()).prop_shuffle();
            let organization = person.organization.clone();
            (Just(person), groups.prop_map(move |groups| Person { organization: organization.clone(), groups }))
        })
    ) {
        let defaults = Defaults::default();
        prop_assert_eq!(
            person.grants(&indexed(&defaults, &rules)),
            turned.grants(&indexed(&defaults, &shuffled))
        );
    }

    #[test]
    fn no_file_makes_it_panic(text in r"[ -~\n\t]{0,80}") {
        let _ = Rules::parse("rules.yaml", &text);
    }

    #[test]
    fn no_rule_makes_it_panic(text in r"((rules|default|roles|name|when|group|glob|grant|organization|x):?[ \n]|[-\[\]{},*&?~] ?|\n {1,6}){0,40}") {
        let _ = Rules::parse("rules.yaml", &text);
    }
}
