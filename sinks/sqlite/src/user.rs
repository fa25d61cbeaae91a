//! Users, their memberships and their roles.

use std::collections::BTreeSet;

use rolecall_sink_api::{Action, User};
use rusqlite::types::Value;
use rusqlite::{Connection, Error, OptionalExtension as _, params, params_from_iter};

use crate::columns::{names, values};
use crate::write::{Difference, Held, Refused};

/// The time now, as the tables hold it.
pub(crate) const NOW: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

/// Makes the row, its memberships and its roles as the document says.
pub(crate) fn put(
    connection: &Connection,
    user: &User,
    generation: i64,
) -> Result<Result<Action, Refused>, Error> {
    let row = values(user).map_err(|e| Error::ToSqlConversionFailure(e.into()))?;
    let held = match find(connection, user.id.as_str(), &row, generation)? {
        Err(refused) => return Ok(Err(refused)),
        Ok(held) => held,
    };
    write(connection, user.id.as_str(), row, generation, held.as_ref())?;
    let groups = settle_groups(connection, user, generation)?;
    let roles = settle_roles(connection, user, generation)?;
    Ok(Ok(match held {
        None => Action::Created,
        Some(held) if user.active && !held.active => Action::Reactivated,
        Some(held) if !user.active && held.active => Action::Deactivated,
        Some(held) if held.differs || groups || roles => Action::Updated,
        Some(_) => Action::Unchanged,
    }))
}

/// Marks the row as deleted, and takes memberships and roles away. A user that was never here gets a row too,
/// so that a write from before the removal finds something newer.
pub(crate) fn remove(
    connection: &Connection,
    id: &str,
    generation: i64,
) -> Result<Result<Action, Refused>, Error> {
    let held = connection
        .prepare_cached("SELECT generation, deleted_at IS NOT NULL FROM users WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get::<_, bool>(1)?)))
        .optional()?;
    let Some((found, deleted)) = held else {
        let sql = format!("INSERT INTO users (id, active, deleted_at, generation) VALUES (?1, 0, {NOW}, ?2)");
        connection.prepare_cached(&sql)?.execute(params![id, generation])?;
        return Ok(Ok(Action::Unchanged));
    };
    if let Err(refused) = Refused::unless_ours(found, generation) {
        return Ok(Err(refused));
    }
    if !deleted {
        let sql =
            format!("UPDATE users SET active = 0, deleted_at = {NOW}, updated_at = {NOW} WHERE id = ?1");
        connection.prepare_cached(&sql)?.execute([id])?;
    }
    connection
        .prepare_cached("UPDATE users SET generation = ?2 WHERE id = ?1 AND generation < ?2")?
        .execute(params![id, generation])?;
    let mut taken = 0;
    for table in ["group_members", "user_roles"] {
        let sql = format!("DELETE FROM {table} WHERE user_id = ?1 AND generation IS NOT NULL");
        taken += connection.prepare_cached(&sql)?.execute([id])?;
    }
    Ok(Ok(if deleted && taken == 0 { Action::Unchanged } else { Action::Deleted }))
}

fn find(
    connection: &Connection,
    id: &str,
    row: &[Value],
    generation: i64,
) -> Result<Result<Option<Held>, Refused>, Error> {
    let marks = vec!["?"; row.len()].join(", ");
    let sql = format!(
        "SELECT generation, active, ({}, deleted_at) IS NOT ({marks}, NULL) \
         FROM users WHERE id = ?",
        names().join(", ")
    );
    let parameters = row.iter().cloned().chain([Value::from(id.to_owned())]);
    let found = connection
        .prepare_cached(&sql)?
        .query_row(params_from_iter(parameters), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((held, active, differs)) = found else { return Ok(Ok(None)) };
    Ok(Refused::unless_ours(held, generation).map(|generation| Some(Held { generation, active, differs })))
}

fn write(
    connection: &Connection,
    id: &str,
    row: Vec<Value>,
    generation: i64,
    held: Option<&Held>,
) -> Result<(), Error> {
    let sql = match held {
        None => {
            let marks = vec!["?"; row.len()].join(", ");
            format!("INSERT INTO users ({}, generation, id) VALUES ({marks}, ?, ?)", names().join(", "))
        }
        Some(held) if held.differs => {
            let assignments: String = names().iter().map(|name| format!("{name} = ?, ")).collect();
            format!(
                "UPDATE users SET {assignments} generation = ?, deleted_at = NULL, \
                 updated_at = {NOW} WHERE id = ?"
            )
        }
        // Nothing that anybody sees: updated_at stays.
        Some(held) if held.generation < generation => {
            connection
                .prepare_cached("UPDATE users SET generation = ?1 WHERE id = ?2")?
                .execute(params![generation, id])?;
            return Ok(());
        }
        Some(_) => return Ok(()),
    };
    let parameters = row.into_iter().chain([Value::from(generation), Value::from(id.to_owned())]);
    connection.prepare_cached(&sql)?.execute(params_from_iter(parameters)).map(drop)
}

fn settle_groups(connection: &Connection, user: &User, generation: i64) -> Result<bool, Error> {
    let id = user.id.as_str();
    let wanted: BTreeSet<&str> = user.groups.keys().map(|group| group.as_str()).collect();
    let held = relations(
        connection,
        "SELECT group_id, generation IS NOT NULL FROM group_members WHERE user_id = ?1",
        id,
    )?;
    let difference = Difference::new(held, &wanted);
    for group in &difference.take {
        connection
            .prepare_cached("DELETE FROM group_members WHERE user_id = ?1 AND group_id = ?2")?
            .execute(params![id, group])?;
    }
    for group in &difference.add {
        // Generation 0: older than whatever the group's own change says.
        let name = user.groups.get(*group);
        connection
            .prepare_cached(
                "INSERT INTO groups (id, name, generation) VALUES (?1, ?2, 0) ON CONFLICT DO NOTHING",
            )?
            .execute(params![group, name])?;
        connection
            .prepare_cached("INSERT INTO group_members (user_id, group_id, generation) VALUES (?1, ?2, ?3)")?
            .execute(params![id, group, generation])?;
    }
    Ok(!difference.is_empty())
}

fn settle_roles(connection: &Connection, user: &User, generation: i64) -> Result<bool, Error> {
    let id = user.id.as_str();
    // Who has no access holds no role, whatever the document says.
    let wanted: BTreeSet<&str> =
        user.roles.iter().filter(|_| user.active).map(|role| role.as_str()).collect();
    let held =
        relations(connection, "SELECT role, generation IS NOT NULL FROM user_roles WHERE user_id = ?1", id)?;
    let difference = Difference::new(held, &wanted);
    for role in &difference.take {
        connection
            .prepare_cached("DELETE FROM user_roles WHERE user_id = ?1 AND role = ?2")?
            .execute(params![id, role])?;
    }
    for role in &difference.add {
        connection
            .prepare_cached("INSERT INTO roles (name) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([role])?;
        connection
            .prepare_cached("INSERT INTO user_roles (user_id, role, generation) VALUES (?1, ?2, ?3)")?
            .execute(params![id, role, generation])?;
    }
    Ok(!difference.is_empty())
}

fn relations(connection: &Connection, sql: &str, user: &str) -> Result<Vec<(String, bool)>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([user], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
