//! Which users a condition is about.

use serde_json::json;

use super::*;

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
        implied_by: None,
        from: None,
        until: None,
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
    let same = base.replace("A developer", "Writes code").replace("grant: dev}", "grant: dev} # why");
    assert_eq!(fingerprint(base), fingerprint(&same));
    for (from, to) in [
        ("name: a", "name: b"),
        ("group: G", "group: H"),
        ("group: G", "group: {glob: G}"),
        ("group: G", "organization: G"),
        ("default: []", "default: [dev]"),
        ("dev: A developer", "dev: , ops: "),
        ("grant: dev", "deny: dev"),
    ] {
        assert_ne!(fingerprint(base), fingerprint(&base.replace(from, to)), "{to}");
    }
    // Kept on disk from one version to the next, so it may not change by accident.
    assert_eq!(Rules::none().fingerprint().to_string(), "da9b8d2c83b353e018a08882f4e4ba8c");
}

#[test]
fn anchors_work() {
    let rules = rules(
        "rules:\n- name: a\n  when: &ops {group: Ops}\n  grant: &r [x, y]\n- name: b\n  when: *ops\n  grant: [z]\n",
    );
    assert_eq!(Person::in_groups(&["Ops"]).roles(&rules), ["x", "y", "z"]);
}

/// Rules with one rule that grants `yes` when the condition holds.
fn when(condition: &str) -> Rules {
    rules(
        &format!("rules:\n- name: a\n  when: {condition}\n  grant: yes\n")
            .replace("grant: yes", "grant: 'yes'"),
    )
}

fn holds(condition: &str, person: &Person) -> bool {
    !person.roles(&when(condition)).is_empty()
}

#[test]
fn case_matters_unless_it_is_said_not_to() {
    let person = Person::in_groups(&["Straße Ops"]);
    for (condition, expected) in [
        ("{group: 'straße ops'}", false),
        ("{group: {name: 'STRAßE ops', ignore_case: true}}", true),
        ("{group: {glob: 'straße*'}}", false),
        ("{group: {glob: 'STRAßE*', ignore_case: true}}", true),
        ("{group: {regex: '.* ops'}}", false),
        ("{group: {regex: '.* ops', ignore_case: true}}", true),
    ] {
        assert_eq!(holds(condition, &person), expected, "{condition}");
    }
}

#[test]
fn attributes_are_compared_as_text_number_or_date() {
    for (attribute, value, condition, expected) in [
        ("department", json!("Sales"), "department: Sales", true),
        ("department", json!("sales"), "department: Sales", false),
        ("department", json!("sales"), "department: {is: SALES, ignore_case: true}", true),
        ("department", json!("HR"), "department: [Sales, HR]", true),
        ("department", json!("HR"), "department: {is: [Sales, Legal]}", false),
        ("title", json!("Senior Manager"), "title: {glob: '*Manager'}", true),
        ("title", json!("Manager (acting)"), "title: {glob: '*Manager'}", false),
        ("email", json!("ada@example.com"), "email: {regex: '[^@]+@example\\.com'}", true),
        ("email", json!("ada@example.com.evil"), "email: {regex: '[^@]+@example\\.com'}", false),
        ("address.country", json!("DE"), "address.country: DE", true),
        ("employee_number", json!("42"), "employee_number: 42", true),
        ("custom.level", json!(5), "custom.level: 5", true),
        ("custom.level", json!(5.0), "custom.level: '5'", true),
        ("custom.level", json!(5), "custom.level: {at_least: 5, less_than: 6}", true),
        ("custom.level", json!(5), "custom.level: {more_than: 5}", false),
        ("custom.level", json!("4.5"), "custom.level: {at_most: 4.5}", true),
        ("custom.level", json!("high"), "custom.level: {at_least: 0}", false),
        ("custom.level", json!("Infinity"), "custom.level: {at_least: 0}", false),
        ("custom.level", json!(u64::MAX), "custom.level: {is: 18446744073709551615}", true),
        ("custom.remote", json!(true), "custom.remote: true", true),
        ("custom.sites", json!(["Berlin", "Graz"]), "custom.sites: Graz", true),
        // All that is asked must hold for one and the same value.
        ("custom.ranges", json!([1, 9]), "custom.ranges: {at_least: 2, at_most: 8}", false),
        ("custom.hired", json!("2020-03-01"), "custom.hired: {before: 2021-01-01}", true),
        ("custom.hired", json!("2021-01-01"), "custom.hired: {before: 2021-01-01}", false),
        ("custom.hired", json!("2021-01-01T00:00:00Z"), "custom.hired: {since: 2021-01-01}", true),
        ("custom.hired", json!("last year"), "custom.hired: {before: 2021-01-01}", false),
        ("custom.map", json!({"a": 1}), "custom.map: {exists: true}", true),
        ("custom.map", json!({"a": 1}), "custom.other: {exists: true}", false),
        ("custom.map", json!({"a": 1}), "custom.other: {exists: false}", true),
        ("title", json!("x"), "department: {exists: false}", true),
        ("title", json!("x"), "title: {exists: false}", false),
        ("title", json!("x"), "department: {glob: '*'}", false),
    ] {
        let person = Person::with(attribute, value);
        assert_eq!(holds(&format!("{{attribute: {{{condition}}}}}"), &person), expected, "{condition}");
    }
}

