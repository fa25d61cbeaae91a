//! An application's own tables, written by statements, by a role that may do no more than they need.

use async_trait::async_trait;
use rolecall_sink_api::conformance::people::{put_group, put_user, remove_group, remove_user, user};
use rolecall_sink_api::conformance::{Attribute, Held, HeldGroup, HeldUser, Target, TargetError, run};
use rolecall_sink_api::{Action, GroupId, Outcome, RoleName, Sink, User, UserId};
use rolecall_sink_postgres::PostgresSink;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::fixture::{Fixture, apply, group, member, readme, rejected, retried};

/// The application, the statements and the grants are those that the README shows.
fn tables() -> String {
    format!(
        "CREATE SCHEMA app; {} DROP ROLE IF EXISTS writer; CREATE ROLE writer LOGIN PASSWORD 'secret'; {}",
        readme("sql application", 0),
        readme("sql application grants", 0)
    )
}

fn shown() -> Value {
    serde_saphyr::from_str(&readme("yaml sink", 1)).unwrap()
}

struct Application {
    fixture: Fixture,
}

impl Application {
    async fn start() -> Self {
        let fixture = Fixture::start().await;
        fixture.server.execute(&tables()).await;
        Self { fixture }
    }

    /// A sink that is the application's writer, with these statements on top of those above; `null` takes one out.
    fn sink_with(&self, changes: Value) -> PostgresSink {
        PostgresSink::new("app", self.config(changes)).unwrap()
    }

    fn config(&self, changes: Value) -> rolecall_sink_postgres::Config {
        let mut all = shown()["statements"].clone();
        for (name, statement) in changes.as_object().unwrap() {
            all[name] = statement.clone();
        }
        all.as_object_mut().unwrap().retain(|_, statement| !statement.is_null());
        let url = format!("postgresql://writer@127.0.0.1:{}/postgres", self.fixture.server.port());
        self.fixture.config(json!({"url": url, "statements": all, "on_deactivate": shown()["on_deactivate"]}))
    }

    fn sink(&self) -> PostgresSink {
        self.sink_with(json!({}))
    }

    async fn column(&self, sql: &str) -> Vec<String> {
        self.fixture.column(sql).await
    }
}

#[tokio::test]
async fn users_groups_memberships_and_roles_go_where_the_statements_say() {
    let app = Application::start().await;
    let sink = app.sink();
    let done = apply(
        &sink,
        &[put_group(group("g1", "Staff"), 1), put_user(member("ada", &["g1"], &["admin", "reader"]), 1)],
    )
    .await;
    assert_eq!(done, [Action::Created, Action::Created]);
    let people = "SELECT login || ' <' || mail || '> ' || name || ' ' || enabled FROM app.people";
    assert_eq!(app.column(people).await, ["ada <ada@example.com> ada Example true"]);
    let members = "SELECT title || ': ' || login FROM app.team_people m JOIN app.teams t ON t.id = team_id \
                   JOIN app.people p ON p.id = person_id";
    assert_eq!(app.column(members).await, ["Staff: ada"]);
    let roles = "SELECT role FROM app.person_roles ORDER BY role";
    assert_eq!(app.column(roles).await, ["admin", "reader"]);

    let mut update = put_user(member("ada", &[], &["reader"]), 2);
    update.applied = put_user(member("ada", &["g1"], &["admin", "reader"]), 1).desired;
    assert_eq!(apply(&sink, &[update]).await, [Action::Updated]);
    assert!(app.column(members).await.is_empty());
    assert_eq!(app.column(roles).await, ["reader"]);
}

#[tokio::test]
async fn a_role_that_a_statement_gave_by_hand_stays() {
    let app = Application::start().await;
    let sink = app.sink();
    apply(&sink, &[put_user(member("ada", &[], &["reader"]), 1)]).await;
    app.fixture
        .server
        .execute("INSERT INTO app.person_roles SELECT id, 'auditor' FROM app.people WHERE login = 'ada'")
        .await;
    let mut update = put_user(member("ada", &[], &["writer"]), 2);
    update.applied = put_user(member("ada", &[], &["reader"]), 1).desired;
    apply(&sink, &[update]).await;
    assert_eq!(app.column("SELECT role FROM app.person_roles ORDER BY 1").await, ["auditor", "writer"]);
}

