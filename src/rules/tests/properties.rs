//! What holds for all rules and all users.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::book::{Book, Defaults, Named, Rule, Window};
use super::file::{AttributeMatch, GroupPattern, NamePattern, OneOrMany, Scalar, TextOr};
use super::*;

/// Each role with the rules that grant it and the group that makes them.
type Granted = BTreeMap<String, BTreeSet<(String, Option<GroupId>)>>;

/// Whether a condition holds, said in the plainest way; the groups that make it hold are added.
fn plainly(condition: &Condition, person: &Person, own: bool, groups: &mut BTreeSet<GroupId>) -> bool {
    let own = own || condition.organization.is_some();
    let mut found = BTreeSet::new();
    let Condition {
        organization,
        directory: _,
        source: _,
        group,
        attribute,
        provider_role,
        active,
        all,
        any,
        not,
    } = condition;
    let mut holds = active.is_none_or(|active| active == person.active);
    holds &= organization
        .as_ref()
        .is_none_or(|list| list.0.iter().any(|id| Some(id) == person.organization.as_ref()));
    if let Some(list) = group {
        let before = found.len();
        for (id, name, organization) in &person.groups {
            let foreign = organization.is_some() && *organization != person.organization;
            if list.0.iter().any(|group| is_meant(group, id, name)) && !(own && foreign) {
                found.insert(id.clone());
            }
        }
        holds &= found.len() > before;
    }
    for (name, wanted) in attribute.iter().flatten() {
        let AttributeMatch::Values(values) = wanted else { panic!("not drawn") };
        let held = match name.as_str() {
            "department" => person.profile.department.as_deref(),
            _ => panic!("not drawn"),
        };
        holds &= held.is_some_and(|held| values.0.iter().any(|value| value.0 == held));
    }
    holds &= provider_role.as_ref().is_none_or(|list| {
        list.0.iter().any(|role| matches!(role, TextOr::Text(role) if person.provider_roles.contains(role)))
    });
    for condition in all.iter().flatten() {
        holds &= plainly(condition, person, own, &mut found);
    }
    if let Some(any) = any {
        let mut one = false;
        for condition in any {
            one |= plainly(condition, person, own, &mut found);
        }
        holds &= one;
    }
    holds &= not.as_ref().is_none_or(|not| !plainly(not, person, own, &mut BTreeSet::new()));
    if holds {
        groups.extend(found);
    }
    holds
}

fn is_meant(group: &TextOr<GroupPattern>, id: &GroupId, name: &str) -> bool {
    match group {
        TextOr::Text(wanted) => wanted == name,
        TextOr::Map(GroupPattern { id: Some(wanted), .. }) => wanted == id,
        TextOr::Map(GroupPattern { glob: Some(glob), .. }) => {
            glob.split_once('*').is_some_and(|(head, tail)| {
                name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
            })
        }
        TextOr::Map(GroupPattern { name: Some(wanted), .. }) => wanted.to_lowercase() == name.to_lowercase(),
        TextOr::Map(_) => panic!("not drawn"),
    }
}

/// What rules without denials grant, said in the plainest way.
fn granted(book: &Book, person: &Person) -> Granted {
    let mut granted = Granted::new();
    let mut grant = |role: &RoleName, rule: &str, group: Option<GroupId>| {
        granted.entry(role.as_str().into()).or_default().insert((rule.into(), group));
    };
    if person.active {
        book.defaults.roles.iter().for_each(|role| grant(role, "default", None));
        for rule in &book.rules {
            let mut groups = BTreeSet::new();
            if !plainly(&rule.when, person, false, &mut groups) {
                continue;
            }
            for named in &rule.grant {
                let Named::Role(role) = named else { panic!("not drawn") };
                groups.iter().for_each(|group| grant(role, &rule.name, Some(group.clone())));
                if groups.is_empty() {
                    grant(role, &rule.name, None);
                }
            }
        }
    }
    granted
}

fn of(grants: Vec<Grant>) -> Granted {
    let reasons = |grant: &Grant| grant.reasons.iter().map(|r| (r.rule.clone(), r.group.clone())).collect();
    grants.iter().map(|grant| (grant.role.as_str().to_owned(), reasons(grant))).collect()
}

fn organization() -> impl Strategy<Value = OrganizationId> {
    (0..3).prop_map(|n| OrganizationId::new(format!("org_{n}")))
}

fn role() -> impl Strategy<Value = RoleName> {
    (0..5).prop_map(|n| RoleName::new(format!("role{n}")))
}

fn group_pattern() -> impl Strategy<Value = TextOr<GroupPattern>> {
    prop_oneof![
        "[ab]{1,2}".prop_map(TextOr::Text),
        r"[ab]{0,1}\*[ab]{0,1}"
            .prop_map(|glob| TextOr::Map(GroupPattern { glob: Some(glob), ..GroupPattern::default() })),
        "g[0-5]".prop_map(|id| TextOr::Map(GroupPattern {
            id: Some(GroupId::new(id)),
            ..GroupPattern::default()
        })),
        "[aB]{1,2}".prop_map(|name| TextOr::Map(GroupPattern {
            name: Some(name),
            ignore_case: true,
            ..GroupPattern::default()
        })),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let one_or_two = |range| prop::collection::vec(range, 1..3).prop_map(OneOrMany);
    let leaf = prop_oneof![
        3 => prop::collection::vec(group_pattern(), 1..4)
            .prop_map(|list| Condition { group: Some(OneOrMany(list)), ..Condition::default() }),
        1 => prop::collection::vec(organization(), 1..3)
            .prop_map(|list| Condition { organization: Some(OneOrMany(list)), ..Condition::default() }),
        1 => one_or_two("[xy]".prop_map(Scalar)).prop_map(|values| Condition {
            attribute: Some([("department".to_owned(), AttributeMatch::Values(values))].into()),
            ..Condition::default()
        }),
        1 => "[pq]".prop_map(|role| Condition {
            provider_role: Some(OneOrMany(vec![TextOr::<NamePattern>::Text(role)])),
            ..Condition::default()
        }),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let some = || prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            (some(), some()).prop_map(|(all, any)| Condition {
                all: Some(all),
                any: Some(any),
                ..Condition::default()
            }),
            some().prop_map(|any| Condition { any: Some(any), ..Condition::default() }),
            (inner.clone(), inner.clone())
                .prop_map(|(with, not)| Condition { not: Some(Box::new(not)), ..with }),
            (inner.clone(), organization())
                .prop_map(|(with, id)| Condition { organization: Some(OneOrMany(vec![id])), ..with }),
        ]
    })
}

