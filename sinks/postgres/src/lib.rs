//! rolecall's PostgreSQL sink: users, groups and roles as tables that an application can read with plain SQL.
//!
//! `managed/` is about tables of the sink's own, `own/` about those of the operator's.
//!
//! # Tables
//! In a schema of their own (`schema`, by default `rolecall`), made and upgraded by the sink's numbered
//! migrations:
//! - `users`: one row a user, keyed by the source's id. `active` says whether the user may have access.
//!   A user who is gone at the source keeps the row, with `active = false` and `deleted_at` set; one who
//!   comes back has the same row again. `email` is not unique: two organizations may know the same person.
//! - `groups`: one row a group, keyed by the source's id, with `deleted_at` likewise.
//! - `group_members`: who is in which group, and since when.
//! - `roles`, `user_roles`: every role ever granted by name, and who holds which now. Who is not active holds
//!   none.
//!
//! A membership may be known before its group: the group then has a row with the name that the member's
//! data gave it and `generation = 0`, so a join always finds it; the group's own data fills it in.
//! `updated_at` moves when a column of that row changes, and only then.
//!
//! # What the sink leaves alone
//! Its rows carry a `generation`. A row whose generation is null is not the sink's: it is never changed or
//! removed, in any of the tables, even where it hangs on one of the sink's users (an extra role granted by
//! hand). A user or group that meets such a row is rejected; setting the row's generation to 0 hands it over.
//! A row never takes a write of a generation lower than its own.
//!
//! # Grants
//! No superuser is needed. The README says what to grant to a role that makes the tables, and to one that only writes
//! them; the sink names what is missing.
//!
//! # The operator's own tables
//! With `statements` it makes no tables and writes the operator's, by the operator's SQL: which statement runs when
//! is decided in `own/plan.rs`. What they hold is not read back; memberships and roles are taken away as far as they
//! were given.
//!
//! The sink keeps prepared statements and settings in its session, so a pooler in between must not work in
//! transaction mode.

mod check;
mod config;
mod connect;
mod deliver;
mod failed;
mod hosts;
mod managed;
mod named;
mod own;
mod session;
mod sqlstate;

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use rolecall_sink_api::{Change, ConfigError, Findings, ObservedStream, Outcome, Sink, SinkDown, Timespan};
use tokio_postgres::Error;

pub use config::{Config, StatementsConfig};

use connect::Connector;
use session::{Layout, Session};

/// The sink; see the crate's documentation.
pub struct PostgresSink {
    connector: Connector,
    layout: Layout,
    timeout: Timespan,
    /// The session that waits for the next batch. Whoever uses it takes it out.
    session: Mutex<Option<Session>>,
}

impl PostgresSink {
    /// A sink of the given name, which the server sees as the application's name. Connects when first used.
    ///
    /// # Errors
    /// When the configuration cannot be used: a url that does not parse or holds a password, a password or
    /// certificate that cannot be read, limits that contradict each other.
    pub fn new(name: &str, config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            connector: Connector::new(name, &config)?,
            layout: Layout::new(&config)?,
            timeout: config.timeout,
            session: Mutex::new(None),
        })
    }

    /// The session from the last batch. The server may have ended it since.
    fn take_session(&self) -> Option<Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep_session(&self, session: Session) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }

    async fn open_session(&self) -> Result<Session, SinkDown> {
        Session::open(&self.connector, &self.layout).await
    }

    /// The answer, or that there was none within `timeout`.
    async fn bounded<T>(
        &self,
        doing: &str,
        asking: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, SinkDown> {
        match tokio::time::timeout(self.timeout.get(), asking).await {
            Ok(answer) => answer.map_err(|e| self.connector.down(doing, &e)),
            Err(_) => Err(SinkDown::new(format!(
                "{doing} {}: no answer within {} (`timeout`)",
                self.connector.target(),
                self.timeout
            ))),
        }
    }
}

#[async_trait]
impl Sink for PostgresSink {
    async fn apply(&self, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        self.deliver(changes).await
    }

    async fn probe(&self) -> Result<(), SinkDown> {
        if let Some(session) = self.take_session() {
            let asking = session.connection.client.check_connection();
            if self.bounded("asking", asking).await.is_ok() {
                self.keep_session(session);
                return Ok(());
            }
        }
        let session =
            tokio::time::timeout(self.timeout.get(), self.open_session()).await.map_err(|_| {
                SinkDown::new(format!(
                    "preparing {}: not done within {} (`timeout`)",
                    self.connector.target(),
                    self.timeout
                ))
            })??;
        self.keep_session(session);
        Ok(())
    }

    async fn check(&self) -> Result<Findings, SinkDown> {
        self.report().await.map(Findings::from)
    }

    fn reads_target(&self) -> bool {
        self.layout.is_managed()
    }

    fn observe(&self) -> Option<ObservedStream<'_>> {
        self.layout.is_managed().then(|| self.read())
    }
}

/// A change's generation as PostgreSQL counts.
fn generation(change: &Change) -> i64 {
    i64::try_from(change.generation).unwrap_or(i64::MAX)
}
