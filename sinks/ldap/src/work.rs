//! What every step of a batch needs: the mapping, the target, and how much may be under way at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use rolecall_sink_api::SinkDown;

use crate::directory::Directory;
use crate::mapping::Mapping;
use crate::outcome::{self, Failure, Operation};
use crate::request::{Reply, Request};

/// The result code for a failure of the server that has no code of its own.
const OTHER: u32 = 80;
/// What OpenLDAP says with it when its database is full or its disk broken: `txn_begin failed`, `txn_commit failed`.
const TRANSACTION: &str = "txn_";

/// One batch's tools.
pub(crate) struct Work<'a> {
    pub(crate) mapping: &'a Mapping,
    pub(crate) directory: Directory<'a>,
    /// What time it is.
    pub(crate) now: Timestamp,
    in_flight: usize,
    /// Whether a write of this batch got another answer than "you may not".
    may_write: AtomicBool,
    /// Whether a write of this batch went through.
    wrote: AtomicBool,
    /// What the server said when it first failed at a write for reasons of its own.
    failed: OnceLock<String>,
    /// How often that was more than one entry's trouble: each further time, and at once when it says that its database
    /// takes no transaction.
    failures: AtomicUsize,
}

impl<'a> Work<'a> {
    pub(crate) fn new(mapping: &'a Mapping, directory: Directory<'a>, in_flight: usize) -> Self {
        Self {
            mapping,
            directory,
            now: Timestamp::now(),
            in_flight,
            may_write: AtomicBool::new(false),
            wrote: AtomicBool::new(false),
            failed: OnceLock::new(),
            failures: AtomicUsize::new(0),
        }
    }

    /// Carries out one request and returns the answer, whatever it is.
    pub(crate) async fn write(&self, request: &Request) -> Result<Reply, Failure> {
        tracing::debug!(operation = request.verb(), dn = %request.dn(), "to the directory");
        let reply = self.directory.write(request).await?;
        if reply.code != 50 {
            self.may_write.store(true, Ordering::Relaxed);
        }
        match reply.code {
            0 => self.wrote.store(true, Ordering::Relaxed),
            OTHER => {
                let again = self.failed.set(outcome::explain(request, &reply)).is_err();
                if again || reply.text.contains(TRANSACTION) {
                    self.failures.fetch_add(1, Ordering::Relaxed);
                }
            }
            _ => {}
        }
        Ok(reply)
    }

    /// Carries out one request that must succeed.
    pub(crate) async fn send(&self, request: &Request, operation: Operation) -> Result<Reply, Failure> {
        let reply = self.write(request).await?;
        match Failure::of(request, operation, &reply) {
            None => Ok(reply),
            Some(failure) => Err(failure),
        }
    }

    /// Whether the account was seen to write anything: then an entry that it may not write is that entry's trouble.
    pub(crate) fn may_write(&self) -> bool {
        self.may_write.load(Ordering::Relaxed)
    }

    /// What the server said, when it failed at writes for reasons of its own and not one went through: it is full, or
    /// its disk is broken.
    pub(crate) fn fails_at_every_write(&self) -> Option<&str> {
        let is_ill = !self.wrote.load(Ordering::Relaxed) && self.failures.load(Ordering::Relaxed) > 0;
        self.failed.get().filter(|_| is_ill).map(String::as_str)
    }

    /// Runs `tasks`, as many at once as may be in flight, and returns their results in their order. The first
    /// that finds the target down ends them all.
    pub(crate) async fn all<T: Send>(
        &self,
        tasks: Vec<BoxFuture<'_, Result<T, SinkDown>>>,
    ) -> Result<Vec<T>, SinkDown> {
        stream::iter(tasks).buffered(self.in_flight).try_collect().await
    }
}