#[tokio::test]
async fn sessions_end_with_access_in_the_same_transaction_and_nobody_elses() {
    let app = Application::start().await;
    let sink = app.sink();
    let sessions = "INSERT INTO app.sessions SELECT id, login FROM app.people";
    apply(&sink, &["ada", "bob", "eve"].map(|id| put_user(user(id), 1))).await;
    app.fixture.server.execute(sessions).await;

    let mut ada = user("ada");
    ada.active = false;
    let mut leaver = put_user(ada, 2);
    leaver.applied = put_user(user("ada"), 1).desired;
    assert_eq!(apply(&sink, &[leaver, remove_user("bob", 2)]).await, [Action::Deactivated, Action::Deleted]);

    assert_eq!(app.column("SELECT token FROM app.sessions").await, ["eve"]);
    assert_eq!(
        app.column("SELECT login || enabled FROM app.people ORDER BY 1").await,
        ["adafalse", "evetrue"]
    );

    // What fails for one takes nothing of it along, and holds nobody else up.
    app.fixture.server.execute("REVOKE DELETE ON app.sessions FROM writer").await;
    let down = sink.apply(&[remove_user("eve", 2)]).await.unwrap_err();
    assert!(down.reason.contains("on_deactivate.0") && down.reason.contains("42501"), "{down}");
    assert_eq!(app.column("SELECT login FROM app.people WHERE enabled").await, ["eve"]);
}

#[tokio::test]
async fn what_the_database_refuses_is_isolated_whoever_it_is() {
    let app = Application::start().await;
    let sink = app.sink();
    app.fixture
        .server
        .execute(
            "ALTER TABLE app.person_roles ADD CONSTRAINT polite CHECK (role <> 'boss'); \
             ALTER TABLE app.people ADD CONSTRAINT friendly CHECK (mail NOT LIKE '%@evil.example')",
        )
        .await;
    let mut changes: Vec<_> =
        (0..100).map(|n| put_user(member(&format!("user{n}"), &[], &["reader"]), 1)).collect();
    let mut evil = user("user33");
    evil.profile.email = Some("x@evil.example".into());
    changes[33] = put_user(evil, 1);
    changes[66] = put_user(member("user66", &[], &["boss"]), 1);
    changes[99] = put_user(member("user99", &["not yet there"], &[]), 1);

    let outcomes = sink.apply(&changes).await.unwrap();

    for (n, what) in [(33, ["statements.user_upsert", "23514"]), (66, ["statements.role_grant", "polite"])] {
        let reason = rejected(&outcomes[n]);
        assert!(what.iter().all(|part| reason.contains(part)), "{reason}");
        assert!(reason.contains(&format!("user user{n}")) && !reason.contains("x@evil"), "{reason}");
    }
    let reason = retried(&outcomes[99]);
    assert!(reason.contains("statements.member_add") && reason.contains("23502"), "{reason}");
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Applied { .. })).count(), 97);
    assert_eq!(app.column("SELECT count(*) FROM app.person_roles").await, ["97"]);
}

#[tokio::test]
async fn who_waits_for_a_group_is_in_it_when_it_has_come() {
    let app = Application::start().await;
    let sink = app.sink();
    let ada = [put_user(member("ada", &["late"], &[]), 1)];
    retried(&sink.apply(&ada).await.unwrap()[0]);
    apply(&sink, &[put_group(group("late", "Late"), 1)]).await;
    apply(&sink, &ada).await;
    assert_eq!(app.column("SELECT count(*) FROM app.team_people").await, ["1"]);
    apply(&sink, &[remove_group("late", 2)]).await;
    assert_eq!(app.column("SELECT count(*) FROM app.team_people").await, ["0"]);
}

#[tokio::test]
async fn an_older_write_is_given_up_whole_where_the_statement_compares_generations() {
    let app = Application::start().await;
    let sink = app.sink();
    apply(&sink, &[put_user(member("ada", &[], &["reader"]), 5)]).await;
    let older = put_user(member("ada", &[], &["admin"]), 4);
    let outcomes = sink.apply(&[older, put_user(user("bob"), 1)]).await.unwrap();
    assert!(rejected(&outcomes[0]).contains(":generation"), "{outcomes:?}");
    assert!(matches!(outcomes[1], Outcome::Applied { .. }), "{outcomes:?}");
    assert_eq!(app.column("SELECT role FROM app.person_roles").await, ["reader"]);
}

