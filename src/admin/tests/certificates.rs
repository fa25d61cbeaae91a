//! Who is let in by a certificate, and how.

use std::path::PathBuf;

use http::StatusCode;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use reqwest::RequestBuilder;
use rolecall_sink_api::SecretSource;
use rolecall_sink_api::tls::Tls;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::access::OWNER;
use super::{Daemon, now};
use crate::admin::access::{Gate, Tokens};
use crate::config::{Access, ClientConfig, TokenConfig};
use crate::tls::{Listener, ServerTls, TlsServer, TlsVersion};

/// An authority, and files with what it issued.
struct Authority {
    directory: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { directory: TempDir::new().unwrap(), issuer };
        std::fs::write(authority.path("ca.pem"), authority.issuer.pem()).unwrap();
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Issues a certificate with this common name.
    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        std::fs::write(&files.0, certificate.pem()).unwrap();
        std::fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }

    /// A daemon that asks for its certificates, lets in `alice` to read and `olga` to do everything, and whoever has the
    /// token.
    async fn daemon(&self) -> Daemon {
        let (certificate, key) = self.issue("rolecall", ExtendedKeyUsagePurpose::ServerAuth);
        let client_ca = Some(self.path("ca.pem"));
        let tls =
            ServerTls { certificate, key, client_ca, client_crl: None, min_version: TlsVersion::default() };
        let tls = TlsServer::load(tls, Listener::Admin, now).unwrap();
        let client = |name: &str, access| ClientConfig { name: name.into(), access };
        let clients = vec![client("alice", Access::Read), client("olga", Access::Full)];
        std::fs::write(self.path("token"), OWNER).unwrap();
        let secret = SecretSource::File(self.path("token"));
        let tokens = Tokens::read(&[TokenConfig { name: "ops".into(), access: Access::Full, secret }]);
        Daemon::start_in_private(Gate::new(tokens.unwrap(), clients), tls).await
    }

    /// A client that shows what `issuer` issued for this name.
    fn client(&self, shown: Option<(&Authority, &str)>) -> reqwest::Client {
        let mut tls = Tls { ca: Some(self.path("ca.pem")), ..Tls::default() };
        if let Some((issuer, name)) = shown {
            let (certificate, key) = issuer.issue(name, ExtendedKeyUsagePurpose::ClientAuth);
            (tls.certificate, tls.key) = (Some(certificate), Some(key));
        }
        let tls = (*tls.client_config().unwrap()).clone();
        reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap()
    }
}

/// The status of the answer, and what it says.
async fn answer(request: RequestBuilder) -> (StatusCode, String) {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let answer: Value = answer.json().await.unwrap();
    (status, answer["detail"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_certificate_lets_in_whom_it_names_as_far_as_their_access_goes() {
    let authority = Authority::new();
    let daemon = authority.daemon().await;
    let at = |path: &str| format!("https://{}{path}", daemon.address);

    let alice = authority.client(Some((&authority, "alice")));
    assert_eq!(answer(alice.get(at("/v1/status"))).await.0, StatusCode::OK);
    let (status, why) = answer(alice.post(at("/v1/rules/reload")).json(&json!({}))).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(why.contains("certificate alice may only read"), "{why}");

    let olga = authority.client(Some((&authority, "olga")));
    assert_eq!(answer(olga.post(at("/v1/rules/reload")).json(&json!({}))).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_certificate_of_nobody_lets_nobody_in_as_a_wrong_token_does_not() {
    let authority = Authority::new();
    let daemon = authority.daemon().await;
    let at = |path: &str| format!("https://{}{path}", daemon.address);

    let mallory = authority.client(Some((&authority, "mallory")));
    let (status, why) = answer(mallory.get(at("/v1/status"))).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(why.contains("mallory") && why.contains("admin.listen.clients"), "{why}");

    let alice = authority.client(Some((&authority, "alice")));
    let wrong = answer(alice.get(at("/v1/status")).bearer_auth("do-all-do-all-do-alt")).await;
    assert_eq!(wrong.0, StatusCode::UNAUTHORIZED, "the certificate does not count where a token is wrong");

    let other = Authority::new();
    let forged = authority.client(Some((&other, "alice")));
    assert!(forged.get(at("/v1/health")).send().await.is_err());
}

#[tokio::test]
async fn a_token_lets_in_over_tls_without_a_certificate_and_counts_before_one() {
    let authority = Authority::new();
    let daemon = authority.daemon().await;
    let at = |path: &str| format!("https://{}{path}", daemon.address);

    let nobody = authority.client(None);
    assert_eq!(answer(nobody.get(at("/v1/health"))).await.0, StatusCode::OK);
    assert_eq!(answer(nobody.get(at("/v1/status"))).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(answer(nobody.get(at("/v1/status")).bearer_auth(OWNER)).await.0, StatusCode::OK);

    let alice = authority.client(Some((&authority, "alice")));
    let reload = alice.post(at("/v1/rules/reload")).json(&json!({})).bearer_auth(OWNER);
    assert_eq!(answer(reload).await.0, StatusCode::OK);
}

#[tokio::test]
async fn nothing_is_said_in_the_clear_where_there_is_a_certificate() {
    let authority = Authority::new();
    let daemon = authority.daemon().await;
    let nobody = authority.client(None);
    let asked = nobody.get(format!("http://{}/v1/health", daemon.address)).send().await;
    assert!(asked.is_err(), "{asked:?}");
}

#[tokio::test]
async fn status_and_metrics_tell_the_certificates_of_both_listeners_apart() {
    let authority = Authority::new();
    let daemon = authority.daemon().await;
    let status = daemon.client.status().await.unwrap();
    let [hooks, admin] = [status.listen, status.admin].map(|listen| listen.tls.unwrap().certificate);
    assert_eq!((hooks.names[0].as_str(), admin.names[0].as_str()), ("localhost", "127.0.0.1"));

    let asked = authority.client(None).get(format!("https://{}/metrics", daemon.address)).bearer_auth(OWNER);
    let page = asked.send().await.unwrap().text().await.unwrap();
    for (listener, certificate) in [("webhooks", hooks), ("admin", admin)] {
        let name = format!("rolecall_certificate_expiry_timestamp_seconds{{listener=\"{listener}\"}} ");
        let line = page.lines().find_map(|line| line.strip_prefix(&name)).unwrap();
        assert_eq!(line.parse::<f64>().unwrap() as i64, certificate.not_after.as_second(), "{listener}");
    }
}
