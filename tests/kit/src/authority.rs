//! Certificates for the servers.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};

/// A certificate authority made for a test; nothing trusts it that was not told to.
pub struct CertificateAuthority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate for `localhost` and 127.0.0.1, with its key, both in PEM.
pub(crate) struct ServerCertificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl CertificateAuthority {
    /// Makes one.
    #[allow(clippy::new_without_default, reason = "each is another authority, which `default` would hide")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "rolecall test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("ring makes a P-256 key");
        let pem = params.self_signed(&key).expect("the key signs").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// The authority's own certificate in PEM: what a client must trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A new certificate for a server on this machine.
    pub(crate) fn certify(&self) -> ServerCertificate {
        let mut params =
            CertificateParams::new(vec!["localhost".to_owned()]).expect("localhost is a DNS name");
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        params.distinguished_name.push(DnType::CommonName, "localhost");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("ring makes a P-256 key");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs").pem();
        ServerCertificate { certificate, key: key.serialize_pem() }
    }

    /// A new client certificate for this name and its key, both in PEM.
    pub fn client(&self, common_name: &str) -> (String, String) {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("ring makes a P-256 key");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs").pem();
        (certificate, key.serialize_pem())
    }

    /// Puts `ca.pem`, `server.pem` and `server.key` (with a new certificate) into `directory`.
    pub fn equip(&self, directory: &Path) {
        let server = self.certify();
        for (name, text) in
            [("ca.pem", &self.pem), ("server.pem", &server.certificate), ("server.key", &server.key)]
        {
            let path = directory.join(name);
            fs::write(&path, text).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
        }
    }
}