#[tokio::test]
async fn without_a_word_on_active_whoever_loses_access_is_deactivated_or_removed() {
    let app = Application::start().await;
    let upsert = "INSERT INTO app.people (directory_id, login, enabled) VALUES (:user_id, :user_name, true) \
                  ON CONFLICT (directory_id) DO UPDATE SET enabled = true";
    let disable = "UPDATE app.people SET enabled = false WHERE directory_id = :user_id";
    let inactive = |id: &str, generation| {
        let mut user = member(id, &[], &[]);
        user.active = false;
        put_user(user, generation)
    };
    let sink = app.sink_with(json!({"user_upsert": upsert, "user_deactivate": disable, "user_delete": null}));
    apply(&sink, &[put_user(user("ada"), 1), put_user(user("bob"), 1), inactive("eve", 1)]).await;
    apply(&sink, &[inactive("ada", 2), remove_user("bob", 2)]).await;
    assert_eq!(
        app.column("SELECT login || enabled FROM app.people ORDER BY 1").await,
        ["adafalse", "bobfalse"]
    );

    let sink = app.sink_with(json!({"user_upsert": upsert}));
    apply(&sink, &[inactive("ada", 3)]).await;
    assert_eq!(app.column("SELECT login FROM app.people").await, ["bob"]);
}

#[tokio::test]
async fn who_comes_back_has_everything_again() {
    let app = Application::start().await;
    let upsert = "INSERT INTO app.people (directory_id, login, enabled) VALUES (:user_id, :user_name, true) \
                  ON CONFLICT (directory_id) DO UPDATE SET enabled = true";
    let end_all = "WITH p AS (SELECT id FROM app.people WHERE directory_id = :user_id), \
                   r AS (DELETE FROM app.team_people WHERE person_id IN (SELECT id FROM p)) \
                   UPDATE app.people SET enabled = false WHERE directory_id = :user_id";
    let sink = app.sink_with(json!({"user_upsert": upsert, "user_deactivate": end_all}));
    let ada = member("ada", &["g1"], &["reader"]);
    apply(&sink, &[put_group(group("g1", "Staff"), 1), put_user(ada.clone(), 1)]).await;
    let mut away = ada.clone();
    away.active = false;
    away.roles.clear();
    let mut leaves = put_user(away, 2);
    leaves.applied = put_user(ada.clone(), 1).desired;
    apply(&sink, std::slice::from_ref(&leaves)).await;
    assert_eq!(app.column("SELECT count(*) FROM app.team_people").await, ["0"]);
    assert_eq!(app.column("SELECT count(*) FROM app.person_roles").await, ["0"]);
    let mut returns = put_user(ada, 3);
    returns.applied = leaves.desired;
    assert_eq!(apply(&sink, &[returns]).await, [Action::Reactivated]);
    assert_eq!(app.column("SELECT count(*) FROM app.team_people").await, ["1"]);
    assert_eq!(app.column("SELECT count(*) FROM app.person_roles").await, ["1"]);
}

