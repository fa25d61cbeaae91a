//! The built daemon on real servers: signed webhooks go in over HTTP, and what stands in OpenLDAP, in PostgreSQL and in
//! an application is looked at from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report")]

mod changes;
mod crash;
mod outage;
mod support;
