use super::*;

fn status() -> DaemonStatus {
    serde_json::from_str(GOLDEN).unwrap()
}

/// The answer as programs know it.
const GOLDEN: &str = r#"{
        "version": "0.1.0", "started_at": "2026-11-24T07:30:00Z", "now": "2026-11-24T10:00:00Z",
        "received": {"committed": 1204, "duplicate": 3, "not_found": 1, "refused": 0},
        "recent": {"last_minute": 42, "last_5_minutes": 180},
        "last_event": "2026-11-24T09:58:00Z",
        "listen": {"tls": {"certificate": {"names": ["hooks.example"], "serial": "0a:1b", "not_before": "2026-09-01T00:00:00Z",
                                           "not_after": "2026-11-30T00:00:00Z"}, "since": "2026-11-24T07:30:00Z"}},
        "admin": {"tls": {"certificate": {"names": ["admin.example"], "serial": "0c", "not_before": "2026-09-01T00:00:00Z",
                                          "not_after": "2027-11-30T00:00:00Z"}, "since": "2026-11-24T07:30:00Z"}},
        "store": {"active_users": 1204, "inactive_users": 12, "groups": 48, "stale_users": 0,
                  "unreadable_events": 0, "bytes": 12897484,
                  "free_bytes": 41943040, "low_on_space": true,
                  "backup": {"directory": "/srv/backups", "every": "24h", "keep": 7,
                             "last": {"file": "rolecall-0a1b2c3d-20261123T080000Z.db", "at": "2026-11-23T08:00:00Z",
                                      "bytes": 10485760},
                             "failed": {"since": "2026-11-24T08:00:00Z", "error": "no room"}}},
        "connections": [{"id": "dir_1", "organization": "org_1", "provider": "OKTA", "enabled": true,
                         "since": "2026-11-01T10:00:00Z"}],
        "sinks": {
            "crm": {"waiting": 12, "leavers": 1, "oldest": "2026-11-24T09:48:00Z",
                    "oldest_leaver": "2026-11-24T09:50:00Z", "dead_letters": 0, "held": 0,
                    "confirmed": 8812, "delivery": {"breaker": {"state": "open",
                        "since": "2026-11-24T09:48:00Z", "next_probe": "2026-11-24T10:00:08Z",
                        "reason": "https://crm.example: connection refused"},
                    "in_flight": 0, "applied": 3,
                    "recent": {"last_minute": 0, "last_5_minutes": 3}, "retried": 0, "dead": 0,
                    "last_applied": "2026-11-24T09:47:00Z"}},
            "hr": {"waiting": 3, "leavers": 2, "dead_letters": 0, "held": 0, "confirmed": 8824,
                   "delivery": {"breaker": {"state": "closed"}, "paused": {"since": "2026-11-24T09:00:00Z",
                       "reason": "new server", "by": "token ops"}, "in_flight": 0, "applied": 0,
                       "recent": {"last_minute": 0, "last_5_minutes": 0}, "retried": 0,
                   "dead": 0}},
            "ldap": {"waiting": 0, "leavers": 0, "dead_letters": 1, "held": 150,
                     "held_since": "2026-11-24T09:48:00Z", "confirmed": 8824,
                     "delivery": {"breaker": {"state": "closed"}, "in_flight": 0, "applied": 40,
                     "recent": {"last_minute": 12, "last_5_minutes": 40},
                     "retried": 2, "dead": 1}},
            "old": {"waiting": 0, "leavers": 0, "dead_letters": 0, "held": 0, "confirmed": 0}
        },
        "rules": {"file": "/etc/rolecall/rules.yaml",
                  "in_force": {"number": 7, "at": "2026-11-24T09:00:00Z", "origin": {"rollback": {"to": 5}},
                               "fingerprint": "da9b", "file": "ab12"},
                  "rejected": {"at": "2026-11-24T09:30:00Z", "error": "rules.yaml:1:1: no\n 1 | x"}}}"#;

#[test]
fn the_answer_keeps_its_shape() {
    let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(serde_json::to_value(status()).unwrap(), golden);
}

