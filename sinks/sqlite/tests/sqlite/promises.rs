//! The suite that every sink passes.

use async_trait::async_trait;
use rolecall_sink_api::conformance::{
    Attribute, Capabilities, Held, HeldGroup, HeldUser, Target, TargetError, run,
};
use rolecall_sink_api::{GroupId, RoleName, Sink, User, UserId};
use rusqlite::{Connection, OptionalExtension as _};

use crate::fixture::Fixture;

struct Tables(Fixture);

const UNMANAGED: &str = "SELECT \
     (SELECT group_concat(id || active || user_name || ifnull(email, '') || updated_at) FROM users \
        WHERE generation IS NULL) || \
     (SELECT group_concat(id || name || updated_at) FROM groups WHERE generation IS NULL) || \
     (SELECT group_concat(group_id || user_id || added_at) FROM group_members WHERE generation IS NULL) || \
     (SELECT group_concat(user_id || role || granted_at) FROM user_roles WHERE generation IS NULL)";

fn list(connection: &Connection, sql: &str, id: &str) -> Result<Vec<String>, rusqlite::Error> {
    connection.prepare(sql)?.query_map([id], |row| row.get(0))?.collect()
}

#[async_trait]
impl Target for Tables {
    fn capabilities(&self) -> Capabilities {
        Capabilities { large_batch: 10_000, ..Capabilities::default() }
    }

    async fn empty(&self) -> Result<(), TargetError> {
        let directory = self.0.path().parent().unwrap().to_owned();
        if directory.exists() {
            std::fs::remove_dir_all(directory)?;
        }
        // Makes the tables, for those who look into them before the first delivery.
        self.0.sink().probe().await?;
        Ok(())
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, TargetError> {
        Ok(Box::new(self.0.sink()))
    }

    async fn held(&self) -> Result<Held, TargetError> {
        let connection = self.0.connect();
        let mut held = Held::default();
        let mut users = connection.prepare(
            "SELECT id, active, user_name, email, display_name FROM users \
             WHERE generation IS NOT NULL AND deleted_at IS NULL",
        )?;
        let mut rows = users.query([])?;
        while let Some(row) = rows.next()? {
            let id: String = row.get(0)?;
            let mut user = HeldUser { active: row.get(1)?, ..HeldUser::default() };
            let groups = list(&connection, "SELECT group_id FROM group_members WHERE user_id = ?1", &id)?;
            user.groups = groups.into_iter().map(GroupId::new).collect();
            let roles = list(&connection, "SELECT role FROM user_roles WHERE user_id = ?1", &id)?;
            user.roles = roles.into_iter().map(RoleName::new).collect();
            for (n, attribute) in
                [(2, Attribute::UserName), (3, Attribute::Email), (4, Attribute::DisplayName)]
            {
                if let Some(value) = row.get(n)? {
                    user.attributes.insert(attribute, value);
                }
            }
            held.users.insert(UserId::new(id), user);
        }
        let mut groups =
            connection.prepare("SELECT id, name FROM groups WHERE generation > 0 AND deleted_at IS NULL")?;
        let mut rows = groups.query([])?;
        while let Some(row) = rows.next()? {
            held.groups.insert(GroupId::new(row.get::<_, String>(0)?), HeldGroup { name: row.get(1)? });
        }
        Ok(held)
    }

    async fn seed_unmanaged(&self, twin: &User) -> Result<(), TargetError> {
        let connection = self.0.connect();
        connection.execute(
            "INSERT INTO users (id, active, user_name, email) VALUES ('own-1', 1, ?1, ?2), \
             ('own-2', 0, 'x', NULL)",
            (&twin.profile.user_name, &twin.profile.email),
        )?;
        connection.execute_batch(
            "INSERT INTO groups (id, name) VALUES ('own-group', 'Admins'); \
             INSERT INTO group_members (group_id, user_id) VALUES ('own-group', 'own-1'); \
             INSERT INTO roles (name) VALUES ('own-role'); \
             INSERT INTO user_roles (user_id, role) VALUES ('own-1', 'own-role');",
        )?;
        Ok(())
    }

    async fn unmanaged(&self) -> Result<Option<String>, TargetError> {
        let found = self.0.connect().query_row(UNMANAGED, [], |row| row.get(0)).optional()?;
        Ok(found.flatten())
    }

    async fn stop(&self) -> Result<bool, TargetError> {
        // As when the disk is not mounted.
        let directory = self.0.path().parent().unwrap().to_owned();
        std::fs::rename(&directory, directory.with_extension("away"))?;
        Ok(true)
    }

    async fn start(&self) -> Result<(), TargetError> {
        let directory = self.0.path().parent().unwrap().to_owned();
        std::fs::rename(directory.with_extension("away"), &directory)?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_keeps_every_promise() {
    let report = run(&Tables(Fixture::new())).await;
    assert!(report.passed(), "{report}");
}
