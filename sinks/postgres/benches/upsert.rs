//! How fast users with memberships and roles are upserted, against the fastest way PostgreSQL has for it:
//! `COPY` into staging tables and `INSERT … ON CONFLICT` from there. Same rows, same server, same run.
//!
//! `cargo bench -p rolecall-sink-postgres`
#![allow(clippy::unwrap_used, reason = "in a benchmark a panic is the report")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::SinkExt as _;
use rolecall_sink_api::{
    Change, Document, Group, GroupId, OrganizationId, Outcome, Profile, RoleName, Sink as _, User, UserId,
};
use rolecall_sink_postgres::PostgresSink;
use rolecall_testkit::Postgres;
use serde_json::json;
use tokio_postgres::{Client, NoTls};

const USERS: usize = 20_000;
const GROUPS: usize = 200;
const GROUPS_PER_USER: usize = 5;
const ROLES: usize = 20;
const ROLES_PER_USER: usize = 2;
const BATCH: usize = 500;

#[tokio::main]
async fn main() {
    let server = Postgres::options().setting("shared_buffers", "128MB").start().await;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{USERS} users, each in {GROUPS_PER_USER} groups with {ROLES_PER_USER} roles").unwrap();
    let files = tempfile::tempdir().unwrap();
    let password = files.path().join("password");
    std::fs::write(&password, server.password()).unwrap();
    let ours = sink(&server, &password, "ours");
    sink(&server, &password, "baseline").probe().await.unwrap();
    let baseline = Baseline::new(&server).await;
    let groups: Vec<Change> = (0..GROUPS).map(|n| change(Document::Group(group(n)), 1)).collect();
    deliver(&ours, &groups).await;
    for (generation, what) in [(1, "insert"), (2, "update"), (3, "update again")] {
        let users: Vec<User> = (0..USERS).map(|n| user(n, generation)).collect();
        let direct = baseline.load(&users).await;
        let changes: Vec<Change> =
            users.into_iter().map(|user| change(Document::User(Box::new(user)), generation)).collect();
        let started = Instant::now();
        for batch in changes.chunks(BATCH) {
            deliver(&ours, batch).await;
        }
        report(&mut out, what, started.elapsed(), direct);
    }
}

fn report(out: &mut impl std::io::Write, what: &str, sink: Duration, copy: Duration) {
    let rate = |took: Duration| USERS as f64 / took.as_secs_f64();
    let (sink, copy) = (rate(sink), rate(copy));
    writeln!(out, "{what}: sink {sink:.0} users/s, COPY {copy:.0} users/s, ratio {:.2}", sink / copy)
        .unwrap();
}

async fn deliver(sink: &PostgresSink, batch: &[Change]) {
    let outcomes = sink.apply(batch).await.unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Applied { .. })), "all go through");
}

fn sink(server: &Postgres, password: &Path, schema: &str) -> PostgresSink {
    let config = json!({
        "url": format!("postgresql://{}@127.0.0.1:{}/postgres?sslmode=disable", server.user(), server.port()),
        "password": {"file": password},
        "schema": schema,
    });
    PostgresSink::new("bench", serde_json::from_value(config).unwrap()).unwrap()
}

/// COPY into staging tables, and one INSERT for each table from there, in the schema `baseline` with the same
/// tables.
struct Baseline(Client);

impl Baseline {
    async fn new(server: &Postgres) -> Self {
        let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let mut groups = String::new();
        for n in 0..GROUPS {
            write!(groups, "INSERT INTO groups (id, name, generation) VALUES ('g{n}', 'Group {n}', 1);")
                .unwrap();
        }
        for n in 0..ROLES {
            write!(groups, "INSERT INTO roles (name) VALUES ('role{n}');").unwrap();
        }
        client.batch_execute(&format!("SET search_path = baseline; {groups}")).await.unwrap();
        Self(client)
    }

