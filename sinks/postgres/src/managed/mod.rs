//! Tables of the sink's own, made by its migrations and written by statements over a whole batch.

mod batch;
mod grants;
mod locked;
mod migrate;
mod nul;
mod observe;
mod outcome;
mod report;
mod statements;
mod transaction;

use rolecall_sink_api::SinkDown;
use tokio_postgres::Client;

use crate::connect::Connector;
use grants::{lacking, missing};
use migrate::migrate;

pub(crate) use locked::locked;
pub(crate) use nul::nul_in;
pub(crate) use report::report;
pub(crate) use statements::Statements;
pub(crate) use transaction::write;

/// Migrates where needed, sees whether the role may do its work, and prepares.
pub(crate) async fn open(connector: &Connector, client: &mut Client) -> Result<Statements, SinkDown> {
    migrate(connector, client).await?;
    let missing = missing(client).await;
    lacking(connector, &missing.map_err(|e| connector.down("asking for the grants in", &e))?)?;
    Statements::prepare(client).await.map_err(|e| {
        let doing =
            format!("the tables of schema {:?} are not as rolecall made them, in", connector.schema());
        connector.down(&doing, &e)
    })
}
