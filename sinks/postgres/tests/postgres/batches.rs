//! What a batch does to the tables, and what each change is told.

use std::time::Duration;

use rolecall_sink_api::conformance::people::{put_group, put_user, remove_group, remove_user, user};
use rolecall_sink_api::{Action, Outcome, Sink as _};
use rolecall_testkit::until;
use serde_json::json;
use tokio_postgres::NoTls;

use crate::fixture::{Fixture, apply, group, member, rejected, retried};

#[tokio::test]
async fn one_poisoned_row_of_500_is_rejected_and_the_rest_goes_through() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink();
    sink.probe().await.unwrap();
    fixture.server.execute("ALTER TABLE rolecall.users ADD CONSTRAINT polite CHECK (title <> 'Boss')").await;
    let mut changes: Vec<_> =
        (0..500).map(|n| put_user(member(&format!("user{n}"), &["staff"], &["reader"]), 1)).collect();
    let mut boss = member("user333", &["staff"], &["reader"]);
    boss.profile.title = Some("Boss".into());
    changes[333] = put_user(boss, 1);

    let outcomes = sink.apply(&changes).await.unwrap();

    let reason = rejected(&outcomes[333]);
    assert!(
        reason.contains("user user333") && reason.contains("23514") && reason.contains("polite"),
        "{reason}"
    );
    assert!(!reason.contains("user333@example.com"), "a reason quotes no data: {reason}");
    let applied = outcomes.iter().filter(|o| matches!(o, Outcome::Applied { .. })).count();
    assert_eq!(applied, 499);
    assert_eq!(fixture.value("SELECT count(*) FROM rolecall.users").await, "499");
    assert_eq!(fixture.value("SELECT count(*) FROM rolecall.user_roles").await, "499");
    assert_eq!(fixture.value("SELECT count(*) FROM rolecall.group_members").await, "499");
}

#[tokio::test]
async fn an_operators_trigger_may_refuse_a_row() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink();
    sink.probe().await.unwrap();
    fixture
        .server
        .execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'no admins here'; END $$; \
             CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON rolecall.user_roles DEFERRABLE INITIALLY \
             DEFERRED FOR EACH ROW WHEN (NEW.role = 'admin') EXECUTE FUNCTION refuse()",
        )
        .await;
    let changes = [put_user(member("ada", &[], &["admin"]), 1), put_user(member("bob", &[], &["reader"]), 1)];
    let outcomes = sink.apply(&changes).await.unwrap();
    assert!(rejected(&outcomes[0]).contains("no admins here"), "{outcomes:?}");
    assert_eq!(fixture.column("SELECT id FROM rolecall.users").await, ["bob"]);
}

#[tokio::test]
async fn each_change_is_told_what_had_to_be_done() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink();
    let mut ada = member("ada", &["staff"], &["reader"]);
    let staff = group("staff", "Staff");
    let first = apply(&sink, &[put_group(staff.clone(), 1), put_user(ada.clone(), 1)]).await;
    assert_eq!(first, [Action::Created, Action::Created]);

    let again = apply(&sink, &[put_group(staff.clone(), 1), put_user(ada.clone(), 1)]).await;
    assert_eq!(again, [Action::Unchanged, Action::Unchanged]);

    ada.profile.title = Some("Countess".into());
    assert_eq!(apply(&sink, &[put_user(ada.clone(), 2)]).await, [Action::Updated]);
    ada.roles.clear();
    assert_eq!(apply(&sink, &[put_user(ada.clone(), 3)]).await, [Action::Updated]);
    ada.groups.clear();
    assert_eq!(apply(&sink, &[put_user(ada.clone(), 4)]).await, [Action::Updated]);
    ada.active = false;
    assert_eq!(apply(&sink, &[put_user(ada.clone(), 5)]).await, [Action::Deactivated]);
    ada.active = true;
    assert_eq!(apply(&sink, &[put_user(ada.clone(), 6)]).await, [Action::Reactivated]);
    let gone = [remove_user("ada", 7), remove_user("nobody", 1), remove_group("staff", 2)];
    assert_eq!(apply(&sink, &gone).await, [Action::Deleted, Action::Unchanged, Action::Deleted]);
    assert_eq!(apply(&sink, &gone).await, [Action::Unchanged; 3]);
    let back = apply(&sink, &[put_group(staff, 3), put_user(ada, 8)]).await;
    assert_eq!(back, [Action::Created, Action::Reactivated]);
}

