//! What `rolecall check --connect` says about the operator's statements. It runs none of them.

use rolecall_sink_api::SinkDown;
use tokio_postgres::{Client, Error};

use super::{Prepared, Sql};
use crate::connect::Connector;

/// One line for each statement, or everything that keeps one from running: it does not parse, names what is not there,
/// has a type that does not fit, or needs a privilege that the role does not have.
pub(crate) async fn report(
    connector: &Connector,
    client: &Client,
    sqls: &[Sql],
) -> Result<Vec<String>, SinkDown> {
    let prepared = Prepared::all(connector, client, sqls).await?;
    let mut refused = Vec::new();
    for one in &prepared {
        match plan(client, one).await {
            Ok(()) => {}
            Err(error) if error.as_db_error().is_none() => return Err(connector.down("asking", &error)),
            Err(error) => refused.push(one.sql.explain(&error)),
        }
    }
    if !refused.is_empty() {
        return Err(SinkDown::new(format!(
            "the role may not run what it is to run in {}: {}",
            connector.target(),
            refused.join("; ")
        )));
    }
    Ok(prepared.iter().map(|one| format!("{}: accepted by the server", one.sql.path)).collect())
}

/// Preparing asks for no privileges. Planning for an execution does, and executes nothing.
async fn plan(client: &Client, prepared: &Prepared) -> Result<(), Error> {
    let named = "SELECT quote_ident(name) FROM pg_prepared_statements WHERE statement = $1 LIMIT 1";
    let Some(row) = client.query_opt(named, &[&prepared.sql.named.text]).await? else { return Ok(()) };
    let nulls = vec!["NULL"; prepared.sql.named.parameters.len()].join(", ");
    let arguments = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
    client.batch_execute(&format!("EXPLAIN EXECUTE {}{arguments}", row.get::<_, &str>(0))).await
}
