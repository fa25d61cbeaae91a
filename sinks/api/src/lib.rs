//! The contract between the rolecall daemon and its sinks.
//!
//! A *sink* is one identity store that rolecall keeps in step: an LDAP directory, a database, an
//! application. The daemon hands it [`Change`]s, each of which says what should be true now, and the sink
//! answers each with an [`Outcome`]. Sinks depend on this crate alone and never on the daemon.
//!
//! [`Sink`] is the whole contract; its documentation states what each side may rely on. [`conformance`] is
//! the suite that proves a sink keeps it.

mod attempted;
mod attributes;
mod change;
pub mod conformance;
mod document;
mod error;
mod id;
mod moment;
mod observed;
mod printable;
mod secret;
mod sink;
pub mod template;
mod timespan;
pub mod tls;

pub use attempted::Attempted;
pub use attributes::{TEXT_ATTRIBUTES, TextAttribute};
pub use change::{Action, Change, Outcome, RemoteId, SinkDown};
pub use document::{Address, Document, Group, Profile, User};
pub use error::ConfigError;
pub use id::{Entity, EntityKind, GroupId, OrganizationId, RoleName, SinkName, UserId};
pub use moment::Moment;
pub use observed::{Observed, ObservedGroup, ObservedUser};
pub use printable::printable;
pub use secret::{Secret, SecretError, SecretSource};
pub use sink::{Findings, ObservedStream, Sink};
pub use timespan::Timespan;
