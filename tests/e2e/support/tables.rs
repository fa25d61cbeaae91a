//! A schema in a PostgreSQL server.

use std::collections::BTreeSet;
use std::sync::Arc;

use rolecall_testkit::Postgres;
use tokio::sync::RwLock;

use super::servers::{People, Standing};
use super::site::Site;

/// The tables of one schema.
pub(crate) struct Tables {
    postgres: Arc<RwLock<Postgres>>,
    schema: String,
}

impl Tables {
    /// The schema of this name, which the sink makes.
    pub(crate) fn new(postgres: Arc<RwLock<Postgres>>, schema: &str) -> Self {
        Self { postgres, schema: schema.to_owned() }
    }

    /// The sink's section: TLS, verified.
    pub(crate) async fn section(&self, site: &Site) -> String {
        let postgres = self.postgres.read().await;
        let ca = postgres.ca_path();
        let password = site.file("postgres-password", postgres.password());
        format!(
            "type: postgres\nurl: postgresql://{user}@127.0.0.1:{port}/postgres\npassword: {{file: {password}}}\n\
             tls: {{ca: {ca}}}\nschema: {schema}\n",
            user = postgres.user(),
            port = postgres.port(),
            password = password.display(),
            ca = ca.display(),
            schema = self.schema,
        )
    }

    /// The rows of a query that finds this schema's tables; NULL is none.
    pub(crate) async fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let sql = sql.replace("rolecall.", &format!("\"{}\".", self.schema));
        self.postgres.read().await.query(&sql).await
    }

    /// Everybody in the tables who is not gone; nobody while there are no tables.
    pub(crate) async fn people(&self) -> People {
        let rows = self
            .query(
                "SELECT u.user_name, u.active, u.title,
                     (SELECT json_agg(g.name) FROM rolecall.group_members m
                      JOIN rolecall.groups g ON g.id = m.group_id AND g.deleted_at IS NULL WHERE m.user_id = u.id),
                     (SELECT json_agg(r.role) FROM rolecall.user_roles r WHERE r.user_id = u.id)
                 FROM rolecall.users u WHERE u.deleted_at IS NULL",
            )
            .await;
        let list = |json: &Option<String>| -> BTreeSet<String> {
            json.as_deref().map(|json| serde_json::from_str(json).unwrap()).unwrap_or_default()
        };
        rows.into_iter()
            .map(|row| {
                let [name, active, title, groups, roles] = row.as_slice() else { panic!("{row:?}") };
                let standing = Standing {
                    active: active.as_deref() == Some("t"),
                    title: title.clone(),
                    groups: list(groups),
                    roles: list(roles),
                };
                (name.clone().expect("everybody has a name"), standing)
            })
            .collect()
    }

    /// The names of the groups that are not gone.
    pub(crate) async fn groups(&self) -> BTreeSet<String> {
        let rows = self.query("SELECT name FROM rolecall.groups WHERE deleted_at IS NULL").await;
        rows.into_iter().flatten().flatten().collect()
    }
}
