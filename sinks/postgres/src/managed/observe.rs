//! Reading back what the tables hold.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rolecall_sink_api::{
    GroupId, Observed, ObservedGroup, ObservedStream, ObservedUser, RemoteId, RoleName, SinkDown, UserId,
};
use tokio_postgres::Row;

use super::migrate::{refuse_newer, version};
use crate::PostgresSink;
use crate::connect::Connection;

/// Rows a page: each page is a statement of its own, so that no transaction stays open while the daemon
/// compares.
const PAGE: i64 = 1000;

const USERS: &str = "SELECT id, active, \
        ARRAY(SELECT group_id FROM group_members WHERE user_id = users.id AND generation IS NOT NULL), \
        ARRAY(SELECT role FROM user_roles WHERE user_id = users.id AND generation IS NOT NULL) \
     FROM users WHERE deleted_at IS NULL AND generation > 0 AND id > $1 ORDER BY id LIMIT $2";

const GROUPS: &str = "SELECT id, name FROM groups \
     WHERE deleted_at IS NULL AND generation > 0 AND id > $1 ORDER BY id LIMIT $2";

#[derive(Clone, Copy)]
enum Table {
    Users,
    Groups,
}

/// Where reading stands: the table, and the last id read from it.
struct Cursor {
    /// Opened with the first page.
    connection: Option<Connection>,
    table: Table,
    after: String,
}

impl PostgresSink {
    /// The sink's rows, on a connection of its own: not those that are marked as deleted, nor groups that are
    /// known from a member's data only.
    pub(crate) fn read(&self) -> ObservedStream<'_> {
        let start = Cursor { connection: None, table: Table::Users, after: String::new() };
        stream::try_unfold(Some(start), |cursor| self.page(cursor))
            .map_ok(|page| stream::iter(page).map(Ok))
            .try_flatten()
            .boxed()
    }

    /// A connection to read on; `None` where there are no tables of the sink's yet.
    async fn connect_to_read(&self) -> Result<Option<Connection>, SinkDown> {
        let connection = self.connector.connect().await?;
        let found = self.bounded("reading the schema version of", version(&connection.client)).await?;
        refuse_newer(&self.connector, found)?;
        Ok(found.filter(|version| *version > 0).map(|_| connection))
    }

    async fn page(
        &self,
        cursor: Option<Cursor>,
    ) -> Result<Option<(Vec<Observed>, Option<Cursor>)>, SinkDown> {
        let Some(Cursor { connection, table, after }) = cursor else { return Ok(None) };
        let connection = match connection {
            Some(connection) => connection,
            None => match self.connect_to_read().await? {
                Some(connection) => connection,
                // No tables: nothing that the sink made.
                None => return Ok(None),
            },
        };
        let (sql, observed): (&str, fn(&Row) -> Observed) = match table {
            Table::Users => (USERS, user),
            Table::Groups => (GROUPS, group),
        };
        let rows = self
            .bounded("reading from", async { connection.client.query(sql, &[&after, &PAGE]).await })
            .await?;
        let full = i64::try_from(rows.len()).is_ok_and(|read| read == PAGE);
        let next = match (rows.last().filter(|_| full), table) {
            (Some(last), table) => Some((table, last.get(0))),
            (None, Table::Users) => Some((Table::Groups, String::new())),
            (None, Table::Groups) => None,
        };
        let next = next.map(|(table, after)| Cursor { connection: Some(connection), table, after });
        Ok(Some((rows.iter().map(observed).collect(), next)))
    }
}

fn user(row: &Row) -> Observed {
    let id: String = row.get(0);
    Observed::User(ObservedUser {
        remote: RemoteId::new(id.as_str()),
        id: Some(UserId::new(id)),
        active: row.get(1),
        groups: row.get::<_, Vec<String>>(2).into_iter().map(RemoteId::new).collect(),
        roles: row.get::<_, Vec<String>>(3).into_iter().map(RoleName::new).collect(),
    })
}

fn group(row: &Row) -> Observed {
    let id: String = row.get(0);
    Observed::Group(ObservedGroup {
        remote: RemoteId::new(id.as_str()),
        id: Some(GroupId::new(id)),
        name: row.get::<_, Option<String>>(1).unwrap_or_default(),
    })
}
