//! rolecall's exec sink: any program that reads requests as lines of JSON and answers them.
//!
//! `PROTOCOL.md` is for those who write such a program, a *plugin*; `README.md` for those who run one.
//!
//! # The process
//! One per sink, started when it is first needed and kept. It has a process group, an environment and a working directory
//! of its own, and no descriptors of the daemon but the three that it talks through. It is asked one thing at a time.
//! When it ends, hangs, or answers anything but what it was asked, that request ends in
//! [`SinkDown`](rolecall_sink_api::SinkDown), the whole group is killed, and the next request starts it anew: at once after
//! the first failure, and after a growing pause while it does nothing right.
//!
//! A request whose future is dropped kills the plugin: it may be anywhere in its answer. So a plugin must bear to be killed
//! at any time, which the contract demands of every sink anyway.

mod account;
mod config;
pub mod example;
mod lines;
mod process;
pub mod protocol;
mod session;
mod sink;
mod stderr;
pub mod suite;

pub use config::{Config, Value};
pub use sink::ExecSink;
