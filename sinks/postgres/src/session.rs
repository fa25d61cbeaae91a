//! A session that is ready to write: connected, its tables in place, its statements prepared.

use rolecall_sink_api::SinkDown;

use crate::connect::{Connection, Connector};
use crate::grants::{lacking, missing};
use crate::migrate::migrate;
use crate::statements::Statements;

/// An open session.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) statements: Statements,
}

impl Session {
    /// Connects, migrates where needed, sees whether the role may do its work, and prepares.
    pub(crate) async fn open(connector: &Connector) -> Result<Self, SinkDown> {
        let mut connection = connector.connect().await?;
        migrate(connector, &mut connection.client).await?;
        let missing = missing(&connection.client).await;
        lacking(connector, &missing.map_err(|e| connector.down("asking for the grants in", &e))?)?;
        let statements = Statements::prepare(&connection.client).await.map_err(|e| {
            connector.down(
                &format!("the tables of schema {:?} are not as rolecall made them, in", connector.schema()),
                &e,
            )
        })?;
        Ok(Self { connection, statements })
    }
}
