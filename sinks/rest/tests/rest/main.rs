//! The REST sink against a small application that chooses its own ids.
#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test, a panic is the report")]

mod answers;
mod application;
mod conformance;
mod people;
mod requests;
mod tokens;
mod trouble;
