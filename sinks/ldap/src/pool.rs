//! The one connection that batches use, one after the other, and what becomes of it when a batch is cut off.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rolecall_sink_api::SinkDown;

use crate::access::Access;
use crate::connection::Connection;
use crate::mapping::Mapping;
use crate::mappings::Mappings;

/// Holds the connection between batches.
pub(crate) struct Pool {
    access: Access,
    mappings: Mappings,
    /// Referrals followed one after the other at most.
    hops: u8,
    kept: Mutex<Kept>,
}

/// What is held between batches.
#[derive(Default)]
enum Kept {
    /// No connection.
    #[default]
    Nothing,
    /// One on which every answer has come.
    Idle(Server),
    /// One whose batch was cut off or broke: the server may still be at work on what was sent.
    CutOff(Connection),
}

/// A connection, and the mapping for the server at its other end.
struct Server {
    connection: Connection,
    mapping: Arc<Mapping>,
}

/// The connection, lent to one batch.
pub(crate) struct Lease<'a> {
    pool: &'a Pool,
    /// Always there until the lease ends.
    server: Option<Server>,
    /// Whether it was kept from an earlier batch: the server may have closed it meanwhile.
    was_kept: bool,
    /// Referrals that led here.
    hops: u8,
    finished: bool,
}

impl Pool {
    pub(crate) fn new(access: Access, mappings: Mappings, hops: u8) -> Self {
        Self { access, mappings, hops, kept: Mutex::default() }
    }

    /// How to make further connections.
    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// The connection for one batch: the idle one when it still works, else a new one, which is made only after the
    /// server has ended its work on the last. Otherwise a late request of a batch that was cut off could undo what
    /// the next one does.
    pub(crate) async fn lend(&self) -> Result<Lease<'_>, SinkDown> {
        let kept = std::mem::take(&mut *self.lock());
        let (server, was_kept) = match kept {
            Kept::Idle(server) if server.connection.still_works().await => (server, true),
            Kept::CutOff(connection) => {
                connection.drain(self.access.operation_timeout).await?;
                (self.connect().await?, false)
            }
            Kept::Idle(_) | Kept::Nothing => (self.connect().await?, false),
        };
        Ok(Lease { pool: self, server: Some(server), was_kept, hops: 0, finished: false })
    }

    /// A new connection beside the kept one, and the mapping for the server at its other end.
    pub(crate) async fn extra(&self) -> Result<(Connection, Arc<Mapping>), SinkDown> {
        self.connect().await.map(|server| (server.connection, server.mapping))
    }

    async fn connect(&self) -> Result<Server, SinkDown> {
        self.prepare(self.access.connect().await?).await
    }

    async fn prepare(&self, mut connection: Connection) -> Result<Server, SinkDown> {
        let mapping = self.mappings.for_server(&mut connection).await?;
        Ok(Server { connection, mapping })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease<'_> {
    /// The batch ended with all its answers.
    pub(crate) fn finish(mut self) {
        self.finished = true;
    }

    /// The mapping for this server.
    pub(crate) fn mapping(&self) -> &Mapping {
        &self.server().mapping
    }

    /// The server that this one referred the batch to, for all of it; `None` when it did not, or when it may not be
    /// followed.
    pub(crate) async fn follow(&self) -> Option<Result<Self, SinkDown>> {
        let referrals = self.referred_to();
        if referrals.is_empty() || self.hops >= self.pool.hops {
            return None;
        }
        let followed = match self.pool.access.follow(&referrals).await? {
            Ok(connection) => self.pool.prepare(connection).await,
            Err(down) => Err(down),
        };
        let (pool, hops) = (self.pool, self.hops + 1);
        Some(followed.map(|server| Lease {
            pool,
            server: Some(server),
            was_kept: false,
            hops,
            finished: false,
        }))
    }

    /// Whether the server had closed the connection before the batch began, as far as that can be told: then the batch
    /// is worth another connection.
    pub(crate) fn was_stale(&self) -> bool {
        self.was_kept && self.is_closed()
    }

    // It is taken out in `drop` alone.
    #[allow(clippy::expect_used)]
    fn server(&self) -> &Server {
        self.server.as_ref().expect("a lease has its connection until it ends")
    }
}

impl Deref for Lease<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.server().connection
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            *self.pool.lock() = if self.finished {
                server.connection.used_now();
                Kept::Idle(server)
            } else {
                Kept::CutOff(server.connection)
            };
        }
    }
}
