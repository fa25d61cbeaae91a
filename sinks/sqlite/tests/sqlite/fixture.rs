//! A directory for a file, sinks on it, and changes for them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rolecall_sink_api::{
    Action, Change, Document, Entity, Group, GroupId, OrganizationId, Outcome, Profile, RoleName, Sink, User,
    UserId,
};
use rolecall_sink_sqlite::{Config, SqliteSink};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) struct Fixture {
    directory: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("data").join("app.db")
    }

    /// The configuration that works, with `changes` on top.
    pub(crate) fn config(&self, changes: Value) -> Config {
        std::fs::create_dir_all(self.path().parent().unwrap()).unwrap();
        let mut config = json!({"path": self.path()});
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        serde_json::from_value(config).unwrap()
    }

    pub(crate) fn sink(&self) -> SqliteSink {
        self.sink_with(json!({}))
    }

    pub(crate) fn sink_with(&self, changes: Value) -> SqliteSink {
        SqliteSink::new("app", self.config(changes)).unwrap()
    }

    /// Somebody else's connection.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    /// The first column of a query, as text.
    pub(crate) fn column(&self, sql: &str) -> Vec<String> {
        let connection = self.connect();
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| {
            row.get::<_, rusqlite::types::Value>(0).map(|value| match value {
                rusqlite::types::Value::Text(text) => text,
                other => format!("{other:?}"),
            })
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }
}

/// An active user in these groups (each named "the …") and with these roles.
pub(crate) fn member(id: &str, groups: &[&str], roles: &[&str]) -> User {
    User {
        id: UserId::new(id),
        organization: Some(OrganizationId::new("org_1")),
        active: true,
        profile: Profile {
            user_name: Some(id.into()),
            email: Some(format!("{id}@example.com")),
            display_name: Some(format!("{id} Example")),
            ..Profile::default()
        },
        groups: groups.iter().map(|id| (GroupId::new(*id), format!("the {id}"))).collect::<BTreeMap<_, _>>(),
        roles: roles.iter().map(|role| RoleName::new(*role)).collect::<BTreeSet<_>>(),
    }
}

pub(crate) fn group(id: &str, name: &str) -> Group {
    Group { id: GroupId::new(id), organization: None, name: name.into(), external_id: None }
}

pub(crate) fn put_user(user: User, generation: u64) -> Change {
    let document = Document::User(Box::new(user));
    change(document.entity(), Some(document), generation)
}

pub(crate) fn put_group(group: Group, generation: u64) -> Change {
    let document = Document::Group(group);
    change(document.entity(), Some(document), generation)
}

pub(crate) fn remove_user(id: &str, generation: u64) -> Change {
    change(Entity::User(UserId::new(id)), None, generation)
}

pub(crate) fn remove_group(id: &str, generation: u64) -> Change {
    change(Entity::Group(GroupId::new(id)), None, generation)
}

fn change(entity: Entity, desired: Option<Document>, generation: u64) -> Change {
    Change {
        idempotency_key: format!("app/{entity}/{generation}"),
        entity,
        desired,
        applied: None,
        attempted: None,
        remote: None,
        generation,
        attempt: 1,
    }
}

/// Applies changes that must all go through, and says what was done.
pub(crate) async fn apply(sink: &SqliteSink, changes: &[Change]) -> Vec<Action> {
    let outcomes = sink.apply(changes).await.unwrap();
    let done = outcomes.into_iter().map(|outcome| match outcome {
        Outcome::Applied { action, .. } => action,
        other => panic!("{other:?}"),
    });
    done.collect()
}

/// The reason of a rejection.
pub(crate) fn rejected(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Reject { reason } => reason,
        other => panic!("not rejected: {other:?}"),
    }
}
