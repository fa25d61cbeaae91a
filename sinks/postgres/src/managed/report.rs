//! What `rolecall check --connect` says about the sink's own tables. It changes nothing.

use rolecall_sink_api::SinkDown;
use tokio_postgres::{Client, Error};

use super::grants::{lacking, missing};
use super::migrate::{KNOWN, refuse_newer, version};
use crate::connect::Connector;

/// The report, and whether the tables are there; or what a person must mend first.
pub(crate) async fn report(connector: &Connector, client: &Client) -> Result<(Vec<String>, bool), SinkDown> {
    let schema = connector.schema();
    let down = |doing: &'static str| move |error: Error| connector.down(doing, &error);
    let found = version(client).await.map_err(down("reading the schema version of"))?;
    refuse_newer(connector, found)?;
    match found {
        None | Some(0) => {
            let (may, missing) = may_create(client, schema).await.map_err(down("asking"))?;
            if !may {
                return Err(SinkDown::new(format!(
                    "schema {schema:?} in {} has no tables yet, and the role may not make them: {missing}",
                    connector.target()
                )));
            }
            Ok((vec![format!("schema {schema}: no tables yet; the first delivery makes them")], false))
        }
        Some(found) => {
            let missing = missing(client).await.map_err(down("asking for the grants in"))?;
            lacking(connector, &missing)?;
            let version = format!("schema {schema}: version {found} of {KNOWN}");
            Ok((vec![version, "grants: everything the sink needs".into()], true))
        }
    }
}

/// Whether the role may make the tables, and what would allow it.
async fn may_create(client: &Client, schema: &str) -> Result<(bool, String), Error> {
    let row = client
        .query_one(
            "SELECT coalesce(\
                    (SELECT has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE') \
                        FROM pg_namespace WHERE nspname = $1), \
                    has_database_privilege(current_database(), 'CREATE')), \
                format('CREATE SCHEMA %1$I AUTHORIZATION %2$I, or GRANT USAGE, CREATE ON SCHEMA %1$I TO \
                    %2$I', $1::text, current_user)",
            &[&schema],
        )
        .await?;
    Ok((row.get(0), row.get(1)))
}
