//! The built daemon on real servers: signed webhooks go in over HTTP, and what stands in OpenLDAP, in PostgreSQL, in an
//! application and in a SCIM server is looked at from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report")]

mod alerts;
mod answers;
mod bad_input;
mod care;
mod changes;
mod commands;
mod console;
mod crash;
mod dead_letters;
mod holds;
mod lifecycle;
mod metrics;
mod openapi;
mod outage;
mod plugin;
mod remote;
mod rules;
mod scim;
mod support;
mod systemd;
mod tls;
mod traces;
