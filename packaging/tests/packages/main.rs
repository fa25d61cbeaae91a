//! The packages that `packaging/build` makes, each on a machine of its own: a clean root with systemd as PID 1.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]

mod debian;
mod machine;
mod rpm;
mod service;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What `tests/run` builds of the same source, to be upgraded to.
const NEWER: &str = "99.0.0";
