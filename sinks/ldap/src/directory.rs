//! Where entries are: a server, or an LDIF file with its memory of what was written to it. Everything above asks
//! the same questions of both.

use rolecall_sink_api::SinkDown;

use crate::connection::Connection;
use crate::dn::Dn;
use crate::entry::{AttributeName, Entry};
use crate::ldif::LdifFile;
use crate::query::Query;
use crate::request::{Reply, Request};

/// A target, open for one batch.
pub(crate) enum Directory<'a> {
    /// A server.
    Server(&'a Connection),
    /// A file.
    File(&'a LdifFile),
}

impl Directory<'_> {
    /// The entry `dn`, or `None` when there is none.
    pub(crate) async fn read(
        &self,
        dn: &Dn,
        attributes: &[AttributeName],
    ) -> Result<Option<Entry>, SinkDown> {
        match self {
            Directory::Server(connection) => connection.read(dn, attributes).await,
            Directory::File(file) => Ok(file.read(dn)),
        }
    }

    /// All entries that `query` finds.
    pub(crate) async fn search(&self, query: &Query) -> Result<Vec<Entry>, SinkDown> {
        match self {
            Directory::Server(connection) => connection.search(query).await,
            Directory::File(file) => Ok(file.search(query)),
        }
    }

    /// Carries out one request; the answer may be a refusal.
    pub(crate) async fn write(&self, request: &Request) -> Result<Reply, SinkDown> {
        match self {
            Directory::Server(connection) => connection.write(request).await,
            Directory::File(file) => Ok(file.write(request)),
        }
    }

    /// Whether a modification can be told to tolerate values that are there, or gone, already.
    pub(crate) fn is_permissive(&self) -> bool {
        match self {
            Directory::Server(connection) => connection.is_permissive(),
            Directory::File(_) => true,
        }
    }

    /// Whether entries have an id of the server's own.
    pub(crate) fn has_ids(&self) -> bool {
        matches!(self, Directory::Server(_))
    }
}
