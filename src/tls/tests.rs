//! Handshakes before and after the files are replaced.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rolecall_sink_api::tls::Tls;
use rustls::pki_types::ServerName;
use rustls::version::TLS12;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::server;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn now() -> Timestamp {
    NOW
}

/// Where a listener's files are, and the authority that issues them.
struct Site {
    dir: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Site {
    fn new() -> Self {
        let site = Self { dir: tempfile::tempdir().unwrap(), authority: authority() };
        std::fs::write(site.path("ca.pem"), site.authority.pem()).unwrap();
        site.issue(1);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A certificate with this serial number, and its key, in PEM.
    fn pair(&self, serial: u64, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec!["hooks.example".into(), "::1".into()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// Revokes the certificates with these serial numbers.
    fn revoke(&self, serials: &[u64]) {
        let (this_update, next_update) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1));
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: this_update,
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update,
            next_update,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        std::fs::write(self.path("crl.pem"), list.signed_by(&self.authority).unwrap().pem().unwrap())
            .unwrap();
    }

    fn issue(&self, serial: u64) {
        let (certificate, key) = self.pair(serial, ExtendedKeyUsagePurpose::ServerAuth);
        std::fs::write(self.path("cert.pem"), certificate).unwrap();
        std::fs::write(self.path("key.pem"), key).unwrap();
    }

    fn tls(&self) -> ServerTls {
        ServerTls {
            certificate: self.path("cert.pem"),
            key: self.path("key.pem"),
            client_ca: None,
            client_crl: None,
            min_version: TlsVersion::default(),
        }
    }

    fn server(&self) -> TlsServer {
        TlsServer::load(self.tls(), Listener::Webhooks, now).unwrap()
    }

    /// What a client that trusts the authority is; with a certificate of its own, if it has one.
    fn client(&self, certified_by: Option<&Site>) -> Tls {
        let mut tls = Tls { ca: Some(self.path("ca.pem")), ..Tls::default() };
        if let Some(issuer) = certified_by {
            let (certificate, key) = issuer.pair(99, ExtendedKeyUsagePurpose::ClientAuth);
            std::fs::write(issuer.path("client.pem"), certificate).unwrap();
            std::fs::write(issuer.path("client.key"), key).unwrap();
            tls.certificate = Some(issuer.path("client.pem"));
            tls.key = Some(issuer.path("client.key"));
        }
        tls
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A connection that stands, from both ends.
struct Connection {
    client: TlsStream<DuplexStream>,
    server: server::TlsStream<DuplexStream>,
}

impl Connection {
    /// Shakes hands, and has each end hear of the other: what a server makes of a client's certificate, a client learns
    /// only then (RFC 8446 §4.6.2).
    async fn open(server: &TlsServer, client: &Tls) -> std::io::Result<Self> {
        let (near, far) = duplex(64 * 1024);
        let connector = TlsConnector::from(client.client_config().unwrap());
        let name = ServerName::try_from("hooks.example").unwrap();
        let (client, server) = tokio::join!(connector.connect(name, near), server.accept(far));
        let mut connection = Self { server: server?, client: client? };
        connection.carries_bytes().await?;
        Ok(connection)
    }

    async fn carries_bytes(&mut self) -> std::io::Result<()> {
        self.client.write_all(b"ping").await?;
        let mut heard = [0; 4];
        self.server.read_exact(&mut heard).await?;
        self.server.write_all(&heard).await?;
        self.client.read_exact(&mut heard).await?;
        assert_eq!(&heard, b"ping");
        Ok(())
    }

    /// The serial number of the certificate that the client was shown.
    fn serial(&self) -> String {
        let shown = self.client.get_ref().1.peer_certificates().unwrap();
        Certificate::read(&shown[0]).unwrap().serial
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_who_comes_next_and_closes_no_connection() {
    let site = Site::new();
    let server = site.server();
    let client = site.client(None);
    let mut early = Connection::open(&server, &client).await.unwrap();
    assert_eq!(early.serial(), "01");
    site.issue(2);
    server.reload().await;
    let late = Connection::open(&server, &client).await.unwrap();
    assert_eq!(late.serial(), "02");
    early.carries_bytes().await.unwrap();
    assert_eq!(server.status().certificate.serial, "02");
    assert_eq!(server.status().certificate.names, ["hooks.example", "::1"]);
}

#[tokio::test]
async fn a_certificate_behind_a_link_that_is_swapped_is_noticed() {
    let site = Site::new();
    let swap = |to: &str| {
        std::os::unix::fs::symlink(site.path(to), site.path("next")).unwrap();
        std::fs::rename(site.path("next"), site.path("live")).unwrap();
    };
    for generation in ["a", "b"] {
        std::fs::create_dir(site.path(generation)).unwrap();
        site.issue(if generation == "a" { 1 } else { 2 });
        for name in ["cert.pem", "key.pem"] {
            std::fs::rename(site.path(name), site.path(generation).join(name)).unwrap();
        }
    }
    swap("a");
    let live =
        ServerTls { certificate: site.path("live/cert.pem"), key: site.path("live/key.pem"), ..site.tls() };
    let server = TlsServer::load(live, Listener::Webhooks, now).unwrap();
    assert_eq!(server.status().certificate.serial, "01");
    swap("b");
    server.reload().await;
    assert_eq!(server.status().certificate.serial, "02");
}

#[tokio::test]
async fn files_that_are_half_written_or_do_not_belong_together_change_nothing_and_are_tried_again() {
    let site = Site::new();
    let server = site.server();
    let (certificate, key) = site.pair(2, ExtendedKeyUsagePurpose::ServerAuth);
    let halves = [
        ("cert.pem", &certificate[..certificate.len() / 2], "tls.certificate: "),
        ("cert.pem", "", "has no CERTIFICATE block"),
        ("cert.pem", &certificate, "key.pem is not the key of the first certificate in"),
        ("key.pem", &key[..key.len() / 2], "no private key could be read"),
    ];
    for (name, text, complaint) in halves {
        std::fs::write(site.path(name), text).unwrap();
        server.reload().await;
        let error = server.status().rejected.unwrap().error;
        assert!(error.contains(complaint), "{error}");
        let shown = Connection::open(&server, &site.client(None)).await.unwrap().serial();
        assert_eq!(shown, "01", "{complaint}");
    }
    std::fs::remove_file(site.path("key.pem")).unwrap();
    server.reload().await;
    assert!(server.status().rejected.unwrap().error.contains("cannot be read"));
    std::fs::write(site.path("key.pem"), key).unwrap();
    server.reload().await;
    assert_eq!(server.status().rejected, None);
    assert_eq!(Connection::open(&server, &site.client(None)).await.unwrap().serial(), "02");
}

#[tokio::test]
async fn files_that_are_put_back_are_no_trouble_any_more() {
    let site = Site::new();
    let server = site.server();
    let before = std::fs::read(site.path("key.pem")).unwrap();
    std::fs::write(site.path("key.pem"), "").unwrap();
    server.reload().await;
    assert!(server.status().rejected.is_some());
    std::fs::write(site.path("key.pem"), before).unwrap();
    server.reload().await;
    assert_eq!(server.status().rejected, None);
}

#[tokio::test]
async fn where_there_is_an_authority_for_clients_only_theirs_are_served() {
    let (site, stranger) = (Site::new(), Site::new());
    let tls = ServerTls { client_ca: Some(site.path("ca.pem")), ..site.tls() };
    let (ours, theirs, none) = (site.client(Some(&site)), site.client(Some(&stranger)), site.client(None));
    for (listener, without_one) in [(Listener::Webhooks, false), (Listener::Admin, true)] {
        let server = TlsServer::load(tls.clone(), listener, now).unwrap();
        assert!(Connection::open(&server, &ours).await.is_ok());
        assert!(Connection::open(&server, &theirs).await.is_err());
        assert_eq!(Connection::open(&server, &none).await.is_ok(), without_one, "{listener:?}");
    }
}

#[tokio::test]
async fn who_is_revoked_is_not_served_any_more_and_others_are() {
    let (site, other) = (Site::new(), Site::new());
    site.revoke(&[7]);
    let (ca, crl) = (site.path("ca.pem"), site.path("crl.pem"));
    let tls = ServerTls { client_ca: Some(ca), client_crl: Some(crl.clone()), ..site.tls() };
    let server = TlsServer::load(tls.clone(), Listener::Webhooks, now).unwrap();
    let ours = site.client(Some(&site));
    assert!(Connection::open(&server, &ours).await.is_ok());
    site.revoke(&[7, 99]);
    server.reload().await;
    assert!(Connection::open(&server, &ours).await.is_err());

    // A list that cannot be used lets nobody in again.
    std::fs::write(&crl, "").unwrap();
    server.reload().await;
    assert!(server.status().rejected.unwrap().error.contains("no X509 CRL block"));
    assert!(Connection::open(&server, &ours).await.is_err());
    // One of another authority says nothing about ours.
    other.revoke(&[]);
    std::fs::copy(other.path("crl.pem"), &crl).unwrap();
    server.reload().await;
    assert!(Connection::open(&server, &ours).await.is_err());

    let without = ServerTls { client_ca: None, ..tls };
    assert!(without.check().unwrap_err().to_string().contains("client_ca says who issues them"));
}

#[tokio::test]
async fn authorities_that_are_replaced_count_for_who_comes_next() {
    let (site, other) = (Site::new(), Site::new());
    let tls = ServerTls { client_ca: Some(site.path("clients.pem")), ..site.tls() };
    std::fs::copy(site.path("ca.pem"), site.path("clients.pem")).unwrap();
    let server = TlsServer::load(tls, Listener::Webhooks, now).unwrap();
    let (ours, theirs) = (site.client(Some(&site)), site.client(Some(&other)));
    let mut early = Connection::open(&server, &ours).await.unwrap();
    std::fs::copy(other.path("ca.pem"), site.path("clients.pem")).unwrap();
    server.reload().await;
    assert!(Connection::open(&server, &theirs).await.is_ok());
    assert!(Connection::open(&server, &ours).await.is_err(), "not even by a session of before");
    early.carries_bytes().await.unwrap();
}

#[tokio::test]
async fn an_older_version_than_configured_is_not_spoken() {
    let site = Site::new();
    let oldest = |min_version| {
        let tls = ServerTls { min_version, ..site.tls() };
        TlsServer::load(tls, Listener::Webhooks, now).unwrap()
    };
    let mut roots = RootCertStore::empty();
    roots.add(site.authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS12]).unwrap();
    let old = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    let by = async |server: &TlsServer| {
        let (near, far) = duplex(64 * 1024);
        let name = ServerName::try_from("hooks.example").unwrap();
        let connector = TlsConnector::from(Arc::clone(&old));
        let (client, _) = tokio::join!(connector.connect(name, near), server.accept(far));
        client.ok().and_then(|stream| stream.get_ref().1.protocol_version())
    };
    assert_eq!(by(&oldest(TlsVersion::Tls12)).await, Some(rustls::ProtocolVersion::TLSv1_2));
    assert_eq!(by(&oldest(TlsVersion::Tls13)).await, None);
}

#[test]
fn a_certificate_ends_soon_in_its_last_two_weeks_or_the_last_fifth_of_a_short_life() {
    let at = |hours: i64| NOW + SignedDuration::from_hours(hours);
    let lives = |days: i64| Certificate {
        names: Vec::new(),
        serial: "01".into(),
        not_before: at(0),
        not_after: at(days * 24),
    };
    for (days, hours, expected) in [
        (90, -1, Validity::NotYetValid),
        (90, 0, Validity::Valid),
        (90, 76 * 24, Validity::Valid),
        (90, 76 * 24 + 1, Validity::EndsSoon),
        (90, 90 * 24 - 1, Validity::EndsSoon),
        (90, 90 * 24, Validity::Expired),
        (5, 4 * 24, Validity::Valid),
        (5, 4 * 24 + 1, Validity::EndsSoon),
    ] {
        assert_eq!(lives(days).validity(at(hours)), expected, "{days} days, after {hours} hours");
    }
}
