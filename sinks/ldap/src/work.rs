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
    /// Whether any write of this batch got another answer than "you may not".
    heard: AtomicBool,
}

impl<'a> Work<'a> {
    pub(crate) fn new(mapping: &'a Mapping, directory: Directory<'a>, in_flight: usize) -> Self {
        Self { mapping, directory, in_flight, heard: AtomicBool::new(false) }
    }

    /// Carries out one request and returns the answer, whatever it is.
    pub(crate) async fn write(&self, request: &Request) -> Result<Reply, Failure> {
        tracing::debug!(operation = request.verb(), dn = %request.dn(), "to the directory");
        let reply = self.directory.write(request).await?;
        if reply.code != 50 {
            self.heard.store(true, Ordering::Relaxed);
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

    /// Whether all writes of this batch were answered "you may not", and there was one at all: then it is the
    /// sink's account that may not write, and no entry's fault.
    pub(crate) fn nothing_is_allowed(&self) -> bool {
        !self.heard.load(Ordering::Relaxed)
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
