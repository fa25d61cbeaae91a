//! The one connection that batches use, one after the other, and what becomes of it when a batch is cut off.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rolecall_sink_api::SinkDown;

use crate::access::Access;
use crate::connection::Connection;

/// Holds the connection between batches.
pub(crate) struct Pool {
    access: Access,
    kept: Mutex<Kept>,
}

/// What is held between batches.
#[derive(Default)]
enum Kept {
    /// No connection.
    #[default]
    Nothing,
    /// One on which every answer has come.
    Idle(Connection),
    /// One whose batch was cut off or broke: the server may still be at work on what was sent.
    CutOff(Connection),
}

/// The connection, lent to one batch.
pub(crate) struct Lease<'a> {
    pool: &'a Pool,
    /// Always there until the lease ends.
    connection: Option<Connection>,
    finished: bool,
}

impl Pool {
    pub(crate) fn new(access: Access) -> Self {
        Self { access, kept: Mutex::default() }
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
        let connection = match kept {
            Kept::Idle(connection) => match connection.still_works().await {
                true => connection,
                false => self.access.connect().await?,
            },
            Kept::CutOff(connection) => {
                connection.drain(self.access.operation_timeout).await?;
                self.access.connect().await?
            }
            Kept::Nothing => self.access.connect().await?,
        };
        Ok(Lease { pool: self, connection: Some(connection), finished: false })
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
}

impl Deref for Lease<'_> {
    type Target = Connection;

    // It is taken out in `drop` alone.
    #[allow(clippy::expect_used)]
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a lease has its connection until it ends")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            *self.pool.lock() = if self.finished {
                connection.used_now();
                Kept::Idle(connection)
            } else {
                Kept::CutOff(connection)
            };
        }
    }
}