#[tokio::test]
async fn nothing_is_written_when_nothing_differs() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink();
    let changes =
        [put_group(group("staff", "Staff"), 1), put_user(member("ada", &["staff"], &["reader"]), 1)];
    apply(&sink, &changes).await;
    // xmin names the transaction that wrote a row last.
    let rows = "SELECT xmin, updated_at FROM rolecall.users UNION ALL SELECT xmin, updated_at FROM \
                rolecall.groups UNION ALL SELECT xmin, added_at FROM rolecall.group_members \
                UNION ALL SELECT xmin, granted_at FROM rolecall.user_roles";
    let before = fixture.server.query(rows).await;
    assert_eq!(apply(&sink, &changes).await, [Action::Unchanged, Action::Unchanged]);
    assert_eq!(fixture.server.query(rows).await, before);

    // A newer generation with the same content is noted, and nobody who watches updated_at is told of a
    // change.
    let updated = "SELECT updated_at FROM rolecall.users";
    let before = fixture.column(updated).await;
    let newer = put_user(member("ada", &["staff"], &["reader"]), 2);
    assert_eq!(apply(&sink, &[newer]).await, [Action::Unchanged]);
    assert_eq!(fixture.column(updated).await, before);
    assert_eq!(fixture.value("SELECT generation FROM rolecall.users").await, "2");
}

#[tokio::test]
async fn who_goes_keeps_the_row_and_loses_everything_else() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink();
    let ada = || member("ada", &["staff"], &["reader"]);
    apply(&sink, &[put_group(group("staff", "Staff"), 1), put_user(ada(), 1)]).await;
    apply(&sink, &[remove_user("ada", 2)]).await;
    let row = "SELECT email || ' ' || active || ' ' || (deleted_at IS NOT NULL) FROM rolecall.users";
    assert_eq!(fixture.value(row).await, "ada@example.com false true");
    assert_eq!(fixture.value("SELECT count(*) FROM rolecall.group_members").await, "0");
    assert_eq!(fixture.value("SELECT count(*) FROM rolecall.user_roles").await, "0");

    let created = fixture.value("SELECT created_at FROM rolecall.users").await;
    apply(&sink, &[put_user(ada(), 3)]).await;
    assert_eq!(fixture.value(row).await, "ada@example.com true false");
    assert_eq!(fixture.value("SELECT created_at FROM rolecall.users").await, created);
    assert_eq!(fixture.column("SELECT role FROM rolecall.user_roles").await, ["reader"]);
}

#[tokio::test]
async fn who_is_not_active_holds_no_role_whatever_the_document_says() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink();
    let mut ada = member("ada", &[], &["reader"]);
    apply(&sink, &[put_user(ada.clone(), 1)]).await;
    ada.active = false;
    apply(&sink, &[put_user(ada, 2)]).await;
    assert_eq!(fixture.value("SELECT count(*) FROM rolecall.user_roles").await, "0");
}

#[tokio::test]
async fn an_older_write_changes_nothing_of_a_newer_one() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink();
    apply(
        &sink,
        &[put_user(member("ada", &["staff"], &["reader"]), 5), put_group(group("staff", "Staff"), 5)],
    )
    .await;
    let mut older = member("ada", &["admins"], &["admin"]);
    older.profile.display_name = Some("Old".into());
    let stale = [put_user(older, 4), put_group(group("staff", "Old"), 4)];
    let outcomes = sink.apply(&stale).await.unwrap();
    assert!(rejected(&outcomes[0]).contains("generation 5"), "{outcomes:?}");
    assert!(rejected(&outcomes[1]).contains("generation 5"), "{outcomes:?}");
    for outcome in sink.apply(&[remove_user("ada", 4), remove_group("staff", 4)]).await.unwrap() {
        let reason = rejected(&outcome);
        assert!(
            reason.contains("newer") && reason.contains("writing") && reason.contains("127.0.0.1"),
            "{reason}"
        );
    }
    assert_eq!(fixture.value("SELECT display_name FROM rolecall.users").await, "ada Example");
    assert_eq!(fixture.value("SELECT name FROM rolecall.groups WHERE id = 'staff'").await, "Staff");
    assert_eq!(fixture.column("SELECT group_id FROM rolecall.group_members").await, ["staff"]);
    assert_eq!(fixture.column("SELECT role FROM rolecall.user_roles").await, ["reader"]);
}

