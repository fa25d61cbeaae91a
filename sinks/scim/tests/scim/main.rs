//! The SCIM sink, on scim2-server and, for what that does not do, on an application of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]

mod conformance;
mod judged;
mod people;
mod protocol;
mod server;
mod store;
