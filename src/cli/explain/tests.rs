use super::*;
use crate::store::QueueState;

fn ada() -> Explanation {
    serde_json::from_str(GOLDEN).unwrap()
}

/// The answer as programs know it.
const GOLDEN: &str = r#"{
        "id": "diruser_1", "organization": "org_1", "status": "active",
        "status_because": {"event": "evt_1", "at": "2026-11-20T10:00:00Z", "kind": "directory.user_created"},
        "profile": {"display_name": "Ada Lovelace", "user_name": "ada", "email": "ada@example.com"},
        "profile_because": {"event": "evt_0", "at": "2026-10-01T10:00:00Z"},
        "roles": [
            {"role": "engineer", "reasons": [{"rule": "engineers", "line": 12, "group": {
                "id": "dirgroup_1", "name": "Engineering", "because": {"event": "evt_2",
                "at": "2026-11-24T09:48:00Z", "kind": "directory.group.user_added"}}}]},
            {"role": "member", "reasons": [{"rule": "default", "line": 3}]}],
        "evaluated_roles": ["engineer", "member"],
        "provider_roles": [], "generation": 3,
        "groups": [{"id": "dirgroup_1", "name": "Engineering", "because": {"event": "evt_2",
            "at": "2026-11-24T09:48:00Z", "kind": "directory.group.user_added"}}],
        "sinks": {
            "crm": {"queued": {"sink": "crm", "kind": "user", "id": "diruser_1", "generation": 3,
                "state": "dead", "priority": "user", "attempts": 1, "since": "2026-11-24T09:48:00Z",
                "due": "2026-11-24T09:48:00Z", "error": "POST /users: 422 no such plan", "cursor": [1, 1]}},
            "ldap": {"applied": {"generation": 3, "at": "2026-11-24T09:49:00Z", "action": "updated",
                "remote": "uid=ada", "present": true}},
            "postgres": {"applied": {"generation": 2, "at": "2026-11-20T10:00:00Z", "action": "created",
                "present": true},
                "queued": {"sink": "postgres", "kind": "user", "id": "diruser_1", "generation": 3,
                "state": "waiting", "priority": "user", "attempts": 4, "since": "2026-11-24T09:48:00Z",
                "due": "2026-11-24T10:00:30Z", "error": "connection refused", "cursor": [3, 1]},
                "breaker": {"state": "open", "since": "2026-11-24T09:50:00Z", "reason": "no route to host",
                "next_probe": "2026-11-24T10:00:05Z"}}},
        "activity": [
            {"at": "2026-11-24T09:49:00Z", "sink": "ldap", "what": "updated", "event": "evt_2"},
            {"at": "2026-11-24T09:48:00Z", "what": "updated", "event": "evt_2", "detail": "roles +engineer"}]
        }"#;

#[test]
fn the_answer_keeps_its_shape() {
    let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(serde_json::to_value(ada()).unwrap(), golden);
}

#[test]
fn only_a_name_that_one_user_has_is_done_with() {
    let of = |users| exit(&Users { now: Timestamp::UNIX_EPOCH, rules_file: String::new(), users });
    assert_eq!(of(vec![ada()]), Exit::Done);
    assert_eq!([of(vec![]), of(vec![ada(), ada()])], [Exit::Problems; 2]);
}

fn shown(name: &str, users: Vec<Explanation>) -> String {
    let now = "2026-11-24T10:00:00Z".parse().unwrap();
    let found = Users { now, rules_file: "rules.yaml".into(), users };
    anstream::adapter::strip_str(&render(name, &found, None)).to_string()
}

