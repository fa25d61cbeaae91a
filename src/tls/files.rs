//! From PEM files to what rustls serves.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use rolecall_sink_api::{ConfigError, Secret};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use sha2::{Digest as _, Sha256};

use super::certificate::Certificate;
use super::config::{ServerTls, TlsVersion};
use super::listener::Listener;

/// The largest file that is read: a bundle of all public authorities has some two hundred kilobytes.
const MOST_BYTES: u64 = 1024 * 1024;

/// What the files held when they were read. The errors' paths begin with `tls`, the name of the section.
pub(super) struct Files {
    certificate: String,
    key: Secret,
    client_ca: Option<String>,
    client_crl: Option<String>,
}

/// What the files are good for.
#[derive(Debug)]
pub(super) struct Usable {
    pub(super) config: Arc<ServerConfig>,
    pub(super) certificate: Certificate,
}

impl Files {
    /// Reads them.
    pub(super) fn read(tls: &ServerTls) -> Result<Self, ConfigError> {
        Ok(Self {
            certificate: text(&tls.certificate, "tls.certificate")?,
            key: Secret::new(text(&tls.key, "tls.key")?),
            client_ca: tls.client_ca.as_ref().map(|path| text(path, "tls.client_ca")).transpose()?,
            client_crl: tls.client_crl.as_ref().map(|path| text(path, "tls.client_crl")).transpose()?,
        })
    }

    /// Tells what they hold from what they held at another time.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let parts = [self.certificate.as_str(), self.key.expose()];
        let of_clients = [&self.client_ca, &self.client_crl].map(|part| part.as_deref().unwrap_or(""));
        for part in parts.into_iter().chain(of_clients) {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    /// Makes of them what connections are accepted with.
    pub(super) fn use_for(self, tls: &ServerTls, listener: Listener) -> Result<Usable, ConfigError> {
        let chain = certificates(&self.certificate, &tls.certificate, "tls.certificate")?;
        let unusable = |why: String| {
            ConfigError::new(
                "tls.certificate",
                format!("{}: cannot be used: {why}", tls.certificate.display()),
            )
        };
        // There is one, or the chain had been refused.
        let certificate = chain.first().map(Certificate::read).unwrap_or_else(|| Err("it is empty".into()));
        let certificate = certificate.map_err(unusable)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.expose().as_bytes()).map_err(|error| {
            ConfigError::new(
                "tls.key",
                format!("{}: no private key could be read: {error}", tls.key.display()),
            )
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = match (&tls.client_ca, &self.client_ca) {
            (Some(path), Some(authorities)) => {
                let revoked = match (&tls.client_crl, &self.client_crl) {
                    (Some(path), Some(lists)) => revoked(lists, path)?,
                    _ => Vec::new(),
                };
                Some(verifier(authorities, path, revoked, listener, &provider)?)
            }
            _ if tls.client_crl.is_some() => {
                return Err(ConfigError::new(
                    "tls.client_crl",
                    "no client is asked for a certificate: client_ca says who issues them",
                ));
            }
            _ => None,
        };
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions(tls.min_version))
            .map_err(|error| unusable(error.to_string()))?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => ConfigError::new(
                "tls.key",
                format!(
                    "{} is not the key of the first certificate in {}",
                    tls.key.display(),
                    tls.certificate.display()
                ),
            ),
            error => unusable(error.to_string()),
        })?;
        config.alpn_protocols = listener.protocols();
        Ok(Usable { config: Arc::new(config), certificate })
    }
}

fn versions(oldest: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static ONLY_13: [&SupportedProtocolVersion; 1] = [&TLS13];
    match oldest {
        TlsVersion::Tls12 => rustls::ALL_VERSIONS,
        TlsVersion::Tls13 => &ONLY_13,
    }
}

fn verifier(
    authorities: &str,
    path: &Path,
    revoked: Vec<CertificateRevocationListDer<'static>>,
    listener: Listener,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
    let unusable =
        |why: String| ConfigError::new("tls.client_ca", format!("{}: cannot be used: {why}", path.display()));
    let mut roots = RootCertStore::empty();
    for authority in certificates(authorities, path, "tls.client_ca")? {
        roots.add(authority).map_err(|error| unusable(error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .with_crls(revoked)
        .only_check_end_entity_revocation();
    let builder = if listener.needs_certificates() { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| match error {
        VerifierBuilderError::InvalidCrl(error) => {
            ConfigError::new("tls.client_crl", format!("a list cannot be used: {error:?}"))
        }
        error => unusable(error.to_string()),
    })
}

fn revoked(pem: &str, path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, ConfigError> {
    let fail = |why: String| {
        let path = path.display();
        ConfigError::new("tls.client_crl", format!("{path}: no list could be read: {why}"))
    };
    let found = CertificateRevocationListDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| fail(error.to_string()))?;
    // Of none, nothing would be revoked.
    if found.is_empty() {
        return Err(fail(
            "the file has no X509 CRL block (`openssl crl -inform DER` makes one of a binary file)".into(),
        ));
    }
    Ok(found)
}

fn text(path: &Path, key: &str) -> Result<String, ConfigError> {
    let fail = |why: String| ConfigError::new(key, format!("{}: cannot be read: {why}", path.display()));
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(read) if read as u64 > MOST_BYTES => Err(fail("it is larger than 1 MiB".into())),
        Ok(_) => Ok(text),
        Err(error) => Err(fail(error.to_string())),
    }
}

fn certificates(pem: &str, path: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let fail = |why: String| {
        ConfigError::new(key, format!("{}: no certificate could be read: {why}", path.display()))
    };
    let found = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| fail(error.to_string()))?;
    if found.is_empty() {
        return Err(fail("the file has no CERTIFICATE block".into()));
    }
    Ok(found)
}
