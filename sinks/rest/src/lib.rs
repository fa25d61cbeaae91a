//! rolecall's REST sink: an application is kept in step by one HTTP request per operation, made from
//! templates.
//!
//! `config` is what an operator writes, `operation` and `path` compile it, `plan` decides which requests a
//! change needs, `settle` sends them and turns the answers (`answer`) into an outcome, and `batch` keeps a batch
//! from hammering an application that is down or busy. Below them, `client` makes one request, which
//! `credential` and `token` authenticate and `signature` signs.

mod answer;
mod batch;
mod client;
mod config;
mod credential;
mod lookup;
mod operation;
mod path;
mod plan;
mod settle;
mod signature;
mod sink;
mod token;
mod values;

pub use config::{
    Auth, Basic, Config, FindConfig, HeaderAuth, LookupConfig, Method, OAuth2, OperationConfig,
    OperationsConfig,
};
pub use sink::RestSink;
