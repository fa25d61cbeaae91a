//! What a batch does to the tables, and what each change is told.

use rolecall_sink_api::conformance::people::{put_group, put_user, remove_group, remove_user};
use rolecall_sink_api::{Action, Outcome, RoleName, Sink as _};
use serde_json::json;

use crate::fixture::{Fixture, apply, group, member, rejected};

#[tokio::test]
async fn one_poisoned_row_of_500_is_rejected_and_the_rest_goes_through() {
    let fixture = Fixture::new();
    let sink = fixture.sink();
    sink.probe().await.unwrap();
    fixture
        .connect()
        .execute_batch(
            "CREATE TRIGGER polite BEFORE INSERT ON user_roles WHEN NEW.role = 'boss' \
             BEGIN SELECT RAISE(ABORT, 'nobody is the boss here'); END",
        )
        .unwrap();
    let mut changes: Vec<_> =
        (0..500).map(|n| put_user(member(&format!("user{n}"), &["staff"], &["reader"]), 1)).collect();
    changes[333] = put_user(member("user333", &["staff"], &["boss", "reader"]), 1);

    let outcomes = sink.apply(&changes).await.unwrap();

    let reason = rejected(&outcomes[333]);
    assert!(reason.contains("app.db") && reason.contains("user user333"), "{reason}");
    assert!(reason.contains("nobody is the boss"), "{reason}");
    assert_eq!(outcomes.iter().filter(|o| matches!(o, Outcome::Applied { .. })).count(), 499);
    for table in ["users", "group_members", "user_roles"] {
        assert_eq!(fixture.column(&format!("SELECT count(*) FROM {table}")), ["Integer(499)"], "{table}");
    }
}

#[tokio::test]
async fn each_change_is_told_what_had_to_be_done() {
    let fixture = Fixture::new();
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
    let fixture = Fixture::new();
    let sink = fixture.sink();
    let changes =
        [put_group(group("staff", "Staff"), 1), put_user(member("ada", &["staff"], &["reader"]), 1)];
    apply(&sink, &changes).await;
    fixture
        .connect()
        .execute_batch(
            "CREATE TRIGGER watched BEFORE UPDATE OF updated_at, email ON users \
             BEGIN SELECT RAISE(ABORT, 'written'); END;",
        )
        .unwrap();
    assert_eq!(apply(&sink, &changes).await, [Action::Unchanged, Action::Unchanged]);
    // A newer generation with the same content is noted, and nothing else.
    let newer = put_user(member("ada", &["staff"], &["reader"]), 2);
    assert_eq!(apply(&sink, &[newer]).await, [Action::Unchanged]);
    assert_eq!(fixture.column("SELECT generation FROM users"), ["Integer(2)"]);
}

#[tokio::test]
async fn who_goes_keeps_the_row_and_loses_everything_else() {
    let fixture = Fixture::new();
    let sink = fixture.sink();
    let ada = || member("ada", &["staff"], &["reader"]);
    apply(&sink, &[put_user(ada(), 1)]).await;
    apply(&sink, &[remove_user("ada", 2)]).await;
    let row = "SELECT email || ' ' || active || ' ' || (deleted_at IS NOT NULL) FROM users";
    assert_eq!(fixture.column(row), ["ada@example.com 0 1"]);
    assert!(fixture.column("SELECT user_id FROM group_members").is_empty());
    assert!(fixture.column("SELECT user_id FROM user_roles").is_empty());
    apply(&sink, &[put_user(ada(), 3)]).await;
    assert_eq!(fixture.column(row), ["ada@example.com 1 0"]);
    assert_eq!(fixture.column("SELECT role FROM user_roles"), ["reader"]);
}

#[tokio::test]
async fn an_older_write_changes_nothing_of_a_newer_one() {
    let fixture = Fixture::new();
    let sink = fixture.sink();
    apply(
        &sink,
        &[put_user(member("ada", &["staff"], &["reader"]), 5), put_group(group("staff", "Staff"), 5)],
    )
    .await;
    let stale = [put_user(member("ada", &["admins"], &["admin"]), 4), put_group(group("staff", "Old"), 4)];
    for outcome in sink.apply(&stale).await.unwrap() {
        assert!(rejected(&outcome).contains("generation 5"), "{outcome:?}");
    }
    for outcome in sink.apply(&[remove_user("ada", 4), remove_group("staff", 4)]).await.unwrap() {
        assert!(rejected(&outcome).contains("generation 5"), "{outcome:?}");
    }
    assert_eq!(fixture.column("SELECT name FROM groups"), ["Staff"]);
    assert_eq!(fixture.column("SELECT group_id FROM group_members"), ["staff"]);
    assert_eq!(fixture.column("SELECT role FROM user_roles"), ["reader"]);

    apply(&sink, &[remove_user("bob", 2)]).await;
    let late = sink.apply(&[put_user(member("bob", &[], &["admin"]), 1)]).await.unwrap();
    assert!(rejected(&late[0]).contains("generation 2"), "{late:?}");
    assert_eq!(fixture.column("SELECT active FROM users WHERE id = 'bob'"), ["Integer(0)"]);
}