#[tokio::test]
async fn values_become_whatever_type_their_place_has() {
    let app = Application::start().await;
    app.fixture
        .server
        .execute(
            "CREATE TYPE app.level AS ENUM ('reader', 'admin'); \
             CREATE TABLE app.typed (id uuid PRIMARY KEY, name varchar(40), number integer, on_since boolean, \
                badge text, city text, roles text[], team_ids text[], level app.level); \
             GRANT SELECT, INSERT, UPDATE, DELETE ON app.typed TO writer",
        )
        .await;
    let sink = app.sink_with(json!({
        "user_upsert": "INSERT INTO app.typed AS held (id, name, number, on_since, badge, city, roles, team_ids) \
            VALUES (:user_id, upper(:display_name), :employee_number, :active, :custom->>'badge', \
                :address->>'locality', :roles, :group_ids) \
            ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE held.id = :user_id",
        "user_delete": "DELETE FROM app.typed WHERE id = :user_id",
        "group_upsert": null, "group_delete": null, "member_add": null, "member_remove": null,
        "role_grant": "UPDATE app.typed SET level = :role WHERE id = :user_id",
        "role_revoke": "UPDATE app.typed SET level = NULL WHERE id = :user_id AND level = :role",
    }));
    let id = "6f1c2f4e-9f4e-4a6e-8d0e-1c9f0a4b7d11";
    let mut ada = member(id, &["a,b", "c\"d"], &["admin"]);
    ada.profile.display_name = Some("Zoë".into());
    ada.profile.employee_number = Some("42".into());
    ada.profile.custom.insert("badge".into(), json!("red"));
    let mut bob = member("6f1c2f4e-9f4e-4a6e-8d0e-1c9f0a4b7d12", &[], &["wizard"]);
    bob.profile.display_name = None;
    let outcomes =
        sink.apply(&[put_user(ada, 1), put_user(bob, 1), put_user(user("no-uuid"), 1)]).await.unwrap();
    assert!(matches!(outcomes[0], Outcome::Applied { .. }), "{outcomes:?}");
    let reason = rejected(&outcomes[1]);
    assert!(reason.contains("statements.role_grant") && reason.contains("22P02"), "{reason}");
    assert!(rejected(&outcomes[2]).contains("statements.user_upsert"), "{outcomes:?}");
    let row = "SELECT name || number || on_since || badge || coalesce(city, '-') || level || roles[1] || \
               array_to_string(team_ids, ' ') FROM app.typed";
    assert_eq!(app.column(row).await, ["ZOË42truered-adminadmina,b c\"d"]);
}

