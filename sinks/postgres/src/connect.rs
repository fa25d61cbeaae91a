//! Connections: the url, the password, TLS, and the settings every session works under.

use std::fmt::Write as _;

use rolecall_sink_api::{ConfigError, SecretSource, SinkDown, Timespan};
use tokio::task::AbortHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Config;
use crate::hosts::{Candidate, candidates};
use crate::sqlstate::describe;

/// How to reach the database; made once from the configuration.
pub(crate) struct Connector {
    candidates: Vec<Candidate>,
    password: Option<SecretSource>,
    tls: MakeRustlsConnect,
    connect_timeout: Timespan,
    settings: Settings,
    /// For messages: hosts and database, without the role and what else a url may hold.
    target: String,
}

struct Settings {
    /// The only schema that is looked into; `None` leaves what the role and the database say.
    schema: Option<String>,
    /// Whether the planner is to go by the keys whatever it knows of the tables' sizes.
    by_keys: bool,
    statement_timeout: Timespan,
    lock_timeout: Timespan,
}

/// An open connection, with the sink's settings made. Dropping it closes the socket, whatever is under way.
pub(crate) struct Connection {
    pub(crate) client: Client,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Without this a server that hangs would keep the task, and the socket, for good.
        self.driver.abort();
    }
}

impl Connector {
    /// Reads the url, checks that the password is there, and loads the certificates.
    pub(crate) fn new(name: &str, config: &Config) -> Result<Self, ConfigError> {
        let mut postgres: tokio_postgres::Config = config.url.parse().map_err(|e: Error| {
            let hint = "expected postgresql://role@host:port/database?key=value (sslmode is require or \
                        disable; certificates are always verified)";
            ConfigError::new("url", format!("{}: {hint}", describe(&e)))
        })?;
        if postgres.get_password().is_some() {
            return Err(ConfigError::new(
                "url",
                "holds a password: leave it out, and say under `password` where it is kept: `password: \
                 {file: …}`, `{env: …}` or `{credential: …}`",
            ));
        }
        if postgres.get_hosts().is_empty() && postgres.get_hostaddrs().is_empty() {
            return Err(ConfigError::new(
                "url",
                "names no host: write postgresql://role@host/database, or \
                 postgresql:///database?host=/var/run/postgresql for a Unix socket",
            ));
        }
        if let Some(source) = &config.password {
            source.read().map_err(|e| ConfigError::new("password", e.to_string()))?;
        }
        let networked = !postgres.get_hostaddrs().is_empty()
            || postgres.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_)));
        match postgres.get_ssl_mode() {
            // Prefer is the default, and would go on in the clear when somebody in between strips TLS.
            SslMode::Prefer if networked => postgres.ssl_mode(SslMode::Require),
            SslMode::Prefer => postgres.ssl_mode(SslMode::Disable),
            _ => &mut postgres,
        };
        if postgres.get_application_name().is_none() {
            postgres.application_name(format!("rolecall {name}"));
        }
        if postgres.get_connect_timeout().is_none() {
            postgres.connect_timeout(config.connect_timeout.get());
        }
        let tls = MakeRustlsConnect::new(config.tls.client_config()?.as_ref().clone());
        let candidates = candidates(&postgres);
        Ok(Self {
            target: target(&postgres, &candidates),
            candidates,
            password: config.password.clone(),
            tls,
            connect_timeout: config.connect_timeout,
            settings: Settings {
                schema: config.tables_schema().map(str::to_owned),
                by_keys: config.statements.is_none(),
                statement_timeout: config.statement_timeout,
                lock_timeout: config.lock_timeout,
            },
        })
    }

    /// Hosts and database, for messages.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// The schema that holds the tables; empty where none is configured.
    pub(crate) fn schema(&self) -> &str {
        self.settings.schema.as_deref().unwrap_or_default()
    }

    /// Connects to the first host that answers and is what the url asks for, and sets the schema and the limits for
    /// the session. Each host has `connect_timeout` to itself.
    pub(crate) async fn connect(&self) -> Result<Connection, SinkDown> {
        let password = match &self.password {
            Some(source) => Some(
                source
                    .read()
                    .map_err(|e| SinkDown::new(format!("connecting to {}: password: {e}", self.target)))?,
            ),
            None => None,
        };
        let mut others: Vec<String> = Vec::new();
        let mut last = SinkDown::new(format!("connecting to {}: the url names no host", self.target));
        for candidate in &self.candidates {
            let mut postgres = candidate.postgres.clone();
            if let Some(password) = &password {
                postgres.password(password.expose());
            }
            let limit = self.connect_timeout.get();
            last = match tokio::time::timeout(limit, self.open(postgres)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => self.down("connecting to", &error),
                Err(_) => SinkDown::new(format!(
                    "connecting to {}: no answer within {}; is the server reachable and alive?",
                    self.target, self.connect_timeout
                )),
            };
            others.push(format!("{}: {}", candidate.name, last.reason));
        }
        if others.len() > 1 {
            let prefix = format!("connecting to {}: ", self.target);
            let each: Vec<String> = others.iter().map(|said| said.replacen(&prefix, "", 1)).collect();
            last.reason = format!("{prefix}{}", each.join("; "));
        }
        Err(last)
    }

    async fn open(&self, postgres: tokio_postgres::Config) -> Result<Connection, Error> {
        let (client, driving) = postgres.connect(self.tls.clone()).await?;
        // The task ends with the connection; an error reaches whoever waits for an answer too.
        let driver = tokio::spawn(async move {
            if let Err(error) = driving.await {
                tracing::debug!(error = %describe(&error), "the connection to PostgreSQL ended");
            }
        });
        let connection = Connection { client, driver: driver.abort_handle() };
        self.settings.apply(&connection.client).await?;
        Ok(connection)
    }

    /// What stops all work, for a person: `doing` is "connecting to", "writing to", ….
    pub(crate) fn down(&self, doing: &str, error: &Error) -> SinkDown {
        let mut reason = format!("{doing} {}: {}", self.target, describe(error));
        let hint = match error.code() {
            Some(&SqlState::INVALID_PASSWORD) => "check `password` and the role in `url`",
            Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
                "check the role in `url`, and the server's pg_hba.conf"
            }
            Some(&SqlState::INVALID_CATALOG_NAME) => "check the database in `url`",
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                "grant the role what the sink needs; `rolecall check --connect` says what is missing"
            }
            Some(&SqlState::INVALID_SCHEMA_NAME) => {
                "the schema is not there for this role: it needs USAGE on it, and CREATE to make the tables"
            }
            Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => {
                "the server takes no writes; with several hosts in `url`, add target_session_attrs=read-write"
            }
            Some(&SqlState::INVALID_SQL_STATEMENT_NAME) => {
                "a pooler in transaction mode? the sink needs a session of its own"
            }
            Some(_) => "",
            None if reason.contains("server does not support TLS") => {
                "turn on TLS at the server, or add ?sslmode=disable to `url` if the way there is trusted"
            }
            None => "",
        };
        if !hint.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(reason, "; {hint}");
        }
        SinkDown::new(reason)
    }
}

