//! The suite that every sink passes.

use async_trait::async_trait;
use rolecall_sink_api::conformance::{
    Attribute, Capabilities, Held, HeldGroup, HeldUser, Target, TargetError, run,
};
use rolecall_sink_api::{GroupId, RoleName, Sink, User, UserId};
use serde_json::json;
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls};

use crate::fixture::Fixture;

struct Tables {
    fixture: Mutex<Fixture>,
    /// A session that looks into the tables.
    reader: Mutex<Option<Client>>,
}

const USERS: &str = "SELECT id, active, \
        ARRAY(SELECT group_id FROM rolecall.group_members WHERE user_id = id), \
        ARRAY(SELECT role FROM rolecall.user_roles WHERE user_id = id), \
        ARRAY[user_name, email, display_name] \
     FROM rolecall.users WHERE generation IS NOT NULL AND deleted_at IS NULL";

const GROUPS: &str = "SELECT id, name FROM rolecall.groups WHERE generation > 0 AND deleted_at IS NULL";

const UNMANAGED: &str = "SELECT (SELECT json_agg(u)::text FROM rolecall.users u WHERE generation IS NULL), \
     (SELECT json_agg(g)::text FROM rolecall.groups g WHERE generation IS NULL), \
     (SELECT json_agg(m)::text FROM rolecall.group_members m WHERE generation IS NULL), \
     (SELECT json_agg(r)::text FROM rolecall.user_roles r WHERE generation IS NULL)";

#[async_trait]
impl Target for Tables {
    fn capabilities(&self) -> Capabilities {
        Capabilities { large_batch: 10_000, ..Capabilities::default() }
    }

    async fn empty(&self) -> Result<(), TargetError> {
        let fixture = self.fixture.lock().await;
        fixture.server.execute("DROP SCHEMA IF EXISTS rolecall CASCADE").await;
        // Makes the tables, for those who look into them before the first delivery.
        fixture.sink().probe().await?;
        Ok(())
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, TargetError> {
        Ok(Box::new(self.fixture.lock().await.sink_with(json!({"connect_timeout": "2s"}))))
    }

    async fn held(&self) -> Result<Held, TargetError> {
        let mut reader = self.reader.lock().await;
        let client = match reader.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => {
                let url = self.fixture.lock().await.server.url();
                let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
                tokio::spawn(connection);
                client
            }
        };
        let mut held = Held::default();
        for row in client.query(USERS, &[]).await? {
            let attributes = [Attribute::UserName, Attribute::Email, Attribute::DisplayName];
            let attributes = attributes.into_iter().zip(row.get::<_, Vec<Option<String>>>(4));
            let user = HeldUser {
                active: row.get(1),
                groups: row.get::<_, Vec<String>>(2).into_iter().map(GroupId::new).collect(),
                roles: row.get::<_, Vec<String>>(3).into_iter().map(RoleName::new).collect(),
                attributes: attributes.filter_map(|(name, value)| Some((name, value?))).collect(),
            };
            held.users.insert(UserId::new(row.get::<_, String>(0)), user);
        }
        for row in client.query(GROUPS, &[]).await? {
            held.groups.insert(GroupId::new(row.get::<_, String>(0)), HeldGroup { name: row.get(1) });
        }
        *reader = Some(client);
        Ok(held)
    }

    async fn seed_unmanaged(&self, twin: &User) -> Result<(), TargetError> {
        let quoted = |text: &Option<String>| text.clone().unwrap_or_default().replace('\'', "''");
        let sql = format!(
            "INSERT INTO rolecall.users (id, active, user_name, email) VALUES ('own-1', true, '{}', '{}'), \
             ('own-2', false, 'other', NULL); \
             INSERT INTO rolecall.groups (id, name) VALUES ('own-group', 'Admins'); \
             INSERT INTO rolecall.group_members (group_id, user_id) VALUES ('own-group', 'own-1'); \
             INSERT INTO rolecall.roles (name) VALUES ('own-role'); \
             INSERT INTO rolecall.user_roles (user_id, role) VALUES ('own-1', 'own-role');",
            quoted(&twin.profile.user_name),
            quoted(&twin.profile.email)
        );
        self.fixture.lock().await.server.execute(&sql).await;
        Ok(())
    }

    async fn unmanaged(&self) -> Result<Option<String>, TargetError> {
        let rows = self.fixture.lock().await.server.query(UNMANAGED).await;
        Ok(rows[0][0].is_some().then(|| format!("{rows:?}")))
    }

    /// No text in PostgreSQL holds a NUL.
    fn refused(&self, mut user: User) -> Option<User> {
        user.profile.title = Some("nul\0inside".into());
        Some(user)
    }

    async fn stop(&self) -> Result<bool, TargetError> {
        self.fixture.lock().await.server.stop().await;
        Ok(true)
    }

    async fn start(&self) -> Result<(), TargetError> {
        self.fixture.lock().await.server.restart().await;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_keeps_every_promise() {
    let tables = Tables { fixture: Mutex::new(Fixture::start().await), reader: Mutex::default() };
    let report = run(&tables).await;
    assert!(report.passed(), "{report}");
}
