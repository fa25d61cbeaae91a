//! A directory for a file, sinks on it, and changes for them.

use std::path::PathBuf;

use rolecall_sink_api::conformance::people::user;
use rolecall_sink_api::{Action, Change, Group, GroupId, Outcome, RoleName, Sink, User};
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
    let mut user = user(id);
    user.groups = groups.iter().map(|id| (GroupId::new(*id), format!("the {id}"))).collect();
    user.roles = roles.iter().map(|role| RoleName::new(*role)).collect();
    user
}

/// A group that no organization is known of.
pub(crate) fn group(id: &str, name: &str) -> Group {
    Group { id: GroupId::new(id), organization: None, name: name.into(), external_id: None }
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
