//! What rules do, beyond granting a role.

use super::*;

fn day(day: &str) -> Timestamp {
    time(&format!("{day}T00:00:00Z"))
}

fn withheld(person: &Person, rules: &Rules, now: Timestamp) -> Vec<(String, Vec<Objection>)> {
    let verdict = person.verdict(rules, now);
    verdict
        .withheld
        .into_iter()
        .map(|withheld| (withheld.role.as_str().to_owned(), withheld.objections))
        .collect()
}

#[test]
fn a_capture_makes_a_role_for_each_group_that_matches() {
    let rules = rules(
        "rules:\n- name: projects\n  when: {group: {regex: 'prj-(?<project>[a-z]+)-(?<level>rw|ro)'}}\n  grant: ['{project}-{level}', employee]\n",
    );
    let person = Person::in_groups(&["prj-apollo-rw", "prj-zeus-ro", "prj-X-ro"]);
    assert_eq!(person.roles(&rules), ["apollo-rw", "employee", "zeus-ro"]);
    let grants = person.grants(&rules);
    let groups: Vec<_> = grants.iter().map(|grant| grant.reasons.len()).collect();
    assert_eq!(groups, [1, 2, 1], "{grants:?}");
    assert_eq!(grants[0].reasons[0].group, Some(GroupId::new("prj-apollo-rw")));
}

#[test]
fn a_captured_role_that_is_not_in_the_catalogue_or_is_no_name_is_not_granted() {
    let text = |roles| {
        format!(
            "roles: {roles}\nrules:\n- name: by name\n  when: {{group: {{regex: 'app-(?s:(?<role>.*))'}}}}\n  grant: '{{role}}'\n"
        )
    };
    let person =
        Person::in_groups(&["app-admin", "app-team-1", "app-root", "app-", "app- x", "app-*", "app-a\nb"]);
    assert_eq!(person.roles(&rules(&text("{admin: , team-*: }"))), ["admin", "team-1"]);
    assert_eq!(person.roles(&rules(&text(""))), ["admin", "root", "team-1"]);
}

#[test]
fn a_role_that_is_made_is_the_known_role_of_that_name() {
    let rules = rules(
        "implies: {lead: staff}\nrules:\n- name: a\n  when: {group: {regex: 'is-(?<r>.+)'}}\n  grant: '{r}'\n- name: b\n  when: {group: out}\n  deny: staff\n",
    );
    assert_eq!(Person::in_groups(&["is-lead"]).roles(&rules), ["lead", "staff"]);
    assert_eq!(Person::in_groups(&["is-lead", "is-staff", "out"]).roles(&rules), ["lead"]);
}

#[test]
fn deny_wins_whoever_grants() {
    let text = "default: member\nrules:\n- {name: a, when: {group: Eng}, grant: [deployer, project-x]}\n- {name: contractors, when: {group: Ext}, deny: [deployer, 'project-*']}\n- {name: suspended, when: {group: Out}, deny: '*'}\n";
    let rules = rules(text);
    assert_eq!(Person::in_groups(&["Eng"]).roles(&rules), ["deployer", "member", "project-x"]);
    let contractor = Person::in_groups(&["Eng", "Ext"]);
    assert_eq!(contractor.roles(&rules), ["member"]);
    assert_eq!(Person::in_groups(&["Eng", "Out"]).roles(&rules), [] as [&str; 0]);
    let denied = |line, rule: &str, group| {
        vec![Objection::Denied(Reason {
            line,
            rule: rule.into(),
            group: Some(GroupId::new(group)),
            implied_by: None,
            from: None,
            until: None,
        })]
    };
    assert_eq!(
        withheld(&contractor, &rules, day("2026-01-01")),
        [
            ("deployer".to_owned(), denied(4, "contractors", "Ext")),
            ("project-x".to_owned(), denied(4, "contractors", "Ext"))
        ]
    );
}

#[test]
fn of_a_family_the_highest_is_held() {
    let rules = rules(
        "families:\n- owner > admin > member\ndefault: member\nrules:\n- {name: a, when: {group: Admins}, grant: admin}\n- {name: o, when: {group: Owners}, grant: [owner, billing]}\n",
    );
    assert_eq!(Person::in_groups(&[]).roles(&rules), ["member"]);
    assert_eq!(Person::in_groups(&["Admins"]).roles(&rules), ["admin"]);
    let owner = Person::in_groups(&["Owners", "Admins"]);
    assert_eq!(owner.roles(&rules), ["billing", "owner"]);
    let by_owner = || vec![Objection::Outranked { by: RoleName::new("owner"), line: 2 }];
    assert_eq!(
        withheld(&owner, &rules, day("2026-01-01")),
        [("admin".to_owned(), by_owner()), ("member".to_owned(), by_owner())]
    );
}

