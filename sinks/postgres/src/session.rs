//! A session that is ready to write: connected, its tables in place, its statements prepared.

use rolecall_sink_api::{Change, ConfigError, Outcome, SinkDown};

use crate::config::Config;
use crate::connect::{Connection, Connector};
use crate::failed::Failed;
use crate::managed::{self, Statements};
use crate::own::{self, Prepared, Sql};

/// Whose the tables are, and what writes them.
pub(crate) struct Layout {
    /// The operator's, by these statements; `None` where they are the sink's own.
    pub(crate) statements: Option<Vec<Sql>>,
    pub(crate) on_deactivate: Vec<Sql>,
}

impl Layout {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self {
            statements: config.statements.as_ref().map(own::statements).transpose()?,
            on_deactivate: own::on_deactivate(&config.on_deactivate)?,
        })
    }

    /// Whether the tables are the sink's own.
    pub(crate) fn is_managed(&self) -> bool {
        self.statements.is_none()
    }
}

/// An open session.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) tables: Tables,
    on_deactivate: Vec<Prepared>,
}

/// What writes the tables.
pub(crate) enum Tables {
    Managed(Box<Statements>),
    Own(Vec<Prepared>),
}

impl Session {
    /// Connects, migrates where needed, sees whether the role may do its work, and prepares.
    pub(crate) async fn open(connector: &Connector, layout: &Layout) -> Result<Self, SinkDown> {
        let mut connection = connector.connect().await?;
        let tables = match &layout.statements {
            Some(sqls) => Tables::Own(Prepared::all(connector, &connection.client, sqls).await?),
            None => Tables::Managed(Box::new(managed::open(connector, &mut connection.client).await?)),
        };
        let on_deactivate = Prepared::all(connector, &connection.client, &layout.on_deactivate).await?;
        Ok(Self { connection, tables, on_deactivate })
    }

    /// Writes the changes, all or none; what became of each, in order.
    pub(crate) async fn write(&self, changes: &[&Change]) -> Result<Vec<Outcome>, Failed> {
        let client = &self.connection.client;
        match &self.tables {
            Tables::Managed(sql) => managed::write(client, sql, &self.on_deactivate, changes).await,
            Tables::Own(sql) => own::write(client, sql, &self.on_deactivate, changes).await,
        }
    }
}
