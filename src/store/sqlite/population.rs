//! How many users a sink holds, of each organization and of all: counted as they come and go, so that nobody has to
//! count them.

use std::collections::BTreeMap;

use rolecall_sink_api::{Document, Entity};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::convert::organization_code;
use crate::store::{Resolution, Settlement, StoreError};

/// What one transaction of settlements does to a sink's population.
pub(super) struct Population {
    sink: i64,
    changes: BTreeMap<String, i64>,
}

impl Population {
    pub(super) fn of(sink: i64) -> Self {
        Self { sink, changes: BTreeMap::new() }
    }

    /// Looks at a settlement before it is written.
    pub(super) fn see(
        &mut self,
        connection: &Connection,
        entity: i64,
        settlement: &Settlement,
    ) -> Result<(), StoreError> {
        let (Resolution::Applied { document, .. }, Entity::User(_)) =
            (&settlement.resolution, &settlement.entity)
        else {
            return Ok(());
        };
        let before: Option<Option<String>> = connection
            .prepare_cached(
                "SELECT CASE WHEN json_valid(document) THEN json_extract(document, '$.organization') END
                 FROM applied WHERE sink = ?1 AND entity = ?2 AND document IS NOT NULL",
            )?
            .query_row([self.sink, entity], |row| row.get(0))
            .optional()?;
        if let Some(organization) = before {
            self.count(organization.as_deref().unwrap_or_default(), -1);
        }
        if let Some(user) = document.as_ref().and_then(Document::as_user) {
            self.count(organization_code(user.organization.as_ref()), 1);
        }
        Ok(())
    }

    fn count(&mut self, organization: &str, change: i64) {
        *self.changes.entry(String::new()).or_default() += change;
        if !organization.is_empty() {
            *self.changes.entry(organization.to_owned()).or_default() += change;
        }
    }

    pub(super) fn write(self, connection: &Connection) -> Result<(), StoreError> {
        let mut add = connection.prepare_cached(
            "INSERT INTO population (sink, organization, users) VALUES (?1, ?2, ?3)
             ON CONFLICT (sink, organization) DO UPDATE SET users = users + excluded.users",
        )?;
        for (organization, change) in self.changes.into_iter().filter(|(_, change)| *change != 0) {
            add.execute(params![self.sink, organization, change])?;
        }
        Ok(())
    }
}

/// How many users of an organization, or with '' how many in all, a sink holds.
pub(super) fn users(connection: &Connection, sink: i64, organization: &str) -> Result<i64, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT users FROM population WHERE sink = ?1 AND organization = ?2")?;
    Ok(select.query_row(params![sink, organization], |row| row.get(0)).optional()?.unwrap_or_default())
}

/// Where what is counted is not what the sink confirmed, in words; at most so many. Reads all that sinks confirmed.
pub(super) fn miscounted(connection: &Connection, limit: u32) -> Result<Vec<String>, StoreError> {
    let mut differ = connection.prepare(
        "WITH held AS MATERIALIZED (
             SELECT sink, coalesce(json_extract(document, '$.organization'), '') AS organization, count(*) AS n
             FROM applied WHERE CASE WHEN json_valid(document) THEN json_extract(document, '$.kind') = 'user' END
             GROUP BY 1, 2)
         SELECT coalesce((SELECT s.name FROM sink s WHERE s.key = p.sink), p.sink), organization, sum(kept), sum(found)
         FROM (
             SELECT sink, organization, users AS kept, 0 AS found FROM population
             UNION ALL SELECT sink, '', 0, sum(n) FROM held GROUP BY sink
             UNION ALL SELECT sink, organization, 0, n FROM held WHERE organization <> '') p
         GROUP BY p.sink, organization HAVING sum(kept) <> sum(found) LIMIT ?1",
    )?;
    let found = differ.query_map([limit], |row| {
        let (sink, organization): (String, String) = (row.get(0)?, row.get(1)?);
        let (kept, found): (i64, i64) = (row.get(2)?, row.get(3)?);
        let whose = if organization.is_empty() { String::new() } else { format!(" of {organization}") };
        Ok(format!("{kept} users{whose} are counted in the sink {sink}, and it confirmed {found}"))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}
