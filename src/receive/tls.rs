//! The receiver's side of TLS.

use std::path::Path;
use std::sync::Arc;

use rolecall_sink_api::ConfigError;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::config::ListenTls;

/// Reads the certificate and its key (TLS 1.2 and 1.3; HTTP/2 is offered first).
///
/// # Errors
/// When a file cannot be read, holds no certificate or key, or the two do not belong together.
pub(super) fn acceptor(tls: &ListenTls) -> Result<TlsAcceptor, ConfigError> {
    let chain = certificates(&tls.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| {
        ConfigError::new("tls.key", format!("{}: no private key could be read: {error}", tls.key.display()))
    })?;
    let unusable = |error: rustls::Error| {
        ConfigError::new("tls.certificate", format!("{}: cannot be used: {error}", tls.certificate.display()))
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let fail = |why: String| {
        ConfigError::new(
            "tls.certificate",
            format!("{}: no certificate could be read: {why}", path.display()),
        )
    };
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fail(error.to_string()))?;
    if chain.is_empty() {
        return Err(fail("the file has no CERTIFICATE block".into()));
    }
    Ok(chain)
}
