//! The rolecall daemon: takes directory webhooks, keeps a directory of users and groups from them, and brings
//! every configured sink up to date with it. `ARCHITECTURE.md` is the map.

pub mod admin;
pub mod alerts;
pub mod cli;
pub mod config;
pub mod console;
pub mod daemon;
pub mod deliver;
pub mod directory;
pub mod log;
pub mod metrics;
pub mod progress;
pub mod receive;
pub mod rulebook;
pub mod rules;
pub mod service_manager;
pub mod source;
pub mod store;
pub mod text;
pub mod tls;
pub mod traces;
pub mod yaml;