    async fn load(&self, users: &[User]) -> Duration {
        let (mut rows, mut members, mut roles) = (String::new(), String::new(), String::new());
        for user in users {
            let profile = &user.profile;
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "\\N".into());
            writeln!(
                rows,
                "{}\torg_1\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{{}}\tt\t1",
                user.id,
                text(&profile.external_id),
                text(&profile.user_name),
                text(&profile.email),
                text(&profile.display_name),
                text(&profile.given_name),
                text(&profile.family_name),
                text(&profile.title)
            )
            .unwrap();
            user.groups.keys().for_each(|group| writeln!(members, "{group}\t{}\t1", user.id).unwrap());
            user.roles.iter().for_each(|role| writeln!(roles, "{}\t{role}\t1", user.id).unwrap());
        }
        let started = Instant::now();
        self.0
            .batch_execute(
                "BEGIN; \
                 CREATE TEMP TABLE staged_users (LIKE users) ON COMMIT DROP; \
                 CREATE TEMP TABLE staged_members (LIKE group_members) ON COMMIT DROP; \
                 CREATE TEMP TABLE staged_roles (LIKE user_roles) ON COMMIT DROP; \
                 ALTER TABLE staged_users ALTER created_at DROP NOT NULL, ALTER updated_at DROP NOT NULL; \
                 ALTER TABLE staged_members ALTER added_at DROP NOT NULL; \
                 ALTER TABLE staged_roles ALTER granted_at DROP NOT NULL",
            )
            .await
            .unwrap();
        let columns = "id, organization_id, external_id, user_name, email, display_name, given_name, \
                       family_name, title, custom, active, generation";
        self.copy(&format!("staged_users ({columns})"), rows).await;
        self.copy("staged_members (group_id, user_id, generation)", members).await;
        self.copy("staged_roles (user_id, role, generation)", roles).await;
        let assignments: Vec<String> =
            columns.split(", ").skip(1).map(|column| format!("{column} = excluded.{column}")).collect();
        self.0
            .batch_execute(&format!(
                "INSERT INTO users ({columns}) SELECT {columns} FROM staged_users \
                    ON CONFLICT (id) DO UPDATE SET {}, updated_at = now(); \
                 DELETE FROM group_members m WHERE NOT EXISTS (SELECT FROM staged_members s \
                    WHERE s.group_id = m.group_id AND s.user_id = m.user_id); \
                 INSERT INTO group_members (group_id, user_id, generation) \
                    SELECT group_id, user_id, generation FROM staged_members ON CONFLICT DO NOTHING; \
                 DELETE FROM user_roles r WHERE NOT EXISTS (SELECT FROM staged_roles s \
                    WHERE s.user_id = r.user_id AND s.role = r.role); \
                 INSERT INTO user_roles (user_id, role, generation) \
                    SELECT user_id, role, generation FROM staged_roles ON CONFLICT DO NOTHING; \
                 COMMIT",
                assignments.join(", ")
            ))
            .await
            .unwrap();
        started.elapsed()
    }

    async fn copy(&self, target: &str, rows: String) {
        let copying =
            self.0.copy_in::<_, std::io::Cursor<Vec<u8>>>(&format!("COPY {target} FROM STDIN")).await;
        let mut copying = Box::pin(copying.unwrap());
        copying.send(std::io::Cursor::new(rows.into_bytes())).await.unwrap();
        copying.as_mut().finish().await.unwrap();
    }
}

fn group(n: usize) -> Group {
    Group {
        id: GroupId::new(format!("g{n}")),
        organization: None,
        name: format!("Group {n}"),
        external_id: None,
    }
}

/// A user of whom a later generation has another title, one other group and one other role.
fn user(n: usize, generation: u64) -> User {
    let shift = usize::try_from(generation).unwrap();
    let groups = (0..GROUPS_PER_USER).map(|k| (n * 7 + k * 31 + if k == 0 { shift } else { 0 }) % GROUPS);
    let roles = (0..ROLES_PER_USER).map(|k| (n + k * 7 + if k == 0 { shift } else { 0 }) % ROLES);
    User {
        id: UserId::new(format!("diruser_{n:012}")),
        organization: Some(OrganizationId::new("org_1")),
        active: true,
        profile: Profile {
            external_id: Some(format!("00u{n}")),
            user_name: Some(format!("user{n}@example.com")),
            email: Some(format!("user{n}@example.com")),
            display_name: Some(format!("User Number {n}")),
            given_name: Some("User".into()),
            family_name: Some(format!("Number {n}")),
            title: Some(format!("Engineer {generation}")),
            ..Profile::default()
        },
        groups: groups.map(|n| (GroupId::new(format!("g{n}")), format!("Group {n}"))).collect(),
        roles: roles.map(|n| RoleName::new(format!("role{n}"))).collect(),
    }
}

fn change(document: Document, generation: u64) -> Change {
    let entity = document.entity();
    Change {
        idempotency_key: format!("bench/{entity}/{generation}"),
        entity,
        desired: Some(document),
        applied: None,
        attempted: None,
        remote: None,
        generation,
        attempt: 1,
    }
}
