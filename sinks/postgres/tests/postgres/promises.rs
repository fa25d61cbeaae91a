//! The suite that every sink passes.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rolecall_sink_api::conformance::{Attribute, Held, HeldGroup, HeldUser, Target, TargetError, run};
use rolecall_sink_api::{GroupId, RoleName, Sink, User, UserId};
use rolecall_testkit::Postgres;
use serde_json::json;
use tokio::sync::Mutex;

use crate::fixture::Fixture;

struct Tables(Mutex<Fixture>);

const UNMANAGED: &str = "SELECT (SELECT json_agg(u)::text FROM rolecall.users u WHERE generation IS NULL), \
     (SELECT json_agg(g)::text FROM rolecall.groups g WHERE generation IS NULL), \
     (SELECT json_agg(m)::text FROM rolecall.group_members m WHERE generation IS NULL), \
     (SELECT json_agg(r)::text FROM rolecall.user_roles r WHERE generation IS NULL)";

#[async_trait]
impl Target for Tables {
    async fn empty(&self) -> Result<(), TargetError> {
        let fixture = self.0.lock().await;
        fixture.server.execute("DROP SCHEMA IF EXISTS rolecall CASCADE").await;
        // Makes the tables, for those who look into them before the first delivery.
        fixture.sink().probe().await?;
        Ok(())
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, TargetError> {
        Ok(Box::new(self.0.lock().await.sink_with(json!({"connect_timeout": "2s"}))))
    }

    async fn held(&self) -> Result<Held, TargetError> {
        let fixture = self.0.lock().await;
        let lists = |column: &str, table: &str| {
            format!(
                "array_to_string(ARRAY(SELECT {column} FROM rolecall.{table} WHERE user_id = id), chr(1))"
            )
        };
        let users = format!(
            "SELECT id, active, {}, {}, user_name, email, display_name FROM rolecall.users \
             WHERE generation IS NOT NULL AND deleted_at IS NULL",
            lists("group_id", "group_members"),
            lists("role", "user_roles")
        );
        let mut held = Held::default();
        for row in fixture.server.query(&users).await {
            let split = |n: usize| {
                let joined = row[n].clone().unwrap_or_default();
                joined.split('\u{1}').filter(|id| !id.is_empty()).map(str::to_owned).collect::<Vec<_>>()
            };
            let attributes = [Attribute::UserName, Attribute::Email, Attribute::DisplayName];
            let attributes: BTreeMap<_, _> = (4..)
                .zip(attributes)
                .filter_map(|(n, attribute)| Some((attribute, row[n].clone()?)))
                .collect();
            let user = HeldUser {
                active: row[1].as_deref() == Some("t"),
                groups: split(2).into_iter().map(GroupId::new).collect(),
                roles: split(3).into_iter().map(RoleName::new).collect(),
                attributes,
            };
            held.users.insert(UserId::new(row[0].clone().unwrap_or_default()), user);
        }
        let groups = "SELECT id, name FROM rolecall.groups WHERE generation > 0 AND deleted_at IS NULL";
        for row in fixture.server.query(groups).await {
            let name = row[1].clone().unwrap_or_default();
            held.groups.insert(GroupId::new(row[0].clone().unwrap_or_default()), HeldGroup { name });
        }
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
        self.0.lock().await.server.execute(&sql).await;
        Ok(())
    }

    async fn unmanaged(&self) -> Result<Option<String>, TargetError> {
        let rows = self.0.lock().await.server.query(UNMANAGED).await;
        Ok(rows[0][0].is_some().then(|| format!("{rows:?}")))
    }

    async fn stop(&self) -> Result<bool, TargetError> {
        self.0.lock().await.server.stop().await;
        Ok(true)
    }

    async fn start(&self) -> Result<(), TargetError> {
        self.0.lock().await.server.restart().await;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_keeps_every_promise() {
    let tables = Tables(Mutex::new(Fixture::on(Postgres::start().await)));
    let report = run(&tables).await;
    assert!(report.passed(), "{report}");
}
