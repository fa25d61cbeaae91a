//! TLS where rolecall is the server: a certificate that is renewed by replacing its files, and, if asked for, clients
//! that must show one too.
//!
//! `config` is the section that says which files, `files` reads them, `certificate` says what a certificate is for and
//! until when, `client` who shows one, `listener` what the two listeners differ in, `server` is what one accepts connections with, `renewal` looks
//! after the files.

mod certificate;
mod client;
mod config;
mod files;
mod listener;
mod renewal;
mod server;
#[cfg(test)]
mod tests;

pub use certificate::{Certificate, Validity};
pub use client::client_names;
pub use config::{ServerTls, TlsVersion};
pub use listener::Listener;
pub use server::{RejectedFiles, TlsServer, TlsStatus};