#[tokio::test]
async fn a_write_that_comes_after_the_removal_it_preceded_is_refused() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink();
    apply(&sink, &[remove_user("ada", 2)]).await;
    let outcomes = sink.apply(&[put_user(member("ada", &[], &["admin"]), 1)]).await.unwrap();
    assert!(rejected(&outcomes[0]).contains("generation 2"), "{outcomes:?}");
    assert_eq!(fixture.value("SELECT active FROM rolecall.users").await, "f");
    assert_eq!(fixture.value("SELECT count(*) FROM rolecall.user_roles").await, "0");
}

#[tokio::test]
async fn a_write_that_was_still_under_way_does_not_outlive_the_removal() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink();
    sink.probe().await.unwrap();
    // As a session of a daemon that died would hold it: sent, not committed, and to be committed yet.
    let (earlier, _connection) = connect(&fixture).await;
    earlier
        .batch_execute(
            "BEGIN; INSERT INTO rolecall.users (id, active, generation) VALUES ('ada', true, 1); \
             INSERT INTO rolecall.roles (name) VALUES ('admin'); \
             INSERT INTO rolecall.user_roles (user_id, role, generation) VALUES ('ada', 'admin', 1)",
        )
        .await
        .unwrap();
    let commit = async {
        waits_for_a_lock(&fixture, "rolecall app").await;
        earlier.batch_execute("COMMIT").await.unwrap();
    };
    let removal = [remove_user("ada", 2)];
    tokio::join!(apply(&sink, &removal), commit);
    assert_eq!(fixture.value("SELECT active FROM rolecall.users").await, "f");
    assert_eq!(fixture.value("SELECT count(*) FROM rolecall.user_roles").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sinks_that_write_the_same_users_leave_the_newest() {
    let fixture = Fixture::start().await;
    let (one, two) = (fixture.sink(), fixture.sink());
    let version = |generation: u64, reverse: bool| {
        let mut changes: Vec<_> = (0..100)
            .map(|n| {
                let (group, role) = (format!("g{generation}"), format!("r{generation}"));
                put_user(member(&format!("user{n}"), &[&group, "all"], &[&role]), generation)
            })
            .collect();
        if reverse {
            changes.reverse();
        }
        changes
    };
    for generation in (1..20).step_by(2) {
        let (older, newer) = (version(generation, false), version(generation + 1, true));
        let (first, second) = tokio::join!(one.apply(&older), two.apply(&newer));
        first.unwrap();
        let applied = second.unwrap().iter().all(|outcome| matches!(outcome, Outcome::Applied { .. }));
        assert!(applied, "the newer write goes through");
    }
    assert_eq!(fixture.column("SELECT DISTINCT generation FROM rolecall.users").await, ["20"]);
    let groups = "SELECT DISTINCT group_id FROM rolecall.group_members ORDER BY 1";
    assert_eq!(fixture.column(groups).await, ["all", "g20"]);
    assert_eq!(fixture.column("SELECT DISTINCT role FROM rolecall.user_roles").await, ["r20"]);
}

#[tokio::test]
async fn a_group_known_from_its_members_has_a_row_until_its_own_data_comes() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink();
    apply(&sink, &[put_user(member("ada", &["staff"], &[]), 1)]).await;
    let joined = "SELECT u.id || ' is in ' || g.name FROM rolecall.users u \
                  JOIN rolecall.group_members m ON m.user_id = u.id \
                  JOIN rolecall.groups g ON g.id = m.group_id";
    assert_eq!(fixture.column(joined).await, ["ada is in the staff"]);
    assert_eq!(apply(&sink, &[put_group(group("staff", "Staff"), 1)]).await, [Action::Created]);
    assert_eq!(fixture.column(joined).await, ["ada is in Staff"]);
}

