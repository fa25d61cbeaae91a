//! Where entries are: a server, or an LDIF file with its memory of what was written to it. Everything above asks
//! the same questions of both.

use rolecall_sink_api::{Secret, SinkDown};

use crate::connection::Connection;
use crate::dn::Dn;
use crate::entry::{AttributeName, Entry};
use crate::ldif::LdifFile;
use crate::mapping::Mapping;
use crate::mark::GroupKey;
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

    /// Gives an account a password; the answer may be a refusal.
    pub(crate) async fn set_password(&self, dn: &Dn, password: &Secret) -> Result<Reply, SinkDown> {
        match self {
            Directory::Server(connection) => connection.set_password(dn, password).await,
            // The configuration does not allow it: a file shows its passwords.
            Directory::File(_) => Ok(Reply::new(53, "a file takes no passwords")),
        }
    }

    /// Where a group must be that was not found; `None` when it is not there. A server knows; a file whose earlier
    /// records were taken away does not, and then the group is taken for one of those.
    pub(crate) fn presume(&self, mapping: &Mapping, key: &GroupKey, name: &str) -> Option<Dn> {
        match self {
            Directory::Server(_) => None,
            Directory::File(file) => file.presume(mapping, key, name),
        }
    }

    /// The suffix of the database that `base` is in; `None` where entries have no ids to look for.
    pub(crate) fn root_of(&self, base: &Dn) -> Option<Dn> {
        match self {
            Directory::Server(connection) => Some(connection.server.root_of(base)),
            Directory::File(_) => None,
        }
    }
}
