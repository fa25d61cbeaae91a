//! TLS where rolecall is the server: a certificate that is renewed by replacing its files, and, if asked for, clients
//! that must show one too.
//!
//! `config` is the section that says which files, `files` reads them, `certificate` says what a certificate is for and
//! until when, `server` is what a listener accepts connections with, `renewal` looks after the files.

mod certificate;
mod config;
mod files;
mod renewal;
mod server;
#[cfg(test)]
mod tests;

pub use certificate::{Certificate, Validity};
pub use config::{ServerTls, TlsVersion};
pub use server::{Clients, RejectedFiles, TlsServer, TlsStatus};
