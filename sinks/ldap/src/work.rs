//! What every step of a batch needs: the mapping, the target, and how much may be under way at once.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use rolecall_sink_api::SinkDown;

use crate::directory::Directory;
use crate::mapping::Mapping;
use crate::outcome::{Failure, Operation};
use crate::request::{Reply, Request};

/// One batch's tools.
pub(crate) struct Work<'a> {
    pub(crate) mapping: &'a Mapping,
    pub(crate) directory: Directory<'a>,
    in_flight: usize,
    /// Whether a write of this batch got another answer than "you may not".
    may_write: AtomicBool,
}

impl<'a> Work<'a> {
    pub(crate) fn new(mapping: &'a Mapping, directory: Directory<'a>, in_flight: usize) -> Self {
        Self { mapping, directory, in_flight, may_write: AtomicBool::new(false) }
    }

    /// Carries out one request and returns the answer, whatever it is.
    pub(crate) async fn write(&self, request: &Request) -> Result<Reply, Failure> {
        tracing::debug!(operation = request.verb(), dn = %request.dn(), "to the directory");
        let reply = self.directory.write(request).await?;
        if reply.code != 50 {
            self.may_write.store(true, Ordering::Relaxed);
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

    /// Runs `tasks`, as many at once as may be in flight, and returns their results in their order. The first
    /// that finds the target down ends them all.
    pub(crate) async fn all<T: Send>(
        &self,
        tasks: Vec<BoxFuture<'_, Result<T, SinkDown>>>,
    ) -> Result<Vec<T>, SinkDown> {
        stream::iter(tasks).buffered(self.in_flight).try_collect().await
    }
}
