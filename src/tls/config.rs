//! The `tls` section of a listener.

use std::path::PathBuf;

use rolecall_sink_api::ConfigError;
use schemars::JsonSchema;
use serde::Deserialize;

use super::certificate::Certificate;
use super::files::Files;
use super::listener::Listener;

/// A listener's certificate, and which clients it serves.
///
/// The files are looked at every ten seconds and on a reload: a renewed certificate is served to whoever connects from
/// then on, and no connection is closed for it. Files that cannot be used, because they are half written or do not belong
/// together, change nothing, and are tried again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// A PEM file with the certificate and its chain, the listener's own first.
    pub certificate: PathBuf,
    /// A PEM file with the certificate's private key.
    pub key: PathBuf,
    /// A PEM file with the authorities whose clients are served: whoever connects must show a certificate that one of
    /// them issued for clients; under `admin.listen`, whoever shows none needs a token. Default: none, no client is asked
    /// for a certificate.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// A PEM file with the lists of the client certificates that the authorities of `client_ca` revoked, one of each that
    /// issues any: where there is a file, certificates of an authority without a list are not taken. A list whose next
    /// update is overdue still counts. Default: none, a certificate is good until it ends.
    #[serde(default)]
    pub client_crl: Option<PathBuf>,
    /// The oldest version of TLS that is spoken, `tls1.2` or `tls1.3`. Default: `tls1.2`, with forward secrecy and
    /// authenticated encryption only.
    #[serde(default)]
    pub min_version: TlsVersion,
}

impl ServerTls {
    /// The certificate that the files hold, if they can be used. Whether it is valid now is another question.
    ///
    /// # Errors
    /// As [`TlsServer::load`](super::TlsServer::load).
    pub fn check(&self) -> Result<Certificate, ConfigError> {
        // What the listeners differ in decides nothing here.
        Ok(Files::read(self)?.use_for(self, Listener::Webhooks)?.certificate)
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    #[serde(rename = "tls1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "tls1.3")]
    Tls13,
}
