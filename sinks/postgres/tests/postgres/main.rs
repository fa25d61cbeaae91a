//! The sink against real PostgreSQL servers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

mod batches;
mod connections;
mod deactivation;
mod failover;
mod fixture;
mod migrations;
mod own;
mod promises;
mod values;