impl Settings {
    /// What the sink itself says is unqualified, so search_path alone decides which tables it means. It names
    /// no second schema: where the role may not use the first, tables would be made and found there.
    ///
    /// Its own statements find their rows by their keys. The plans that a session keeps may stem from when the
    /// tables were small, and would go on reading them whole; so the planner is kept from that.
    async fn apply(&self, client: &Client) -> Result<(), Error> {
        let millis = |span: Timespan| span.get().as_millis().to_string();
        // NULL leaves a setting as the role and the database have it.
        let scans = self.by_keys.then_some("off");
        client
            .query(
                "SELECT set_config('search_path', quote_ident($1), false), \
                 set_config('statement_timeout', $2, false), set_config('lock_timeout', $3, false), \
                 set_config('idle_in_transaction_session_timeout', $2, false), \
                 set_config('enable_seqscan', $4, false), set_config('enable_hashjoin', $4, false), \
                 set_config('enable_mergejoin', $4, false)",
                &[&self.schema, &millis(self.statement_timeout), &millis(self.lock_timeout), &scans],
            )
            .await
            .map(|_| ())
    }
}

fn target(config: &tokio_postgres::Config, candidates: &[Candidate]) -> String {
    let hosts: Vec<&str> = candidates.iter().map(|candidate| candidate.name.as_str()).collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("PostgreSQL at {}, database {database}", hosts.join(","))
}
