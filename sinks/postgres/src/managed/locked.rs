//! Who waits for somebody else's lock.

use rolecall_sink_api::Change;
use tokio_postgres::{Client, Error};

/// The places of the changes whose rows somebody else holds.
pub(crate) async fn locked(client: &Client, changes: &[&Change]) -> Result<Vec<usize>, Error> {
    let ids: Vec<&str> = changes.iter().map(|change| change.entity.id()).collect();
    // Ids of users and groups never meet in one table, so both are asked for all of them.
    let rows = client
        .query(
            "SELECT id FROM users WHERE id = ANY($1) AND id NOT IN \
                (SELECT id FROM users WHERE id = ANY($1) FOR NO KEY UPDATE SKIP LOCKED) \
             UNION ALL \
             SELECT id FROM groups WHERE id = ANY($1) AND id NOT IN \
                (SELECT id FROM groups WHERE id = ANY($1) FOR NO KEY UPDATE SKIP LOCKED)",
            &[&ids],
        )
        .await?;
    let held: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    Ok((0..ids.len()).filter(|n| held.contains(&ids[*n])).collect())
}