#[test]
fn where_a_user_comes_from_and_what_the_provider_says_can_be_asked() {
    let mut person = Person::new(Some("org_1"), &[]);
    person.directory = Some("dir_1");
    person.source = Some("scalekit");
    person.provider_roles = BTreeSet::from(["Admin".into(), "viewer".into()]);
    for (condition, expected) in [
        ("{organization: org_1}", true),
        ("{directory: [dir_0, dir_1]}", true),
        ("{directory: dir_2}", false),
        ("{source: scalekit}", true),
        ("{source: other}", false),
        ("{provider_role: viewer}", true),
        ("{provider_role: admin}", false),
        ("{provider_role: {name: admin, ignore_case: true}}", true),
        ("{provider_role: [{glob: 'Ad*'}, none]}", true),
        ("{provider_role: {regex: 'view'}}", false),
        ("{active: true}", true),
    ] {
        assert_eq!(holds(condition, &person), expected, "{condition}");
    }
    person.active = false;
    assert!(!holds("{active: true}", &person) && !holds("{organization: org_1}", &person));
}

#[test]
fn conditions_are_put_together_by_all_any_and_not() {
    let person = Person::in_groups(&["a", "b"]);
    for (condition, expected) in [
        ("{all: [{group: a}, {group: b}]}", true),
        ("{all: [{group: a}, {group: c}]}", false),
        ("{any: [{group: c}, {group: b}]}", true),
        ("{any: [{group: c}, {group: d}]}", false),
        ("{not: {group: c}}", true),
        ("{group: a, not: {group: b}}", false),
        ("{group: a, not: {all: [{group: b}, {group: c}]}}", true),
        ("{group: c, any: [{group: a}]}", false),
        ("{not: {not: {group: a}}}", true),
    ] {
        assert_eq!(holds(condition, &person), expected, "{condition}");
    }
}

#[test]
fn the_groups_that_make_a_condition_hold_are_its_reasons_and_no_others() {
    let rules = when("{any: [{group: a}, {all: [{group: b}, {group: c}]}, {group: d}], not: {group: e}}");
    let reasons = |names: &[&str]| -> Vec<String> {
        let grants = Person::in_groups(names).grants(&rules);
        let groups =
            grants.iter().flat_map(|grant| &grant.reasons).filter_map(|reason| reason.group.as_ref());
        groups.map(|group| group.as_str().to_owned()).collect()
    };
    assert_eq!(reasons(&["a", "b", "d"]), ["a", "d"]);
    assert_eq!(reasons(&["b", "c"]), ["b", "c"]);
    assert_eq!(reasons(&["a", "e"]), [] as [&str; 0]);
}

#[test]
fn an_organization_around_a_condition_keeps_its_groups_to_itself_too() {
    let condition = "{organization: org_1, any: [{group: Admins}, {not: {group: Everybody}}]}";
    let of = |organization| {
        let groups = [("g1", "Admins", Some(organization)), ("g2", "Everybody", Some("org_1"))];
        holds(condition, &Person::new(Some("org_1"), &groups))
    };
    assert!(of("org_1") && !of("org_2"));
}
