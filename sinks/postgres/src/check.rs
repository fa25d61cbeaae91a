//! What `rolecall check --connect` says about the database. It changes nothing.

use rolecall_sink_api::SinkDown;
use tokio_postgres::{Client, Error};

use crate::{PostgresSink, managed, own};

impl PostgresSink {
    /// The report, or what a person must mend first; no answer within `timeout` is down too.
    pub(crate) async fn report(&self) -> Result<Vec<String>, SinkDown> {
        let connection = self.connector.connect().await?;
        match tokio::time::timeout(self.timeout.get(), self.lines(&connection.client)).await {
            Ok(lines) => lines,
            Err(_) => Err(SinkDown::new(format!(
                "asking {}: no answer within {} (`timeout`)",
                self.connector.target(),
                self.timeout
            ))),
        }
    }

    async fn lines(&self, client: &Client) -> Result<Vec<String>, SinkDown> {
        let connector = &self.connector;
        let (server, writable) = server(client).await.map_err(|e| connector.down("asking", &e))?;
        let mut lines = vec![format!("{}: {server}", connector.target())];
        if !writable {
            return Err(SinkDown::new(format!(
                "{} is read-only; with several hosts in `url`, add target_session_attrs=read-write",
                connector.target()
            )));
        }
        let tables_are_there = match &self.layout.statements {
            Some(statements) => {
                lines.extend(own::report(connector, client, statements).await?);
                true
            }
            None => {
                let (found, there) = managed::report(connector, client).await?;
                lines.extend(found);
                there
            }
        };
        let on_deactivate = &self.layout.on_deactivate;
        if tables_are_there {
            lines.extend(own::report(connector, client, on_deactivate).await?);
        } else {
            lines.extend(
                on_deactivate.iter().map(|sql| format!("{}: checked once the tables are there", sql.path)),
            );
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
