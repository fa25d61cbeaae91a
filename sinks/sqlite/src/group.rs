//! Groups.

use rolecall_sink_api::{Action, Group};
use rusqlite::{Connection, Error, OptionalExtension as _, params};

use crate::user::NOW;
use crate::write::Refused;

/// Makes the row as the document says.
pub(crate) fn put(
    connection: &Connection,
    group: &Group,
    generation: i64,
) -> Result<Result<Action, Refused>, Error> {
    let organization = group.organization.as_ref().map(|id| id.as_str());
    let id = group.id.as_str();
    let row = params![id, organization, group.name, group.external_id, generation];
    let found = connection
        .prepare_cached(
            "SELECT generation, deleted_at IS NOT NULL, \
             (organization_id, name, external_id, deleted_at) IS NOT (?2, ?3, ?4, NULL) \
             FROM groups WHERE id = ?1",
        )?
        .query_row(params![id, organization, group.name, group.external_id], |row| {
            Ok((row.get(0)?, row.get::<_, bool>(1)?, row.get::<_, bool>(2)?))
        })
        .optional()?;
    let Some((held, deleted, differs)) = found else {
        connection
            .prepare_cached(
                "INSERT INTO groups (id, organization_id, name, external_id, generation) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(row)?;
        return Ok(Ok(Action::Created));
    };
    let held = match Refused::unless_ours(held, generation) {
        Ok(held) => held,
        Err(refused) => return Ok(Err(refused)),
    };
    if differs {
        let sql = format!(
            "UPDATE groups SET organization_id = ?2, name = ?3, external_id = ?4, generation = ?5, \
             deleted_at = NULL, updated_at = {NOW} WHERE id = ?1"
        );
        connection.prepare_cached(&sql)?.execute(row)?;
    } else if held < generation {
        connection
            .prepare_cached("UPDATE groups SET generation = ?2 WHERE id = ?1")?
            .execute(params![id, generation])?;
    }
    // Generation 0: so far the group was known from a member's data only.
    let new = held == 0 || deleted;
    Ok(Ok(match (new, differs) {
        (true, _) => Action::Created,
        (false, true) => Action::Updated,
        (false, false) => Action::Unchanged,
    }))
}

/// Marks the row as deleted, and empties the group.
pub(crate) fn remove(
    connection: &Connection,
    id: &str,
    generation: i64,
) -> Result<Result<Action, Refused>, Error> {
    let held = connection
        .prepare_cached("SELECT generation, deleted_at IS NOT NULL FROM groups WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get::<_, bool>(1)?)))
        .optional()?;
    let Some((found, deleted)) = held else {
        let sql = format!("INSERT INTO groups (id, deleted_at, generation) VALUES (?1, {NOW}, ?2)");
        connection.prepare_cached(&sql)?.execute(params![id, generation])?;
        return Ok(Ok(Action::Unchanged));
    };
    if let Err(refused) = Refused::unless_ours(found, generation) {
        return Ok(Err(refused));
    }
    if !deleted {
        let sql = format!("UPDATE groups SET deleted_at = {NOW}, updated_at = {NOW} WHERE id = ?1");
        connection.prepare_cached(&sql)?.execute([id])?;
    }
    connection
        .prepare_cached("UPDATE groups SET generation = ?2 WHERE id = ?1 AND generation < ?2")?
        .execute(params![id, generation])?;
    connection
        .prepare_cached("DELETE FROM group_members WHERE group_id = ?1 AND generation IS NOT NULL")?
        .execute([id])?;
    Ok(Ok(if deleted { Action::Unchanged } else { Action::Deleted }))
}