#[tokio::test]
async fn what_others_put_there_stays() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink();
    apply(&sink, &[put_user(member("ada", &["staff"], &["reader"]), 1)]).await;
    fixture
        .server
        .execute(
            "INSERT INTO rolecall.roles (name) VALUES ('auditor'); \
             INSERT INTO rolecall.user_roles (user_id, role) VALUES ('ada', 'auditor'); \
             INSERT INTO rolecall.users (id, active, email) VALUES ('bob', true, 'bob@own.example')",
        )
        .await;
    let outcomes = sink.apply(&[put_user(user("ada"), 2), put_user(user("bob"), 1)]).await.unwrap();
    assert!(rejected(&outcomes[1]).contains("generation to 0"), "{outcomes:?}");
    assert_eq!(fixture.column("SELECT role FROM rolecall.user_roles").await, ["auditor"]);
    assert_eq!(fixture.value("SELECT email FROM rolecall.users WHERE id = 'bob'").await, "bob@own.example");

    fixture.server.execute("UPDATE rolecall.users SET generation = 0 WHERE id = 'bob'").await;
    assert_eq!(apply(&sink, &[put_user(user("bob"), 1)]).await, [Action::Updated]);
}

#[tokio::test]
async fn a_locked_row_waits_alone() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink_with(json!({"lock_timeout": "100ms"}));
    let changes = |generation| {
        ["ada", "bob", "eve"]
            .map(|id| put_user(member(id, &[], &["reader", &format!("v{generation}")]), generation))
    };
    apply(&sink, &changes(1)).await;
    let (other, _connection) = connect(&fixture).await;
    other.batch_execute("BEGIN; SELECT FROM rolecall.users WHERE id = 'bob' FOR UPDATE").await.unwrap();

    let outcomes = sink.apply(&changes(2)).await.unwrap();

    assert!(retried(&outcomes[1]).contains("55P03"), "{outcomes:?}");
    assert_eq!(
        fixture.column("SELECT user_id FROM rolecall.user_roles WHERE role = 'v2' ORDER BY 1").await,
        ["ada", "eve"]
    );
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(apply(&sink, &changes(2)).await, [Action::Unchanged, Action::Updated, Action::Unchanged]);
}

#[tokio::test]
async fn a_locked_table_makes_the_batch_wait_and_blames_nobody() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink_with(json!({"lock_timeout": "100ms"}));
    apply(&sink, &[put_user(user("ada"), 1)]).await;
    let (other, _connection) = connect(&fixture).await;
    other.batch_execute("BEGIN; LOCK TABLE rolecall.users").await.unwrap();
    let outcomes = sink.apply(&[put_user(user("ada"), 2)]).await.unwrap();
    assert!(retried(&outcomes[0]).contains("55P03"), "{outcomes:?}");
}

#[tokio::test]
async fn a_deadlock_is_tried_again_at_once() {
    let fixture = Fixture::start().await;
    let patient = json!({"timeout": "90s", "statement_timeout": "80s", "lock_timeout": "60s"});
    let sink = fixture.sink_with(patient);
    let changes = |generation| {
        ["ada", "bob", "eve"].map(|id| put_user(member(id, &[], &[&format!("v{generation}")]), generation))
    };
    apply(&sink, &changes(1)).await;
    let (gate, _gate) = connect(&fixture).await;
    gate.batch_execute("BEGIN; SELECT FROM rolecall.users WHERE id = 'bob' FOR UPDATE").await.unwrap();
    // A session looks for deadlocks once, a second after it began to wait. This one never does, so the sink must
    // begin to wait for it after it waits for the sink: the gate holds the sink up until then.
    let (other, _other) = connect(&fixture).await;
    let begin = "SET application_name = 'other'; SET deadlock_timeout = '1h'; BEGIN; \
                 SELECT FROM rolecall.users WHERE id = 'eve' FOR UPDATE";
    other.batch_execute(begin).await.unwrap();
    let second = changes(2);
    let (actions, locked, ()) = tokio::join!(
        apply(&sink, &second),
        async {
            waits_for_a_lock(&fixture, "rolecall app").await;
            // Who waits for a table gets it as soon as the sink lets go of it, before the sink can take it again.
            other.batch_execute("LOCK TABLE rolecall.users; COMMIT").await
        },
        async {
            waits_for_a_lock(&fixture, "other").await;
            gate.batch_execute("COMMIT").await.unwrap();
        }
    );
    locked.unwrap();
    assert_eq!(actions, [Action::Updated; 3]);
    assert!(fixture.server.log().contains("deadlock detected"), "there was a deadlock");
}

