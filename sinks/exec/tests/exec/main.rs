//! The exec sink with real programs, those that behave and those that do not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test, a panic is the report"
)]

mod contract;
mod fixture;
mod misbehaving;
mod process;
mod protocol;
