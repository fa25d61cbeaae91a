//! TLS everywhere: the listener's, the directory's both ways, the database's.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::header::CONNECTION;
use rolecall_sink_api::tls::Tls;
use rolecall_testkit::{CertificateAuthority, Postgres, Slapd, until};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::RwLock;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{Answer, Daemon, Ldap, PATIENCE, Person, Sender, Site, Tables};

/// A site whose listener has a certificate of this authority.
fn site_with(authority: &CertificateAuthority) -> Site {
    let site = Site::new();
    authority.equip(site.path("").as_path());
    let (certificate, key) = (site.path("server.pem"), site.path("server.key"));
    site.listen(&format!("tls: {{certificate: {}, key: {}}}", certificate.display(), key.display()))
}

/// A connection that is kept.
struct Kept(TlsStream<TcpStream>);

impl Kept {
    async fn open(site: &Site, daemon: &Daemon) -> Self {
        let tls = Tls { ca: Some(site.path("ca.pem")), ..Tls::default() };
        let mut config = Arc::unwrap_or_clone(tls.client_config().unwrap());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let stream = TcpStream::connect(daemon.address()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        Self(TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap())
    }

    /// The certificate that was shown when it was opened.
    fn shown(&self) -> &CertificateDer<'static> {
        &self.0.get_ref().1.peer_certificates().unwrap()[0]
    }

    async fn is_answered(&mut self) {
        self.0.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\n") {
            assert_ne!(self.0.read_buf(&mut heard).await.unwrap(), 0, "the connection was closed");
        }
        assert!(heard.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&heard));
    }
}

/// The certificate in the site's file.
fn on_disk(site: &Site) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(site.path("server.pem")).unwrap()
}