fn some_rules() -> impl Strategy<Value = Vec<Rule>> {
    let rule = (condition(), prop::collection::vec(role(), 1..3));
    prop::collection::vec(rule, 0..12).prop_map(|rules| {
        let numbered = rules.into_iter().enumerate();
        numbered
            .map(|(at, (when, roles))| Rule {
                name: format!("rule {at}"),
                line: u32::try_from(at).unwrap(),
                when,
                grant: roles.into_iter().map(Named::Role).collect(),
                deny: Vec::new(),
                window: Window::default(),
            })
            .collect()
    })
}

fn person() -> impl Strategy<Value = Person> {
    let group = ("g[0-5]".prop_map(GroupId::new), "[ab]{1,3}", prop::option::of(organization()));
    let groups = prop::collection::vec(group, 0..6);
    let roles = prop::collection::btree_set("[pq]", 0..2);
    (prop::option::of(organization()), groups, prop::option::of("[xy]"), roles, prop::bool::weighted(0.9))
        .prop_map(|(organization, groups, department, provider_roles, active)| Person {
            active,
            organization,
            groups,
            provider_roles,
            profile: Profile { department, ..Profile::default() },
            ..Person::in_groups(&[])
        })
}

fn compiled(book: Book) -> Rules {
    Rules { index: index::Index::new(book).unwrap(), fingerprint: Fingerprint::of_all([]), tests: 0 }
}

fn book(rules: Vec<Rule>) -> Book {
    Book { rules, ..Book::default() }
}

/// Rules that deny, families and sets of the same few roles.
fn with_order(mut rules: Vec<Rule>, denials: usize) -> Book {
    let role = |n: usize| RoleName::new(format!("role{n}"));
    for (at, rule) in rules.iter_mut().enumerate().filter(|(at, _)| *at < denials) {
        rule.deny = vec![Named::Role(role(at % 5))];
    }
    Book {
        implied: vec![book::Implied { line: 1, role: role(0), brings: vec![role(3)] }],
        families: vec![book::Family { line: 2, roles: vec![role(0), role(1), role(2)] }],
        separations: vec![book::Separation {
            name: "s".into(),
            line: 3,
            roles: vec![role(3), role(4)],
            keep: Some(role(4)),
        }],
        ..book(rules)
    }
}

proptest! {
    #[test]
    fn the_index_says_what_asking_every_rule_would(
        rules in some_rules(), default in prop::collection::vec(role(), 0..2), person in person()
    ) {
        let book = Book { defaults: Defaults { line: 1, roles: default }, ..book(rules) };
        let expected = granted(&book, &person);
        prop_assert_eq!(of(person.grants(&compiled(book))), expected);
    }

    #[test]
    fn the_order_of_rules_and_groups_does_not_matter(
        (rules, shuffled) in some_rules().prop_flat_map(|rules| (Just(rules.clone()), Just(rules).prop_shuffle())),
        (person, turned) in person().prop_flat_map(|person| {
            let groups = Just(person.groups.clone()).prop_shuffle();
            let like = person.clone();
            (Just(person), groups.prop_map(move |groups| Person { groups, ..like.clone() }))
        })
    ) {
        // Each rule keeps what it denies, wherever it stands.
        let deny = |mut rules: Vec<Rule>| {
            for rule in &mut rules {
                if rule.line % 3 == 0 {
                    rule.deny = vec![Named::Role(RoleName::new(format!("role{}", rule.line % 5)))];
                }
            }
            compiled(with_order(rules, 0))
        };
        let now = Timestamp::UNIX_EPOCH;
        prop_assert_eq!(person.verdict(&deny(rules), now), turned.verdict(&deny(shuffled), now));
    }

    #[test]
    fn one_more_denial_never_adds_a_role(
        rules in some_rules(), denials in 0usize..4, when in condition(), denied in role(), person in person()
    ) {
        let roles = |book| person.ask(|subject| compiled(book).decide(subject, Timestamp::UNIX_EPOCH)).roles;
        let before = with_order(rules, denials);
        let mut after = before.clone();
        after.rules.push(Rule {
            name: "one more".into(),
            line: 99,
            when,
            grant: Vec::new(),
            deny: vec![Named::Role(denied)],
            window: Window::default(),
        });
        let (before, after) = (roles(before), roles(after));
        prop_assert!(after.is_subset(&before), "{after:?} {before:?}");
    }

    #[test]
    fn no_file_makes_it_panic(text in r"[ -~\n\t]{0,80}") {
        let _ = Rules::parse("rules.yaml", &text);
    }

    #[test]
    fn no_rule_makes_it_panic(text in r"((rules|default|roles|name|when|group|glob|regex|grant|deny|implies|families|separate|tests|expect|attribute|all|any|not|from|organization|x):?[ \n]|[-\[\]{},*&?~>] ?|\n {1,6}){0,40}") {
        let _ = Rules::parse("rules.yaml", &text);
    }
}