#[tokio::test]
async fn check_says_which_statement_is_wrong_where_and_what_the_server_says() {
    let app = Application::start().await;
    let report = app.sink().check().await.unwrap().found.join("\n");
    for accepted in
        ["statements.user_upsert: accepted", "statements.role_revoke: accepted", "on_deactivate.0: accepted"]
    {
        assert!(report.contains(accepted), "{report}");
    }
    for (statement, sql, expected) in [
        (
            "user_delete",
            "DELETE FROM app.people\n  WHERE directory = :user_id",
            &["statements.user_delete, line 2, column 9", "42703", "directory_id"][..],
        ),
        (
            "user_delete",
            "DELETE FROM app.people WHERE directory_id = :user_id AND x = 1",
            &["line 1, column 58", "column \"x\" does not exist"],
        ),
        ("user_delete", "DELETE FROM app.persons WHERE id = :user_id", &["line 1, column 13", "42P01"]),
        ("user_delete", "DELETE app.people", &["statements.user_delete, line 1, column 8", "42601"]),
        (
            "role_grant",
            "UPDATE app.people SET enabled = :role",
            &["statements.role_grant, line 1, column 33", "text", "bool"],
        ),
        (
            "user_delete",
            "UPDATE app.people SET version = :user_id; SELECT 1",
            &["statements.user_delete", "42601"],
        ),
        (
            "user_upsert",
            "UPDATE app.people SET version = :active",
            &["statements.user_upsert, line 1, column 33", "42804"],
        ),
        (
            "user_delete",
            "DELETE FROM pg_authid WHERE rolname = :user_id",
            &["statements.user_delete", "42501"],
        ),
    ] {
        let sink = app.sink_with(json!({ statement: sql }));
        let down = sink.check().await.unwrap_err();
        assert!(expected.iter().all(|part| down.reason.contains(part)), "{sql}: {down}");
    }
    // All that is wrong is told at once, and nothing was run.
    let down = app.sink_with(json!({"user_delete": "x", "role_revoke": "y"})).check().await.unwrap_err();
    assert!(down.reason.contains("user_delete") && down.reason.contains("role_revoke"), "{down}");
    assert!(app.column("SELECT login FROM app.people").await.is_empty());
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_anything_connects() {
    let app = Application::start().await;
    for (changes, path, hint) in [
        (
            json!({"user_upsert": "SELECT\n :emial"}),
            "statements.user_upsert",
            "line 2, column 2: there is no parameter :emial",
        ),
        (json!({"user_delete": "SELECT :email"}), "statements.user_delete", ":user_id, :generation"),
        (json!({"user_delete": "SELECT 'x"}), "statements.user_delete", "does not end"),
        (json!({"user_delete": " "}), "statements.user_delete", "is empty"),
        (json!({"user_delete": null}), "statements.user_upsert", "user_deactivate or user_delete"),
        (json!({"member_remove": null}), "statements.member_add", "member_remove"),
        (json!({"role_revoke": null}), "statements.role_grant", "role_revoke"),
    ] {
        match PostgresSink::new("app", app.config(changes.clone())) {
            Err(error) => {
                assert_eq!(error.path, path, "{error}");
                assert!(error.message.contains(hint), "{error}");
            }
            Ok(_) => panic!("{changes} was accepted"),
        }
    }
}

/// The whole suite, by the role that has just the grants above.
struct Conformance(Mutex<Application>);

#[async_trait]
impl Target for Conformance {
    async fn empty(&self) -> Result<(), TargetError> {
        let app = self.0.lock().await;
        app.fixture.server.execute(&format!("DROP SCHEMA IF EXISTS app CASCADE; {}", tables())).await;
        Ok(())
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, TargetError> {
        Ok(Box::new(self.0.lock().await.sink()))
    }

    async fn held(&self) -> Result<Held, TargetError> {
        let app = self.0.lock().await;
        let mut held = Held::default();
        let people = "SELECT directory_id, enabled, to_json(array[login, mail::text, name]), \
            (SELECT coalesce(json_agg(t.directory_id), '[]') FROM app.team_people m JOIN app.teams t ON t.id = team_id \
                WHERE person_id = people.id), \
            (SELECT coalesce(json_agg(role), '[]') FROM app.person_roles WHERE person_id = people.id) \
            FROM app.people WHERE directory_id IS NOT NULL";
        for row in app.fixture.server.query(people).await {
            let [id, active, attributes, groups, roles] = &row[..] else { return Err("five columns".into()) };
            let json = |text: &Option<String>| serde_json::from_str::<Value>(text.as_deref().unwrap());
            let texts = |value: Value| -> Vec<String> { serde_json::from_value(value).unwrap() };
            let names = [Attribute::UserName, Attribute::Email, Attribute::DisplayName];
            let values: Vec<Option<String>> = serde_json::from_value(json(attributes)?)?;
            let user = HeldUser {
                active: active.as_deref() == Some("t"),
                groups: texts(json(groups)?).into_iter().map(GroupId::new).collect(),
                roles: texts(json(roles)?).into_iter().map(RoleName::new).collect(),
                attributes: names
                    .into_iter()
                    .zip(values)
                    .filter_map(|(name, value)| Some((name, value?)))
                    .collect(),
            };
            held.users.insert(UserId::new(id.clone().unwrap()), user);
        }
        for row in app.fixture.server.query("SELECT directory_id, title FROM app.teams").await {
            let [Some(id), Some(name)] = &row[..] else { continue };
            held.groups.insert(GroupId::new(id), HeldGroup { name: name.clone() });
        }
        Ok(held)
    }

    async fn seed_unmanaged(&self, twin: &User) -> Result<(), TargetError> {
        let login = twin.profile.user_name.clone().unwrap_or_default().replace('\'', "''");
        let sql = format!(
            "INSERT INTO app.people (login, enabled) VALUES ('{login}', true); \
             INSERT INTO app.person_roles SELECT id, 'own' FROM app.people"
        );
        self.0.lock().await.fixture.server.execute(&sql).await;
        Ok(())
    }

    async fn unmanaged(&self) -> Result<Option<String>, TargetError> {
        let sql = "SELECT json_agg(p), json_agg(r) FROM app.people p JOIN app.person_roles r ON person_id = p.id \
                   WHERE directory_id IS NULL";
        let rows = self.0.lock().await.fixture.server.query(sql).await;
        Ok(rows[0][0].is_some().then(|| format!("{rows:?}")))
    }

    async fn stop(&self) -> Result<bool, TargetError> {
        self.0.lock().await.fixture.server.stop().await;
        Ok(true)
    }

    async fn start(&self) -> Result<(), TargetError> {
        self.0.lock().await.fixture.server.restart().await;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_tables_keep_every_promise_by_a_role_with_just_the_grants_they_need() {
    let report = run(&Conformance(Mutex::new(Application::start().await))).await;
    assert!(report.passed(), "{report}");
}
