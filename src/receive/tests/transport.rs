//! TLS, HTTP/2, stopping, and a socket from systemd.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rolecall_sink_api::SecretSource;
use rustls::RootCertStore;

use super::*;
use crate::source::{SourceConfig, SourceKind};
use crate::tls::{ServerTls, TlsVersion};

/// A certificate for 127.0.0.1 in `dir`, and whom to trust for it.
fn certificate(dir: &Path) -> (ServerTls, RootCertStore) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
    let tls = ServerTls {
        certificate: dir.join("cert.pem"),
        key: dir.join("key.pem"),
        client_ca: None,
        client_crl: None,
        min_version: TlsVersion::default(),
    };
    std::fs::write(&tls.certificate, cert.pem()).unwrap();
    std::fs::write(&tls.key, signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    (tls, roots)
}

#[tokio::test]
async fn https_speaks_http_2_where_the_sender_can() {
    let dir = tempfile::tempdir().unwrap();
    let (tls, roots) = certificate(dir.path());
    let daemon = Daemon::start(ListenConfig { tls: Some(tls), ..config() }).await;
    let headers = key().sign("msg_1", now(), USER.as_bytes());
    let url = format!("https://{}/webhooks/scalekit", daemon.address);
    for (alpn, version) in [("h2", reqwest::Version::HTTP_2), ("http/1.1", reqwest::Version::HTTP_11)] {
        let client = client_builder(roots.clone(), alpn).build().unwrap();
        let heard = hear(signed(client.post(&url), &headers).body(USER)).await;
        assert_eq!((heard.status, heard.version), (200, version));
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_come_about_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let (tls, _) = certificate(dir.path());
    let daemon =
        Daemon::start(ListenConfig { tls: Some(tls), handshake_timeout: millis(50), ..config() }).await;
    assert_eq!(until_closed(&mut daemon.connect().await).await, "");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_told_by_its_key_in_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let (good, _) = certificate(dir.path());
    let other = tempfile::tempdir().unwrap();
    let (mismatched, _) = certificate(other.path());
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for (tls, path) in [
        (ServerTls { certificate: empty.clone(), ..good.clone() }, "tls.certificate"),
        (ServerTls { certificate: dir.path().join("absent.pem"), ..good.clone() }, "tls.certificate"),
        (ServerTls { key: empty, ..good.clone() }, "tls.key"),
        (ServerTls { key: mismatched.key, ..good }, "tls.key"),
    ] {
        let config = ListenConfig { tls: Some(tls.clone()), ..config() };
        let error = Receiver::new(config, vec![], Intake::new(1).0, now, Traces::default()).err().unwrap();
        assert_eq!(error.path, path, "{tls:?}: {error}");
    }
}

#[tokio::test]
async fn plain_http_2_is_spoken_to_whoever_starts_with_it() {
    let daemon = Daemon::start(config()).await;
    let client = client_builder(RootCertStore::empty(), "h2").http2_prior_knowledge().build().unwrap();
    let headers = key().sign("msg_1", now(), USER.as_bytes());
    let url = format!("http://{}/webhooks/scalekit", daemon.address);
    let heard = hear(signed(client.post(url), &headers).body(USER)).await;
    assert_eq!((heard.status, heard.version), (200, reqwest::Version::HTTP_2));
}

#[tokio::test]
async fn what_is_under_way_is_finished_before_the_receiver_stops() {
    let (daemon, mut store) = Daemon::with_store(config()).await;
    let address = daemon.address;
    let mut idle = daemon.connect().await;
    let mut busy = daemon.connect().await;
    write(&mut busy, &wire(&key().sign("msg_1", now(), USER.as_bytes()), USER)).await;
    let held = in_time(store.recv()).await.unwrap();

    daemon.stop.cancel();
    assert_eq!(until_closed(&mut idle).await, "");
    assert!(!daemon.serving.is_finished());
    assert!(TcpStream::connect(address).await.is_err(), "it still listens");

    held.answer.send(Ok(Receipt::Committed)).unwrap();
    let said = until_closed(&mut busy).await;
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.contains("connection: close"), "{said}");
    daemon.stopped().await;
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut_off() {
    let (daemon, mut store) =
        Daemon::with_store(ListenConfig { drain_timeout: millis(50), ..config() }).await;
    let mut busy = daemon.connect().await;
    write(&mut busy, &wire(&key().sign("msg_1", now(), USER.as_bytes()), USER)).await;
    let _held = in_time(store.recv()).await.unwrap();
    daemon.stopped().await;
    assert_eq!(until_closed(&mut busy).await, "");
}

#[tokio::test]
async fn an_address_in_use_is_told_with_its_key() {
    let daemon = Daemon::start(config()).await;
    let config = ListenConfig { address: daemon.address, ..config() };
    let receiver = Receiver::new(config, vec![], Intake::new(1).0, now, Traces::default()).unwrap();
    let error = receiver.bind(None).await.err().unwrap().to_string();
    assert!(error.starts_with(&format!("cannot listen on {} (listen.address): ", daemon.address)), "{error}");
}

/// Another process that serves a socket which it inherits, as from systemd: descriptor 3, and who it is for.
struct Heir {
    process: Child,
    address: SocketAddr,
}

impl Heir {
    /// `limits` are shell commands that bound what the process may use.
    fn start(limits: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = format!(r#"exec 3<&0 </dev/null; {limits}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@""#);
        let process = Command::new("sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "receive::tests::transport::serve_inherited_socket", "--ignored"])
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, address }
    }

    async fn is_healthy(&self) -> bool {
        hear(client().get(format!("http://{}/healthz", self.address))).await.status == 200
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
#[ignore = "the other half of the tests that start an heir, in a process of its own"]
async fn serve_inherited_socket() {
    let inherited = InheritedSockets::from_environment().tcp_listener().unwrap();
    let receiver = Receiver::new(config(), vec![source()], Intake::new(1).0, now, Traces::default()).unwrap();
    let bound = receiver.bind(Some(inherited.expect("no socket was passed"))).await.unwrap();
    bound.serve(CancellationToken::new()).await;
}

#[tokio::test]
async fn a_socket_that_systemd_opened_is_served() {
    assert!(Heir::start(":").is_healthy().await);
}

#[tokio::test]
async fn running_out_of_descriptors_is_survived() {
    let heir = Heir::start("ulimit -n 24");
    let mut held = Vec::new();
    let mut answered = 0;
    for _ in 0..24 {
        let mut stream = TcpStream::connect(heir.address).await.unwrap();
        write(&mut stream, "GET /healthz HTTP/1.1\r\nhost: rolecall\r\n\r\n").await;
        // The first one waits for the process to start; one that waits later has no descriptor.
        let patience = if held.is_empty() { PATIENCE } else { Duration::from_millis(500) };
        let answer = tokio::time::timeout(patience, stream.readable()).await;
        held.push(stream);
        if answer.is_err() {
            break;
        }
        answered += 1;
    }
    assert!((1..24).contains(&answered), "{answered} were answered: it has not run out");
    drop(held);
    assert!(heir.is_healthy().await);
}

#[test]
fn a_configured_source_has_at_least_one_secret_that_is_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, secret: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, secret).unwrap();
        SecretSource::File(path)
    };
    let build = |secrets| {
        let config =
            SourceConfig { kind: SourceKind::Scalekit, secrets, tolerance: Timespan::from_secs(300) };
        NamedSource::new("scalekit".to_owned().try_into().unwrap(), &config)
    };
    let good = file("good", SECRET);
    assert!(build(vec![good.clone()]).is_ok());
    assert_eq!(build(vec![]).err().unwrap().path, "secrets");
    let error = build(vec![good, file("bad", "hunter2")]).err().unwrap();
    assert_eq!(error.path, "secrets.1");
    assert!(error.message.contains("whsec_") && !error.message.contains("hunter2"), "{error}");
}
