//! Throwaway real servers for rolecall's tests.
//!
//! Each server lives in a temporary directory of its own, listens on a loopback port that nobody else has, is
//! ready when its `start` returns, and ends with the value that stands for it, or with the test process, however
//! that ends.
//!
//! Everything here panics when it does not work: in a test, that is the report. A panic shows the server's log.
#![allow(clippy::panic, clippy::expect_used, reason = "a kit for tests: a panic is the report")]

mod application;
mod authority;
mod ds389;
mod ldap_client;
mod ldif;
mod operations;
mod port;
mod postgres;
mod process;
mod samba;
mod scim;
mod server;
mod slapd;
mod tool;
mod until;

pub use application::{Fault, HttpApplication, HttpApplicationOptions, Recorded};
pub use authority::CertificateAuthority;
pub use ds389::Ds389;
pub use ldap_client::LdapClient;
pub use ldif::Entry;
pub use operations::Operations;
pub use postgres::{Postgres, PostgresOptions};
pub use samba::Samba;
pub use scim::{ScimServer, ScimServerOptions};
pub use server::Server;
pub use slapd::{Slapd, SlapdOptions};
pub use until::until;
