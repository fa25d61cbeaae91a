//! rolecall's REST sink: an application is kept in step by one HTTP request per operation, made from
//! templates.
//!
//! `config` is what an operator writes, `operation` and `path` compile it, `plan` decides which requests a
//! change needs, and `settle` sends them, signed by `signature`, and turns the answers into an outcome. The HTTP
//! client, its credentials and what answers mean are in `rolecall_sink_http`.

mod config;
mod lookup;
mod operation;
mod path;
mod plan;
mod settle;
mod signature;
mod sink;
mod values;

pub use config::{Config, FindConfig, LookupConfig, Method, OperationConfig, OperationsConfig};
pub use sink::RestSink;
