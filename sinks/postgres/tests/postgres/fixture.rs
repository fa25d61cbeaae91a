//! A server, sinks on it, and changes for them.

use rolecall_sink_api::conformance::people::user;
use rolecall_sink_api::{Action, Change, Group, GroupId, Outcome, RoleName, Sink, User};
use rolecall_sink_postgres::{Config, PostgresSink};
use rolecall_testkit::Postgres;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server of the test's own.
pub(crate) struct Fixture {
    pub(crate) server: Postgres,
    files: TempDir,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        Self::on(Postgres::start().await)
    }

    pub(crate) fn on(server: Postgres) -> Self {
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("password"), server.password()).unwrap();
        Self { server, files }
    }

    /// The configuration that works, with `changes` on top.
    pub(crate) fn config(&self, changes: Value) -> Config {
        let mut config = json!({
            "url": format!("postgresql://{}@127.0.0.1:{}/postgres", self.server.user(), self.server.port()),
            "password": {"file": self.files.path().join("password")},
            "tls": {"ca": self.server.ca_path()},
        });
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        serde_json::from_value(config).unwrap()
    }

    /// A file of the test's own with this content.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.files.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn sink(&self) -> PostgresSink {
        self.sink_with(json!({}))
    }

    pub(crate) fn sink_with(&self, changes: Value) -> PostgresSink {
        PostgresSink::new("app", self.config(changes)).unwrap()
    }

    /// The only value of a query.
    pub(crate) async fn value(&self, sql: &str) -> String {
        let rows = self.server.query(sql).await;
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows[0][0].clone().unwrap_or_else(|| "NULL".into())
    }

    /// The first column of a query.
    pub(crate) async fn column(&self, sql: &str) -> Vec<String> {
        let rows = self.server.query(sql).await;
        rows.into_iter().map(|row| row[0].clone().unwrap_or_else(|| "NULL".into())).collect()
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
pub(crate) async fn apply(sink: &PostgresSink, changes: &[Change]) -> Vec<Action> {
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

/// The reason of a retry.
pub(crate) fn retried(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Retry { reason, .. } => reason,
        other => panic!("not to be retried: {other:?}"),
    }
}

/// The text of a fenced block in the sink's README, the n-th of those that are marked so.
pub(crate) fn readme(mark: &str, n: usize) -> String {
    let blocks = include_str!("../../README.md").split("\n```").skip(1).step_by(2);
    let marked = blocks.filter_map(|block| block.strip_prefix(mark)?.strip_prefix('\n'));
    marked.map(str::to_owned).nth(n).unwrap_or_else(|| panic!("the README has no block {mark} {n}"))
}
