//! The sink's own tables: numbered migrations, each in a transaction with the note that it was made.

use rolecall_sink_api::SinkDown;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use crate::connect::Connector;

/// Every migration there ever was, by number from 1. One that was released is never changed.
const MIGRATIONS: &[&str] = &[include_str!("../../migrations/0001_tables.sql")];

/// The version this sink works with.
pub(crate) const KNOWN: i32 = MIGRATIONS.len() as i32;

/// Brings the schema up to date. Sinks that start at the same time wait for each other.
pub(crate) async fn migrate(connector: &Connector, client: &mut Client) -> Result<(), SinkDown> {
    let schema = connector.schema();
    let found = version(client).await.map_err(|e| connector.down("reading the schema version of", &e))?;
    refuse_newer(connector, found)?;
    if found == Some(KNOWN) {
        return Ok(());
    }
    match upgrade(connector, client).await {
        Ok(found) => {
            refuse_newer(connector, Some(found))?;
            tracing::info!(schema, from = found, to = KNOWN, "the schema is up to date");
            Ok(())
        }
        Err(error) if error.code() == Some(&SqlState::DUPLICATE_TABLE) => Err(SinkDown::new(format!(
            "making the tables of schema {schema:?} in {}: {}: the schema holds a table of that name that \
             rolecall did not make; choose another `schema`",
            connector.target(),
            crate::sqlstate::describe(&error)
        ))),
        Err(error) => Err(connector.down(&format!("making the schema {schema:?} and its tables in"), &error)),
    }
}

/// The schema's version: `None` where there is no schema, 0 where it has no tables of the sink's.
pub(crate) async fn version(client: &Client) -> Result<Option<i32>, Error> {
    let row = client
        .query_one("SELECT current_schema() IS NOT NULL, to_regclass('rolecall_migrations') IS NOT NULL", &[])
        .await?;
    match (row.get(0), row.get(1)) {
        (false, _) => Ok(None),
        (true, false) => Ok(Some(0)),
        (true, true) => newest(client).await.map(Some),
    }
}

/// Down, where a newer rolecall has been.
pub(crate) fn refuse_newer(connector: &Connector, found: Option<i32>) -> Result<(), SinkDown> {
    match found {
        Some(found) if found > KNOWN => Err(SinkDown::new(format!(
            "schema {:?} in {} is at version {found}, but this rolecall knows versions up to {KNOWN} only: a \
             newer rolecall has been here; run that one, or give this one a `schema` of its own",
            connector.schema(),
            connector.target()
        ))),
        _ => Ok(()),
    }
}

async fn newest(client: &Client) -> Result<i32, Error> {
    let sql = "SELECT coalesce(max(version), 0) FROM rolecall_migrations";
    client.query_one(sql, &[]).await.map(|row| row.get(0))
}

/// Runs what is missing; the version that was found once nobody else could change it.
async fn upgrade(connector: &Connector, client: &mut Client) -> Result<i32, Error> {
    let transaction = client.transaction().await?;
    transaction
        .query(
            "SELECT pg_advisory_xact_lock(hashtextextended('rolecall sink ' || $1, 0))",
            &[&connector.schema()],
        )
        .await?;
    // CREATE SCHEMA IF NOT EXISTS asks for the privilege to make schemas even where there is nothing to make.
    let there = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1), quote_ident($1)";
    let row = transaction.query_one(there, &[&connector.schema()]).await?;
    if !row.get::<_, bool>(0) {
        transaction.batch_execute(&format!("CREATE SCHEMA {}", row.get::<_, &str>(1))).await?;
    }
    let table = "CREATE TABLE IF NOT EXISTS rolecall_migrations (version integer PRIMARY KEY, \
                 applied_at timestamptz NOT NULL DEFAULT now())";
    transaction.batch_execute(table).await?;
    let found = newest(transaction.client()).await?;
    for (version, sql) in (1..).zip(MIGRATIONS).skip_while(|(version, _)| *version <= found) {
        transaction.batch_execute(sql).await?;
        transaction.execute("INSERT INTO rolecall_migrations (version) VALUES ($1)", &[&version]).await?;
    }
    transaction.commit().await?;
    Ok(found)
}
