//! What `rolecall check --connect` says about the database. It changes nothing.

use rolecall_sink_api::SinkDown;
use tokio_postgres::{Client, Error};

use crate::PostgresSink;
use crate::grants::{lacking, missing};
use crate::migrate::{KNOWN, refuse_newer, version};

impl PostgresSink {
    /// The report, or what a person must mend first.
    pub(crate) async fn report(&self) -> Result<Vec<String>, SinkDown> {
        let connection = self.connector.connect().await?;
        let client = &connection.client;
        let schema = self.connector.schema();
        let (server, writable) = self.bounded("asking", server(client)).await?;
        let mut lines = vec![format!("{}: {server}", self.connector.target())];
        if !writable {
            return Err(SinkDown::new(format!(
                "{} is read-only; with several hosts in `url`, add target_session_attrs=read-write",
                self.connector.target()
            )));
        }
        let found = self.bounded("reading the schema version of", version(client)).await?;
        refuse_newer(&self.connector, found)?;
        match found {
            None | Some(0) => {
                let (may, missing) = self.bounded("asking", may_create(client, schema)).await?;
                if !may {
                    return Err(SinkDown::new(format!(
                        "schema {schema:?} in {} has no tables yet, and the role may not make them: \
                         {missing}",
                        self.connector.target()
                    )));
                }
                lines.push(format!("schema {schema}: no tables yet; the first delivery makes them"));
            }
            Some(found) => {
                lines.push(format!("schema {schema}: version {found} of {KNOWN}"));
                let missing = self.bounded("asking for the grants in", missing(client)).await?;
                lacking(&self.connector, &missing)?;
                lines.push("grants: everything the sink needs".into());
            }
        }
        Ok(lines)
    }
}

async fn server(client: &Client) -> Result<(String, bool), Error> {
    let row = client
        .query_one(
            "SELECT 'version ' || current_setting('server_version') || ', as ' || current_user || ', ' || \
             coalesce((SELECT version || ' (' || cipher || ')' FROM pg_stat_ssl WHERE pid = pg_backend_pid() \
             AND ssl), 'no TLS'), current_setting('transaction_read_only') = 'off'",
            &[],
        )
        .await?;
    Ok((row.get(0), row.get(1)))
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