#[test]
fn a_role_brings_what_it_implies_and_takes_it_along() {
    let rules = rules(
        "implies:\n  admin: [auditor, deployer]\n  deployer: reader\nrules:\n- {name: a, when: {group: Admins}, grant: admin}\n- {name: x, when: {group: Ext}, deny: deployer}\n",
    );
    let admin = Person::in_groups(&["Admins"]);
    assert_eq!(admin.roles(&rules), ["admin", "auditor", "deployer", "reader"]);
    let reader = admin.grants(&rules).pop().unwrap().reasons.remove(0);
    assert_eq!(
        (reader.line, reader.rule.as_str(), reader.implied_by),
        (3, "implies", Some(RoleName::new("deployer")))
    );
    assert_eq!(Person::in_groups(&["Admins", "Ext"]).roles(&rules), ["admin", "auditor"]);
}

#[test]
fn roles_that_no_one_may_hold_together_are_both_gone_or_the_named_one_stays() {
    let text = |keep| {
        format!(
            "separate:\n- {{name: four eyes, roles: [payer, approver]{keep}}}\nrules:\n- {{name: p, when: {{group: P}}, grant: payer}}\n- {{name: a, when: {{group: A}}, grant: [approver, clerk]}}\n"
        )
    };
    let both = Person::in_groups(&["P", "A"]);
    let neither = rules(&text(""));
    assert_eq!(both.roles(&neither), ["clerk"]);
    assert_eq!(Person::in_groups(&["P"]).roles(&neither), ["payer"]);
    assert_eq!(both.roles(&rules(&text(", keep: approver"))), ["approver", "clerk"]);
    let kept_apart = |from| {
        vec![Objection::Separated { from: vec![RoleName::new(from)], rule: "four eyes".into(), line: 2 }]
    };
    assert_eq!(
        withheld(&both, &neither, day("2026-01-01")),
        [("approver".to_owned(), kept_apart("payer")), ("payer".to_owned(), kept_apart("approver"))]
    );
    assert!(both.ask(|subject| neither.decide(subject, day("2026-01-01"))).separated);
}

#[test]
fn a_rule_is_in_force_from_its_first_moment_until_its_last_and_says_when_that_changes() {
    let rules = rules(
        "rules:\n- name: on call\n  when: {group: Ops}\n  grant: admin\n  from: 2026-03-01\n  until: 2026-03-08T12:00:00+02:00\n",
    );
    let ops = Person::in_groups(&["Ops"]);
    let (from, until) = (day("2026-03-01"), time("2026-03-08T10:00:00Z"));
    let second = jiff::SignedDuration::from_secs(1);
    for (now, roles, next) in [
        (from - second, &[][..], Some(from)),
        (from, &["admin"], Some(until)),
        (until - second, &["admin"], Some(until)),
        (until, &[], None),
    ] {
        let verdict = ops.verdict(&rules, now);
        assert_eq!(
            (ops.roles_at(&rules, now), verdict.next),
            (roles.iter().map(|r| (*r).to_owned()).collect(), next),
            "{now}"
        );
    }
    assert_eq!(withheld(&ops, &rules, until), [("admin".to_owned(), vec![Objection::NotInForce])]);
    // Whom the rule does not concern need not be asked again.
    assert_eq!(Person::in_groups(&[]).verdict(&rules, from - second).next, None);
}

#[test]
fn a_denial_too_can_be_for_a_time() {
    let rules = rules(
        "default: member\nrules:\n- {name: freeze, when: {group: G}, deny: member, until: 2026-01-01}\n",
    );
    let person = Person::in_groups(&["G"]);
    assert_eq!(person.roles_at(&rules, day("2025-12-31")), [] as [&str; 0]);
    assert_eq!(person.roles_at(&rules, day("2026-01-01")), ["member"]);
}

#[test]
fn a_day_that_a_condition_asks_for_comes_by_itself() {
    let rules = rules(
        "rules:\n- {name: contract, when: {attribute: {custom.contract_ends: {future: true}}}, grant: worker}\n- {name: over, when: {attribute: {custom.contract_ends: {future: false}}}, grant: alumnus}\n",
    );
    let person = Person::with("custom.contract_ends", serde_json::json!("2026-07-01"));
    let before = person.verdict(&rules, day("2026-06-30"));
    assert_eq!((before.grants[0].role.as_str(), before.next), ("worker", Some(day("2026-07-01"))));
    let after = person.verdict(&rules, day("2026-07-01"));
    assert_eq!((after.grants[0].role.as_str(), after.next), ("alumnus", None));
}