#[tokio::test]
async fn a_certificate_is_renewed_while_messages_go_on_and_not_one_is_refused() {
    const SENDERS: usize = 4;
    const RENEWALS: usize = 5;
    let authority = CertificateAuthority::new();
    let site = site_with(&authority);
    let daemon = site.start().await;
    let mut kept = Kept::open(&site, &daemon).await;
    let first = on_disk(&site);
    assert_eq!(*kept.shown(), first);

    let (over, taken) = (AtomicBool::new(false), AtomicUsize::new(0));
    let url = format!("https://{}/webhooks/scalekit", daemon.address());
    let sender = Sender::trusting(&url, Tls { ca: Some(site.path("ca.pem")), ..Tls::default() });
    let send = async |number: usize| {
        let mut sent = 0;
        while !over.load(Ordering::Relaxed) {
            let event = Person::new(&format!("p{number}x{sent}")).created();
            let request = sender.signed(&event.message_id, jiff::Timestamp::now(), event.body.as_bytes());
            let request = request.header(CONNECTION, "close").body(event.body.clone());
            let answer = request.send().await.expect("no connection is refused");
            assert_eq!(Answer::of(answer).await.unwrap().text(), "200 committed");
            sent += 1;
            taken.fetch_add(1, Ordering::Relaxed);
        }
    };
    let senders = futures_util::future::join_all((0..SENDERS).map(send));
    let renew = async {
        for _ in 0..RENEWALS {
            let before = taken.load(Ordering::Relaxed);
            authority.equip(site.path("").as_path());
            daemon.ask_to_reload();
            until(PATIENCE, "who connects now is shown the new certificate", async || {
                let shown = Kept::open(&site, &daemon).await.shown() == &on_disk(&site);
                if shown { Ok(()) } else { Err(daemon.log()) }
            })
            .await;
            until(PATIENCE, "messages are taken under it", async || {
                if taken.load(Ordering::Relaxed) >= before + SENDERS { Ok(()) } else { Err(daemon.log()) }
            })
            .await;
        }
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(senders, renew);
    kept.is_answered().await;
    assert_eq!(*kept.shown(), first, "the connection of before goes on");
}

#[tokio::test]
async fn a_certificate_that_somebody_replaces_is_noticed_and_one_without_its_key_is_not_used() {
    let authority = CertificateAuthority::new();
    let site = site_with(&authority);
    let daemon = site.start().await;
    let first = on_disk(&site);
    fs::create_dir(site.path("renewed")).unwrap();
    authority.equip(site.path("renewed").as_path());
    let put = |name: &str| fs::copy(site.path("renewed").join(name), site.path(name)).unwrap();
    put("server.pem");
    daemon.ask_to_reload();
    daemon.logs("server.key is not the key of the first certificate in").await;
    let mut kept = Kept::open(&site, &daemon).await;
    assert_eq!(*kept.shown(), first);

    // Nobody tells the daemon of this.
    put("server.key");
    daemon.logs("is served from now on, in place of").await;
    assert_eq!(*Kept::open(&site, &daemon).await.shown(), on_disk(&site));
    kept.is_answered().await;
}

#[tokio::test]
async fn a_sender_must_show_a_certificate_where_an_authority_for_them_is_configured() {
    let authority = CertificateAuthority::new();
    let site = Site::new();
    authority.equip(site.path("").as_path());
    authority.equip_client(site.path("").as_path(), "proxy");
    let path = |name: &str| site.path(name).display().to_string();
    let (certificate, key, ca) = (path("server.pem"), path("server.key"), path("ca.pem"));
    let (client, client_key) = (path("client.pem"), path("client.key"));
    let site = site.listen(&format!("tls: {{certificate: {certificate}, key: {key}, client_ca: {ca}}}"));
    let daemon = site.start().await;
    for version in ["-tls1_2", "-tls1_3"] {
        for (shows, expected) in [(true, true), (false, false)] {
            let mut openssl = Command::new("openssl");
            openssl.args(["s_client", "-quiet", version, "-verify_return_error", "-CAfile", &ca]);
            openssl.args(["-connect", daemon.address()]);
            if shows {
                openssl.args(["-cert", &client, "-key", &client_key]);
            }
            let mut asked =
                openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            let mut input = asked.stdin.take().unwrap();
            // Whoever is not served may be gone by now.
            let _ = input.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await;
            let heard = asked.wait_with_output().await.unwrap().stdout;
            let heard = String::from_utf8_lossy(&heard);
            assert_eq!(heard.starts_with("HTTP/1.0 200 "), expected, "{version}, {shows}: {heard}");
        }
    }
}

#[tokio::test]
async fn https_ldaps_starttls_and_postgres_carry_an_event_where_nothing_else_is_allowed() {
    let slapd = Arc::new(RwLock::new(Slapd::options().encrypted_only().start().await));
    let postgres = Arc::new(RwLock::new(Postgres::options().encrypted_only().start().await));
    let by_ldaps = Ldap::grow(Arc::clone(&slapd), "ldaps").await;
    let by_starttls = Ldap::grow(Arc::clone(&slapd), "starttls").await;
    let tables = Tables::new(postgres, "tls");
    let site = site_with(&CertificateAuthority::new());
    let ldaps_url = slapd.read().await.ldaps_url();
    let ldaps = by_ldaps.section_at(&site, &ldaps_url, false).await;
    let (starttls, database) = (by_starttls.section(&site).await, tables.section(&site).await);
    let site = site.sink("ldaps", &ldaps).sink("starttls", &starttls).sink("database", &database);
    let checked = site.run(&["check", "--connect"]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let daemon = site.start().await;

    let url = format!("https://{}/webhooks/scalekit", daemon.address());
    let sender = Sender::trusting(&url, Tls { ca: Some(site.path("ca.pem")), ..Tls::default() });
    assert_eq!(sender.send(&Person::new("ada").created()).await.unwrap().text(), "200 committed");
    let ca = site.path("ca.pem");
    let sent =
        site.run(&["send", "--sample", "user_created", "--url", &url, "--ca", ca.to_str().unwrap()]).await;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    site.settled().await;

    for known in [by_ldaps.people().await, by_starttls.people().await, tables.people().await] {
        assert!(known.contains_key("ada") && known.contains_key("maria.lopez@example.com"), "{known:?}");
    }
}

#[tokio::test]
async fn who_does_not_speak_tls_or_trusts_another_authority_gets_no_answer() {
    let site = site_with(&CertificateAuthority::new());
    let daemon = site.start().await;
    let event = Person::new("ada").created();
    let others = site.file("others.pem", CertificateAuthority::new().pem());
    let at = |scheme: &str| format!("{scheme}://{}/webhooks/scalekit", daemon.address());

    assert!(Sender::to(&at("http")).send(&event).await.is_err());
    let wary = Sender::trusting(&at("https"), Tls { ca: Some(others.clone()), ..Tls::default() });
    assert!(wary.send(&event).await.is_err());
    let sent = ["send", "--sample", "user_created", "--url", &at("https"), "--ca", others.to_str().unwrap()];
    let sent = site.run(&sent).await;
    assert_eq!(sent.code, Some(3), "{sent:?}");

    let trusting = Sender::trusting(&at("https"), Tls { ca: Some(site.path("ca.pem")), ..Tls::default() });
    assert_eq!(trusting.send(&event).await.unwrap().text(), "200 committed");
}

#[tokio::test]
async fn a_store_whose_authority_is_not_trusted_gets_no_password() {
    let ldap = Ldap::grow(crate::support::slapd().await, "untrusted").await;
    let tables = Tables::new(crate::support::postgres().await, "untrusted");
    let site = Site::new();
    let others = site.file("others.pem", CertificateAuthority::new().pem());
    let untrusting = |section: String| {
        let tls = section.lines().find(|line| line.starts_with("tls:")).unwrap().to_owned();
        section.replace(&tls, &format!("tls: {{ca: {}}}", others.display()))
    };
    let sections = (untrusting(ldap.section(&site).await), untrusting(tables.section(&site).await));
    let site = site.sink("ldap", &sections.0).sink("postgres", &sections.1);

    let checked = site.run(&["check", "--connect"]).await;

    assert_eq!(checked.code, Some(1), "{checked:?}");
    for sink in ["ldap (ldap): wrong", "postgres (postgres): wrong"] {
        assert!(checked.stdout.contains(sink), "{}", checked.stdout);
    }
    let why = checked.stdout.matches("invalid peer certificate").count();
    assert_eq!(why, 2, "each says why: {}", checked.stdout);
}
