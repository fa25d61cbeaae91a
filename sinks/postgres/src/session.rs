//! A session that is ready to write: connected, its tables in place, its statements prepared.

use rolecall_sink_api::SinkDown;

use crate::connect::{Connection, Connector};
use crate::migrate::migrate;
use crate::statements::Statements;

/// An open session.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) statements: Statements,
}

impl Session {
    /// Connects, migrates where needed, and prepares.
    pub(crate) async fn open(connector: &Connector) -> Result<Self, SinkDown> {
        let mut connection = connector.connect().await?;
        migrate(connector, &mut connection.client).await?;
        let statements = Statements::prepare(&connection.client).await.map_err(|e| {
            connector.down(
                &format!(
                    "the tables of schema {:?} are not as rolecall made them, or the role may not use them, in",
                    connector.schema()
                ),
                &e,
            )
        })?;
        Ok(Self { connection, statements })
    }
}
