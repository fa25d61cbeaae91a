//! The index from a group to its users.

use rolecall_sink_api::GroupId;
use rusqlite::{Connection, params};

use crate::store::StoreError;

/// How many new memberships gather before they go into the index.
const GATHERED: i64 = 8000;

/// Notes that a user's state no longer speaks of a group.
pub(super) fn remove(connection: &Connection, user: i64, group: &GroupId) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM membership_new WHERE user = ?1 AND group_id = ?2")?
        .execute(params![user, group.as_str()])?;
    connection
        .prepare_cached("DELETE FROM membership WHERE group_id = ?2 AND user = ?1")?
        .execute(params![user, group.as_str()])?;
    Ok(())
}

/// Moves new memberships into the index when there are enough of them.
pub(super) fn gather(connection: &Connection) -> Result<(), StoreError> {
    let gathered: i64 =
        connection.prepare_cached("SELECT count(*) FROM membership_new")?.query_row([], |row| row.get(0))?;
    if gathered < GATHERED {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO membership (group_id, user)
             SELECT group_id, user FROM membership_new ORDER BY group_id, user",
        )?
        .execute([])?;
    connection.prepare_cached("DELETE FROM membership_new")?.execute([])?;
    Ok(())
}

/// Has every user of whom a membership in the group is stated evaluated again.
pub(super) fn mark_members_stale(connection: &Connection, group: &GroupId) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO stale (user)
             SELECT user FROM membership WHERE group_id = ?1
             UNION ALL SELECT user FROM membership_new WHERE group_id = ?1",
        )?
        .execute([group.as_str()])?;
    Ok(())
}