#[test]
fn everything_about_a_user_fits_on_a_screen() {
    let expected = "\
Ada Lovelace
  status        active since 2026-11-20T10:00:00Z (4 d ago), event evt_1 (directory.user_created)
  id            diruser_1
  user name     ada
  email         ada@example.com
  organization  org_1
  profile       since 2026-10-01T10:00:00Z (54 d ago), event evt_0 (no longer in the journal)

Roles
  engineer
    rule engineers (rules.yaml:12)
      by group Engineering (dirgroup_1), in it since 2026-11-24T09:48:00Z (12 min ago), event evt_2 (directory.group.user_added)
  member
    rule default (rules.yaml:3)

Groups
  NAME         ID          SINCE                 EVENT  KIND
  Engineering  dirgroup_1  2026-11-24T09:48:00Z  evt_2  directory.group.user_added

Sinks
  crm       dead letter since 2026-11-24T09:48:00Z (12 min ago), after attempt 1
            POST /users: 422 no such plan
  ldap      up to date
            confirmed 2026-11-24T09:49:00Z (11 min ago): updated, generation 3, as uid=ada
  postgres  waiting since 2026-11-24T09:48:00Z (12 min ago), tried 4 times, again in 30 s
            connection refused
            the sink is down since 2026-11-24T09:50:00Z (10 min ago): no route to host
            confirmed 2026-11-20T10:00:00Z (4 d ago): created, generation 2

Recent
  WHEN                  WHERE      WHAT     EVENT  DETAIL
  2026-11-24T09:49:00Z  ldap       updated  evt_2
  2026-11-24T09:48:00Z  directory  updated  evt_2  roles +engineer
";
    assert_eq!(shown("ada", vec![ada()]), expected);
}

#[test]
fn what_is_held_or_paused_says_what_to_do() {
    let mut ada = ada();
    let crm = ada.sinks.get_mut("crm").unwrap();
    let item = crm.view.queued.as_mut().unwrap();
    (item.state, item.hold) = (QueueState::Held, Some(crate::store::HoldId(3)));
    let since = "2026-11-24T09:50:00Z".parse().unwrap();
    crm.paused = Some(crate::store::Pause { since, reason: None, by: None });
    let shown = shown("ada", vec![ada]);
    for line in [
        "  crm       held, waiting since 2026-11-24T09:48:00Z (12 min ago): rolecall holds show 3 says why",
        "            the sink is PAUSED since 2026-11-24T09:50:00Z (10 min ago); to go on: rolecall sinks resume crm\n",
    ] {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
}

#[test]
fn somebody_who_is_gone_has_nothing_left() {
    let gone = Explanation {
        status: Status::Absent,
        profile: None,
        profile_because: None,
        roles: Vec::new(),
        evaluated_roles: Vec::new(),
        groups: Vec::new(),
        ..ada()
    };
    let shown = shown("diruser_1", vec![gone]);
    for line in [
        "diruser_1\n  status        does not exist since 2026-11-20",
        "Roles\n  none: a user who does not exist has none\n",
        "Groups\n  none\n",
    ] {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
}

#[test]
fn roles_that_the_sinks_are_not_told_yet_are_marked() {
    let behind = Explanation { evaluated_roles: vec![RoleName::new("member")], ..ada() };
    let shown = shown("ada", vec![behind]);
    assert!(shown.contains("  not evaluated again yet: the sinks are still told: member\n"), "{shown}");
}

#[test]
fn a_name_that_several_share_lists_them() {
    let mut grace = Explanation { status: Status::Inactive, organization: None, ..ada() };
    grace.id = rolecall_sink_api::UserId::new("diruser_2");
    let expected = "\
2 users go by \"ada@example.com\"; explain one of them by its id

ID         STATUS    ORGANIZATION  USER NAME  EMAIL
diruser_1  active    org_1         ada        ada@example.com
diruser_2  inactive  -             ada        ada@example.com
";
    assert_eq!(shown("ada@example.com", vec![ada(), grace]), expected);
}

#[test]
fn nobody_is_said_to_be_nobody() {
    assert_eq!(
        shown("a\u{1b}", Vec::new()),
        "nobody goes by \"a\\u{1b}\": no user has this id, user name or email address\n"
    );
}