#[tokio::test]
async fn a_serialization_failure_is_tried_again_at_once_a_few_times() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink();
    sink.probe().await.unwrap();
    // A sequence counts what is rolled back, too.
    fixture
        .server
        .execute(
            "CREATE SEQUENCE tries; CREATE SEQUENCE failures; \
             CREATE FUNCTION collide() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                IF nextval('tries') < 3 OR NEW.id = 'eve' THEN \
                    PERFORM nextval('failures'); \
                    RAISE EXCEPTION 'somebody was faster' USING ERRCODE = 'serialization_failure'; \
                END IF; RETURN NEW; END $$; \
             CREATE TRIGGER collide BEFORE INSERT ON rolecall.users FOR EACH ROW EXECUTE FUNCTION collide(); \
             ALTER FUNCTION collide() SET search_path = public",
        )
        .await;
    assert_eq!(apply(&sink, &[put_user(user("ada"), 1)]).await, [Action::Created]);
    assert_eq!(fixture.value("SELECT last_value FROM failures").await, "2");

    let outcomes = sink.apply(&[put_user(user("eve"), 1)]).await.unwrap();
    assert!(retried(&outcomes[0]).contains("40001"), "{outcomes:?}");
    assert_eq!(fixture.value("SELECT last_value FROM failures").await, "6");
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_tried_later() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink_with(json!({"statement_timeout": "200ms", "lock_timeout": "100ms"}));
    sink.probe().await.unwrap();
    fixture
        .server
        .execute(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$; \
             CREATE TRIGGER dawdle BEFORE INSERT ON rolecall.users FOR EACH ROW EXECUTE FUNCTION dawdle()",
        )
        .await;
    let outcomes = sink.apply(&[put_user(user("ada"), 1)]).await.unwrap();
    assert!(retried(&outcomes[0]).contains("57014"), "{outcomes:?}");
}

#[tokio::test]
async fn what_a_slow_row_leaves_no_time_for_is_tried_later_and_the_rest_stands() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink_with(json!({"timeout": "3s", "statement_timeout": "3s", "lock_timeout": "1s"}));
    sink.probe().await.unwrap();
    fixture
        .server
        .execute(
            "ALTER TABLE rolecall.users ADD CHECK (id <> 'a-poison'); \
             CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN IF NEW.id = 'c-slow' THEN PERFORM pg_sleep(60); END IF; RETURN NEW; END $$; \
             CREATE TRIGGER dawdle BEFORE INSERT ON rolecall.users FOR EACH ROW EXECUTE FUNCTION dawdle()",
        )
        .await;
    let changes = ["a-poison", "b-fine", "c-slow", "d-after"].map(|id| put_user(user(id), 1));
    let outcomes = sink.apply(&changes).await.unwrap();
    rejected(&outcomes[0]);
    assert!(matches!(outcomes[1], Outcome::Applied { .. }), "{outcomes:?}");
    retried(&outcomes[2]);
    retried(&outcomes[3]);
    assert_eq!(fixture.column("SELECT id FROM rolecall.users").await, ["b-fine"]);
}

/// Until the session of this name waits for somebody else.
async fn waits_for_a_lock(fixture: &Fixture, session: &str) {
    let waiting = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{session}' AND wait_event_type = 'Lock'"
    );
    until(Duration::from_secs(20), "the session waits for a lock", async || {
        let sessions = fixture.value(&waiting).await;
        if sessions == "1" { Ok(()) } else { Err(sessions) }
    })
    .await;
}

/// A session of somebody else's.
async fn connect(fixture: &Fixture) -> (tokio_postgres::Client, tokio::task::JoinHandle<()>) {
    let (client, connection) = tokio_postgres::connect(&fixture.server.url(), NoTls).await.unwrap();
    (client, tokio::spawn(async move { drop(connection.await) }))
}
