//! Who we are without a password, and connections that end while nobody looks.

use std::time::Duration;

use rolecall_sink_api::{Action, Sink as _};
use rolecall_testkit::{Slapd, until};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::fixture::{Daemon, Directory, action, sink, user};

/// A notice of disconnection (RFC 4511 §4.4.1): an answer to nothing, with the code `unavailable`.
const NOTICE: &[u8] =
    b"\x30\x24\x02\x01\x00\x78\x1f\x0a\x01\x34\x04\x00\x04\x00\x8a\x161.3.6.1.4.1.1466.20036";

async fn creates(config: Value) {
    let sink = sink(config);
    sink.probe().await.unwrap();
    assert_eq!(action(&Daemon::default().deliver(&sink, [user("ada").into()]).await[0]), Action::Created);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_enough_to_sign_in() {
    let directory = Directory::start().await;
    let (certificate, key) = directory.slapd.client_certificate();
    let mut config = directory.config();
    config["bind"] = json!({ "method": "external" });
    config["url"] = json!(directory.slapd.ldaps_url());
    config["tls"] = json!({ "ca": directory.slapd.ca_path(), "certificate": certificate, "key": key });
    creates(config.clone()).await;

    // Without it, nobody is there to be.
    config["tls"] = json!({ "ca": directory.slapd.ca_path() });
    let reason = sink(config).probe().await.unwrap_err().reason;
    assert!(reason.contains("bind with SASL EXTERNAL refused"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unix_user_is_enough_to_sign_in_through_the_socket() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["bind"] = json!({ "method": "external" });
    creates(config).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_closed_for_idling_is_made_anew() {
    let directory = Directory::with(Slapd::options().idle_timeout(1).start().await);
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    daemon.deliver(&sink, [user("ada").into()]).await;
    until(Duration::from_secs(30), "slapd closes rolecall's connection", async || {
        let filter = format!("(monitorConnectionAuthzDN={})", directory.slapd.bind_dn());
        let open = directory.slapd.search("cn=Connections,cn=Monitor", &filter, &["1.1"]).await;
        if open.is_empty() { Ok(()) } else { Err(open) }
    })
    .await;
    assert_eq!(action(&daemon.deliver(&sink, [user("bob").into()]).await[0]), Action::Created);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_of_disconnection_ends_the_connection_and_not_the_work() {
    let directory = Directory::start().await;
    let (url, notify) = proxy(&directory.slapd.url()).await;
    let mut config = directory.config();
    config["url"] = json!(url);
    config["allow_plaintext_password"] = json!(true);
    let (sink, mut daemon) = (sink(config), Daemon::default());
    daemon.deliver(&sink, [user("ada").into()]).await;
    let (done, told) = oneshot::channel();
    notify.send(done).unwrap();
    told.await.unwrap();
    assert_eq!(action(&daemon.deliver(&sink, [user("bob").into()]).await[0]), Action::Created);
}

/// Stands before `server`. When asked to, it ends the first connection with a notice of disconnection, and says so;
/// further ones it lets be.
async fn proxy(server: &str) -> (String, oneshot::Sender<oneshot::Sender<()>>) {
    let server = server.strip_prefix("ldap://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    let (notify, asked) = oneshot::channel::<oneshot::Sender<()>>();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut upstream = TcpStream::connect(&server).await.unwrap();
        let done = tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut upstream) => return,
            done = asked => done.unwrap(),
        };
        client.write_all(NOTICE).await.unwrap();
        client.shutdown().await.unwrap();
        drop(upstream);
        done.send(()).unwrap();
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut upstream = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
            });
        }
    });
    (url, notify)
}
