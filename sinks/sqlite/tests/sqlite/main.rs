//! The sink against real files.
#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the report")]

mod batches;
mod files;
mod fixture;
mod promises;
