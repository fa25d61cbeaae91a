//! Reading back what the tables hold.

use rolecall_sink_api::{GroupId, Observed, ObservedGroup, ObservedUser, RemoteId, RoleName, UserId};
use rusqlite::{Connection, Error, params};

/// Rows a page: each page is a read of its own, so that no snapshot is held while the daemon compares.
const PAGE: usize = 1000;

/// Where reading stands: the table, and the last id read from it.
#[derive(Clone)]
pub(crate) enum Cursor {
    Users(String),
    Groups(String),
}

impl Cursor {
    /// Before the first row.
    pub(crate) fn start() -> Self {
        Cursor::Users(String::new())
    }

    /// The rows after this place, and the place after them.
    pub(crate) fn page(self, connection: &mut Connection) -> Result<(Vec<Observed>, Option<Self>), Error> {
        // One snapshot for a user and what hangs on them.
        let transaction = connection.transaction()?;
        let (page, last) = match &self {
            Cursor::Users(after) => users(&transaction, after)?,
            Cursor::Groups(after) => groups(&transaction, after)?,
        };
        let next = match (last.filter(|_| page.len() == PAGE), self) {
            (Some(last), Cursor::Users(_)) => Some(Cursor::Users(last)),
            (Some(last), Cursor::Groups(_)) => Some(Cursor::Groups(last)),
            (None, Cursor::Users(_)) => Some(Cursor::Groups(String::new())),
            (None, Cursor::Groups(_)) => None,
        };
        Ok((page, next))
    }
}

type Page = (Vec<Observed>, Option<String>);

fn users(connection: &Connection, after: &str) -> Result<Page, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT id, active FROM users WHERE deleted_at IS NULL AND generation > 0 AND id > ?1 \
         ORDER BY id LIMIT ?2",
    )?;
    let rows = statement.query_map(params![after, PAGE as i64], |row| {
        let (id, active): (String, bool) = (row.get(0)?, row.get(1)?);
        let groups = "SELECT group_id FROM group_members WHERE user_id = ?1 AND generation IS NOT NULL";
        let roles = "SELECT role FROM user_roles WHERE user_id = ?1 AND generation IS NOT NULL";
        Ok(ObservedUser {
            remote: RemoteId::new(id.as_str()),
            active,
            groups: list(connection, groups, &id)?.into_iter().map(RemoteId::new).collect(),
            roles: list(connection, roles, &id)?.into_iter().map(RoleName::new).collect(),
            id: Some(UserId::new(id)),
        })
    })?;
    let users = rows.collect::<Result<Vec<_>, _>>()?;
    let last = users.last().map(|user| user.remote.as_str().to_owned());
    Ok((users.into_iter().map(Observed::User).collect(), last))
}

fn groups(connection: &Connection, after: &str) -> Result<Page, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT id, name FROM groups WHERE deleted_at IS NULL AND generation > 0 AND id > ?1 \
         ORDER BY id LIMIT ?2",
    )?;
    let rows = statement.query_map(params![after, PAGE as i64], |row| {
        let (id, name): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        Ok(ObservedGroup {
            remote: RemoteId::new(id.as_str()),
            id: Some(GroupId::new(id)),
            name: name.unwrap_or_default(),
        })
    })?;
    let groups = rows.collect::<Result<Vec<_>, _>>()?;
    let last = groups.last().map(|group| group.remote.as_str().to_owned());
    Ok((groups.into_iter().map(Observed::Group).collect(), last))
}

fn list(connection: &Connection, sql: &str, user: &str) -> Result<Vec<String>, Error> {
    connection.prepare_cached(sql)?.query_map([user], |row| row.get(0))?.collect()
}
