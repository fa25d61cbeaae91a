//! What a wrong file is told.

use super::*;

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
    = say for whom it is: `group`, `organization`, `attribute` and so on; roles for everybody stand under `default`

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

rules.yaml:19:12: this must have exactly one of `name`, `glob`, `regex` and `id`
 19 |     when: {group: {glob: x, id: y}}
    |            ^^^^^
    = keep the one you mean

rules.yaml:20:5: this rule neither grants nor denies anything
 20 |     grant: []
    |     ^^^^^
    = write at least one role";
    assert_eq!(error(text), expected);
}

#[test]
fn a_number_is_no_group_and_a_list_no_file() {
    assert_eq!(
        error("rules:\n  - {name: a, when: {group: 2024}, grant: x}\n"),
        "rules.yaml:2:29: this must be a group's name as text, or one of {name: …}, {glob: …}, {regex: …} and {id: …}, not 2024\n \
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

/// The messages of all faults, each with its line.
fn told(text: &str) -> Vec<String> {
    let reports = Rules::parse("rules.yaml", text).unwrap_err().into_vec();
    let line = |report: &Report| report.position.map_or(0, |(line, _)| line);
    reports
        .iter()
        .map(|report| {
            let help = report.help.as_deref().map_or(String::new(), |help| format!(": {help}"));
            format!("{} {}{help}", line(report), report.message)
        })
        .collect()
}

#[test]
fn every_part_of_the_file_is_checked() {
    let text = "\
roles: {admin: , member: , 'team-*': , 'x-{y}': }
implies:
  admin: [member, membr]
  member: admin
families:
- admin
- admin > membre
- admin > member
separate:
- {name: one, roles: [admin, admin]}
- {name: two, roles: [admin, member], keep: team-1}
rules:
- {name: implies, when: {group: A}, grant: 'team-{team}'}
- {name: c, when: {group: {regex: 't-(?<taem>.*)'}}, grant: 'team-{team}', deny: 'tem-{taem}'}
- {name: d, when: {group: {regex: '(?<t'}}, grant: '{{t}}'}
- {name: e, when: {attribute: {departement: x, title: {}, email: {exists: false, glob: a}, locale: []}}, grant: 'adm*'}
- {name: f, when: {all: [], any: [{group: {id: g, ignore_case: true}}, {}]}, deny: '*', from: 2026-02-01, until: 2026-01-01}
- {name: g, when: {active: false}, grant: admin, from: soon}
- {name: h, when: {active: false, not: {provider_role: {}}}, grant: admin}
tests:
- {name: t, attributes: {titel: x, title: [a]}, expect: boss}
";
    let expected = [
        "1 a name in the catalogue has no braces: write `*` for what is captured",
        "3 `admin` implies itself: `admin`, which implies `member`, which implies `admin`: take one of these away",
        "3 there is no role `membr` in the catalogue: did you mean `member`?",
        "6 a family has two roles or more: write the highest first: owner > admin > member",
        "7 there is no role `membre` in the catalogue: did you mean `member`?",
        "8 `admin` is in the family on line 7 already: a role is in one family, and once: put the families together",
        "10 this names fewer than two roles: write those that no one may hold together",
        "11 `team-1` is not one of the roles of this set: write the one that stays, or take the key away",
        "13 no rule can be called `implies`: that name stands for roles that come by themselves",
        "13 there is nothing to be captured from: let every group of this rule's condition be a `regex` with that capture",
        "14 no capture is called `team` in every regular expression of this rule: did you mean `{taem}`?",
        "14 there is no role `tem-{taem}` in the catalogue: add it to the catalogue under `roles`",
        "15 this is no regular expression: unclosed capture group name: the syntax is that of https://docs.rs/regex, without look-around and backreferences",
        "15 a capture stands in braces as `{name}`, and braces stand for nothing else: write plain characters instead",
        "16 there is no attribute `departement` here: did you mean `department`?",
        "16 this asks for nothing: write a value, or one of `is`, `glob`, `regex`, `exists`, `at_least`, `before` and their like",
        "16 an attribute that is not set is nothing else: keep `exists: false` alone, or take it away",
        "16 this list is empty: write at least one value",
        "16 a `*` stands for several roles: name each role that is meant",
        "17 this list is empty: write at least one condition",
        "17 an id is compared as it is: take `ignore_case` away",
        "17 this condition asks for nothing: say for whom it is: `group`, `organization`, `attribute` and so on; roles for everybody stand under `default`",
        "17 this is not after `from`: the rule would never be in force",
        "18 this must be a day such as 2026-03-31, or a time with its offset such as 2026-03-31T18:00:00Z, not something else",
        "19 rules ask only about active users: take the rule away: whoever is not active has no roles",
        "19 this must have exactly one of `name`, `glob` and `regex`: keep the one you mean",
        "21 there is no attribute `titel` here: did you mean `title`?",
        "21 `title` is one value: only custom attributes can be lists or maps",
        "21 there is no role `boss` in the catalogue: add it to the catalogue under `roles`",
    ];
    assert_eq!(told(text), expected);
}

#[test]
fn a_test_that_fails_shows_the_difference_and_what_made_it() {
    let text = "\
default: member
rules:
- {name: engineers, when: {group: Engineering}, grant: [developer, deployer]}
- {name: contractors, when: {attribute: {user_type: contractor}}, deny: deployer}
tests:
- name: a contractor deploys
  groups: [Engineering]
  attributes: {user_type: contractor}
  expect: [member, deployer, owner]
- {name: nobody, expect: member}
";
    let expected = "\
rules.yaml:9:3: test `a contractor deploys` fails: `deployer` is missing (denied by rule `contractors`, line 4), `owner` is missing (no rule grants it), `developer` is too much (rule `engineers`, line 3)
 9 |   expect: [member, deployer, owner]
   |   ^^^^^^
   = the rules give [developer, member]";
    assert_eq!(error(text), expected);
    let (_, runs) = Rules::test("rules.yaml", text).unwrap();
    assert_eq!(
        runs.iter().map(|run| (run.line, run.failure.is_none())).collect::<Vec<_>>(),
        [(6, false), (10, true)]
    );
}

#[test]
fn a_test_says_when_where_that_matters() {
    let text = |at| {
        format!(
            "rules:\n- {{name: r, when: {{group: G}}, grant: x, until: 2026-01-01}}\ntests:\n- {{name: t, groups: [G], {at}expect: x}}\n"
        )
    };
    assert!(error(&text("")).contains("depend on the time"), "{}", error(&text("")));
    assert!(Rules::parse("rules.yaml", &text("at: 2025-12-31, ")).is_ok());
    assert!(
        error(&text("at: 2026-01-01, ")).contains("`x` is missing (no rule that grants it is in force then)")
    );
}
