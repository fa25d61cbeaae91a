//! TLS for sinks that connect: one way to say whom to trust and who we are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::ConfigError;

/// Whom a sink trusts and how it identifies itself over TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// A PEM file with the certificate authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// A PEM file with the client certificate and its chain; needs `key`.
    pub certificate: Option<PathBuf>,
    /// A PEM file with the client certificate's private key; needs `certificate`.
    pub key: Option<PathBuf>,
}

impl Tls {
    /// The rustls configuration for outgoing connections (TLS 1.2 and 1.3, certificates always verified).
    ///
    /// # Errors
    /// When a file cannot be read or holds no certificate or key; the path is relative to this section.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, ConfigError> {
        let roots = self.roots()?;
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| ConfigError::new("tls", format!("cannot set up TLS: {e}")))?
            .with_root_certificates(roots);
        let config = match (&self.certificate, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let chain = certificates(certificate, "tls.certificate")?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|e| {
                    ConfigError::new(
                        "tls.key",
                        format!("{}: no private key could be read: {e}", key.display()),
                    )
                })?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|e| ConfigError::new("tls.certificate", format!("cannot be used: {e}")))?
            }
            (Some(_), None) => return Err(ConfigError::new("tls.certificate", "also needs tls.key")),
            (None, Some(_)) => return Err(ConfigError::new("tls.key", "also needs tls.certificate")),
        };
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, ConfigError> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(path) => {
                for certificate in certificates(path, "tls.ca")? {
                    roots.add(certificate).map_err(|e| {
                        ConfigError::new(
                            "tls.ca",
                            format!("{}: not a usable certificate: {e}", path.display()),
                        )
                    })?;
                }
            }
            // A host without any system certificates can still speak to targets with a CA of their own; a
            // connection that needs one then fails with the reason.
            None => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
            }
        }
        Ok(roots)
    }
}

fn certificates(path: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let fail =
        |e: String| ConfigError::new(key, format!("{}: no certificate could be read: {e}", path.display()));
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| fail(e.to_string()))?;
    if found.is_empty() {
        return Err(fail("the file has no CERTIFICATE block".into()));
    }
    Ok(found)
}
