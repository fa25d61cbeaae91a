//! Certificates for the servers.

use std::fs::{self, Permissions};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt as _;
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

/// A certificate with its key, both in PEM.
pub(crate) struct Certificate {
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

    /// A new certificate for a server on this machine, which also listens on `address`.
    pub(crate) fn certify(&self, address: Ipv4Addr) -> Certificate {
        let mut params =
            CertificateParams::new(vec!["localhost".to_owned()]).expect("localhost is a DNS name");
        for address in [Ipv4Addr::LOCALHOST, address] {
            params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(address)));
        }
        params.distinguished_name.push(DnType::CommonName, "localhost");
        self.sign(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A new certificate for a client, whose subject is `CN=name`.
    fn certify_client(&self, name: &str) -> Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, mut params: CertificateParams, purpose: ExtendedKeyUsagePurpose) -> Certificate {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("ring makes a P-256 key");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs").pem();
        Certificate { certificate, key: key.serialize_pem() }
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
        self.equip_at(directory, Ipv4Addr::LOCALHOST);
    }

    /// The same for a server that listens on another address.
    pub(crate) fn equip_at(&self, directory: &Path, address: Ipv4Addr) {
        write(&directory.join("ca.pem"), &self.pem);
        self.certify(address).write(directory, "server");
    }

    /// Puts `client.pem` and `client.key` into `directory`: a new certificate for a client that is called `name`.
    pub fn equip_client(&self, directory: &Path, name: &str) {
        self.certify_client(name).write(directory, "client");
    }
}

impl Certificate {
    fn write(&self, directory: &Path, name: &str) {
        write(&directory.join(format!("{name}.pem")), &self.certificate);
        let key = directory.join(format!("{name}.key"));
        write(&key, &self.key);
        // Some servers refuse a key that others may read.
        fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("the key is ours");
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}