#[tokio::test]
async fn what_others_put_there_stays() {
    let fixture = Fixture::new();
    let sink = fixture.sink();
    apply(&sink, &[put_user(member("ada", &["staff"], &["reader"]), 1)]).await;
    fixture
        .connect()
        .execute_batch(
            "INSERT INTO roles (name) VALUES ('auditor'); \
             INSERT INTO user_roles (user_id, role) VALUES ('ada', 'auditor'); \
             INSERT INTO users (id, active, email) VALUES ('bob', 1, 'bob@own.example')",
        )
        .unwrap();
    let changes = [put_user(member("ada", &[], &[]), 2), put_user(member("bob", &[], &[]), 1)];
    let outcomes = sink.apply(&changes).await.unwrap();
    assert!(rejected(&outcomes[1]).contains("generation to 0"), "{outcomes:?}");
    assert_eq!(fixture.column("SELECT role FROM user_roles"), ["auditor"]);
    assert_eq!(fixture.column("SELECT email FROM users WHERE id = 'bob'"), ["bob@own.example"]);
    fixture.connect().execute("UPDATE users SET generation = 0 WHERE id = 'bob'", []).unwrap();
    assert_eq!(apply(&sink, &[put_user(member("bob", &[], &[]), 1)]).await, [Action::Updated]);
}

#[tokio::test]
async fn a_group_known_from_its_members_has_a_row_until_its_own_data_comes() {
    let fixture = Fixture::new();
    let sink = fixture.sink();
    apply(&sink, &[put_user(member("ada", &["staff"], &[]), 1)]).await;
    let joined =
        "SELECT m.user_id || ' is in ' || g.name FROM group_members m JOIN groups g ON g.id = m.group_id";
    assert_eq!(fixture.column(joined), ["ada is in the staff"]);
    assert_eq!(apply(&sink, &[put_group(group("staff", "Staff"), 1)]).await, [Action::Created]);
    assert_eq!(fixture.column(joined), ["ada is in Staff"]);
}

#[tokio::test]
async fn who_is_not_active_holds_no_role_whatever_the_document_says() {
    let fixture = Fixture::new();
    let sink = fixture.sink();
    let mut ada = member("ada", &[], &["reader"]);
    apply(&sink, &[put_user(ada.clone(), 1)]).await;
    ada.active = false;
    apply(&sink, &[put_user(ada, 2)]).await;
    assert!(fixture.column("SELECT role FROM user_roles").is_empty());
}

#[tokio::test]
async fn strange_values_are_kept_as_they_are() {
    let fixture = Fixture::new();
    let sink = fixture.sink();
    let texts = ["'; DROP TABLE users; --", "a\0b", "𝔘𝔫𝔦 💥 Łódź", " \t\r\n ", "\u{7f}\u{1}\"\\", "NULL"];
    for text in texts {
        let mut user = member(text, &[text], &[]);
        user.roles.insert(RoleName::new(text));
        user.profile.title = Some(text.into());
        user.profile.custom.insert(text.into(), json!({"deep": [text, null, 2.5, {"x": true}]}));
        let change = [put_user(user, 1)];
        assert_eq!(apply(&sink, &change).await, [Action::Created]);
        assert_eq!(apply(&sink, &change).await, [Action::Unchanged], "{text:?}");
    }
    for sql in ["id FROM users", "title FROM users", "group_id FROM group_members", "role FROM user_roles"] {
        let mut found = fixture.column(&format!("SELECT {sql}"));
        let mut expected = texts.map(str::to_owned);
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{sql}");
    }
    let custom: Vec<serde_json::Value> = fixture
        .column("SELECT custom FROM users ORDER BY rowid")
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    assert_eq!(custom[1], json!({"a\0b": {"deep": ["a\0b", null, 2.5, {"x": true}]}}));
}
