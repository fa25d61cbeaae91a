//! The LDAP sink on a real 389 Directory Server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests: a panic is the report")]

mod conformance;
#[allow(dead_code, reason = "another server's directory is not used here")]
#[path = "../ldap/fixture.rs"]
mod fixture;
mod flavour;
#[path = "../ldap/layout.rs"]
mod layout;
mod server;