#[test]
fn a_sink_that_is_down_paused_stopped_or_has_something_left_is_a_problem_and_so_is_what_cannot_be_read() {
    let with = |name: &str| {
        let mut status = status();
        status.sinks.retain(|sink, _| sink.as_str() == name);
        status
    };
    for name in ["crm", "hr", "ldap", "old"] {
        assert_eq!(exit(&with(name)), Exit::Problems, "{name}");
    }
    let mut well = with("ldap");
    well.rules.rejected = None;
    well.sinks.values_mut().for_each(|sink| sink.dead_letters = 0);
    assert_eq!(exit(&well), Exit::Problems, "changes are held");
    well.sinks.values_mut().for_each(|sink| sink.held = 0);
    assert_eq!(exit(&well), Exit::Problems, "a disk that is nearly full");
    well.store.low_on_space = false;
    assert_eq!(exit(&well), Exit::Problems, "backups are not made");
    well.store.backup.as_mut().unwrap().failed = None;
    assert_eq!(exit(&well), Exit::Done);
    well.store.unreadable_events = 1;
    assert_eq!(exit(&well), Exit::Problems, "a message that cannot be read");
    well.store.unreadable_events = 0;
    well.rules.rejected = status().rules.rejected;
    assert_eq!(exit(&well), Exit::Problems, "rules that were turned down");
}

fn shown(status: &DaemonStatus) -> String {
    anstream::adapter::strip_str(&render(status, Some(100))).to_string()
}

#[test]
fn a_person_at_night_sees_what_is_wrong() {
    let expected = "\
rolecall 0.1.0, running for 2 h 30 min, since 2026-11-24T07:30:00Z

Receiving
  last webhook  2026-11-24T09:58:00Z (2 min ago)
  answered      1204 committed, 3 duplicate, 1 not found, since the start
  lately        42 in the last minute (0.7 a second), 180 in the last 5
  certificate   hooks.example, ends soon: 2026-11-30T00:00:00Z (in 5 d 14 h)

Directory
  users         1204 active, 12 inactive
  groups        48
  connection    dir_1 OKTA of org_1: enabled since 2026-11-01T10:00:00Z (23 d ago)
  on disk       12.3 MiB, 40.0 MiB free: make room
  last backup   2026-11-23T08:00:00Z (1 d 2 h ago), 10.0 MiB, /srv/backups/rolecall-0a1b2c3d-20261123T080000Z.db
                not made since 2026-11-24T08:00:00Z (2 h ago): no room

Rules
  file          /etc/rolecall/rules.yaml
  in force      version 7 since 2026-11-24T09:00:00Z (1 h ago), by rollback to version 5
  turned down   others 2026-11-24T09:30:00Z (30 min ago): rules.yaml:1:1: no

Admin API
  certificate   admin.example, valid until 2027-11-30T00:00:00Z (in 370 d 14 h)

Sinks
  SINK  STATE    WAITING  LEAVERS  OLDEST      HELD  DEAD  CONFIRMED  1 MIN  5 MIN  LAST CONFIRMED
  crm   down          12        1  12 min ago     0     0       8812      0      3  13 min ago
  hr    PAUSED         3        2  -              0     0       8824      0      0  -
  ldap  up             0        0  -            150     1       8824     12     40  -
  old   stopped        0        0  -              0     0          0      0      0  -

crm is down since 2026-11-24T09:48:00Z (12 min ago); asked again in 8 s:
  https://crm.example: connection refused

hr is PAUSED since 2026-11-24T09:00:00Z (1 h ago) by token ops (new server): nothing is delivered to it, and 2 leavers keep their access there; to go on: rolecall sinks resume hr

ldap has 150 changes held since 2026-11-24T09:48:00Z (12 min ago); to decide: rolecall holds list --sink ldap

ldap has 1 dead letter; why: rolecall queue list --sink ldap --dead

old is stopped: nothing is delivered to it
";
    assert_eq!(shown(&status()), expected);
}

#[test]
fn a_daemon_that_has_seen_nothing_says_so() {
    let mut status = status();
    status.last_event = None;
    status.received.clear();
    status.sinks.clear();
    status.store.unreadable_events = 2;
    status.store.stale_users = 5;
    let shown = shown(&status);
    for line in [
        "  last webhook  none yet\n",
        "  answered      nothing, since the start\n",
        "  unreadable    2 messages are kept and not in the directory; why: rolecall events list --unreadable\n",
        "1204 active, 12 inactive, 5 to be evaluated again\n",
        "Sinks\n  none is configured: nothing is kept in step\n",
    ] {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
}
