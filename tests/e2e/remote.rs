//! A daemon that is looked after from another host: its admin API over HTTPS, by a token or a certificate.

use std::path::Path;

use rolecall_testkit::{CertificateAuthority, until};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::{Daemon, Ended, PATIENCE, Person, Site, end, rolecall};

const READER: &str = "read-me-read-me-read";
const OWNER: &str = "do-all-do-all-do-all";

/// A daemon that is asked over the network, and who asks it: nothing of its host is theirs.
struct Remote {
    authority: CertificateAuthority,
    /// The daemon's host.
    site: Site,
    daemon: Daemon,
    url: String,
    /// The host from which it is asked.
    elsewhere: Site,
}

impl Remote {
    /// It knows one user; whoever has a token of the two, or a certificate for `grafana` or `ops`, is let in.
    async fn start() -> Self {
        let authority = CertificateAuthority::new();
        let site = Site::new();
        authority.equip(&site.path(""));
        let at = |name: &str| site.path(name).display().to_string();
        let (reader, owner) = (site.file("reader", READER), site.file("owner", OWNER));
        let listen = format!(
            "listen: {{address: '127.0.0.1:0', tls: {{certificate: {}, key: {}, client_ca: {}}}, \
             clients: [{{name: grafana}}, {{name: ops, access: full}}], \
             tokens: [{{name: reader, secret: {{file: {}}}}}, {{name: owner, access: full, secret: {{file: {}}}}}]}}",
            at("server.pem"),
            at("server.key"),
            at("ca.pem"),
            reader.display(),
            owner.display(),
        );
        let site = site.admin(&listen);
        let daemon = site.start().await;
        daemon.send([&Person::new("ada").created()]).await;
        let url = format!("https://{}", daemon.admin_address().await);
        let elsewhere = Site::new();
        elsewhere.file("ca.pem", authority.pem());
        Self { authority, site, daemon, url, elsewhere }
    }

    /// Runs a command on the other host, with this token, and with more options.
    async fn ask(&self, token: &str, command: &[&str], more: &[&str]) -> Ended {
        self.ask_at(&self.url, &self.elsewhere.path("ca.pem"), token, command, more).await
    }

    async fn ask_at(&self, url: &str, ca: &Path, token: &str, command: &[&str], more: &[&str]) -> Ended {
        let mut rolecall = rolecall();
        rolecall.args(command).args(["--admin", url, "--admin-ca"]).arg(ca).args(more);
        let ended = end(rolecall.env("ROLECALL_ADMIN_TOKEN", token)).await;
        assert!(token.is_empty() || !format!("{ended:?}").contains(token), "{ended:?}");
        ended
    }

    /// What runs a command with a certificate that this authority issued.
    async fn ask_with_certificate(
        &self,
        authority: &CertificateAuthority,
        name: &str,
        command: &[&str],
    ) -> Ended {
        authority.equip_client(&self.elsewhere.path(""), name);
        let [certificate, key] = ["client.pem", "client.key"].map(|name| self.elsewhere.path(name));
        let shown =
            ["--admin-certificate", certificate.to_str().unwrap(), "--admin-key", key.to_str().unwrap()];
        self.ask("", command, &shown).await
    }
}

#[tokio::test]
async fn whoever_has_a_token_looks_after_a_daemon_on_another_host() {
    let remote = Remote::start().await;
    let status = remote.ask(READER, &["status", "--json"], &[]).await;
    assert_eq!(status.code, Some(0), "{status:?}");
    assert_eq!(status.json()["store"]["active_users"], 1);
    for (command, words) in [
        (&["queue", "list"][..], ""),
        (&["users", "show", "diruser_ada"], "ada@example.com"),
        (&["explain", "ada"], "ada@example.com"),
        (&["events", "list"], "user_created"),
        (&["export"], "diruser_ada"),
    ] {
        let asked = remote.ask(READER, command, &[]).await;
        assert_eq!(asked.code, Some(0), "{asked:?}");
        assert!(asked.stdout.contains(words), "{command:?}: {asked:?}");
    }
    let reloaded = remote.ask(OWNER, &["rules", "reload"], &[]).await;
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");

    let backup = remote.elsewhere.path("backup.db");
    let made = remote.ask(OWNER, &["store", "backup", backup.to_str().unwrap()], &[]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.stdout.contains("1 user, 0 groups, 1 message"), "{made:?}");
    remote.daemon.logs("token owner").await;
}

#[tokio::test]
async fn a_token_that_only_reads_is_wrong_or_missing_changes_nothing_and_is_told_why() {
    let remote = Remote::start().await;
    let reload = &["rules", "reload"][..];
    for (token, command, words) in [
        (READER, reload, "this needs full access, and token reader may only read"),
        ("do-all-do-all-do-alt", reload, "this token is none of admin.listen.tokens"),
        ("", &["status"], "a token is given by ROLECALL_ADMIN_TOKEN or --admin-token-file"),
    ] {
        let refused = remote.ask(token, command, &[]).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    let token = remote.elsewhere.file("token", OWNER);
    let by_file = remote.ask("", reload, &["--admin-token-file", token.to_str().unwrap()]).await;
    assert_eq!(by_file.code, Some(0), "{by_file:?}");
}

#[tokio::test]
async fn whoever_shows_a_certificate_is_let_in_as_far_as_its_name_is() {
    let remote = Remote::start().await;
    let (status, reload) = (&["status"][..], &["rules", "reload"][..]);
    for (name, command, code, words) in [
        ("grafana", status, 0, ""),
        ("grafana", reload, 1, "this needs full access, and certificate grafana may only read"),
        ("ops", reload, 0, ""),
        ("mallory", status, 1, "this certificate is for [\"mallory\"]: none of admin.listen.clients"),
    ] {
        let asked = remote.ask_with_certificate(&remote.authority, name, command).await;
        assert_eq!(asked.code, Some(code), "{name}: {asked:?}");
        assert!(asked.stderr.contains(words), "{name}: {asked:?}");
    }
    let forged = remote.ask_with_certificate(&CertificateAuthority::new(), "ops", reload).await;
    assert_eq!(forged.code, Some(1), "{forged:?}");
    remote.daemon.logs("certificate ops").await;
}

#[tokio::test]
async fn who_does_not_show_that_they_are_the_daemon_is_asked_nothing() {
    let remote = Remote::start().await;
    let (ours, theirs) = (remote.elsewhere.path("ca.pem"), CertificateAuthority::new());
    let theirs = remote.elsewhere.file("theirs.pem", theirs.pem());
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("https://{}", gone.local_addr().unwrap());
    drop(gone);
    let webhooks = format!("https://{}", remote.daemon.address());
    for (url, ca, code, words) in [
        (remote.url.as_str(), &theirs, 3, "name the authority that issued it with --admin-ca"),
        (nobody.as_str(), &ours, 3, "nobody listens there"),
        (webhooks.as_str(), &ours, 1, "it does not speak TLS"),
        ("http://rolecall.example:8443", &ours, 2, "--admin-allow-plaintext"),
        (
            "https://rolecall.invalid:8443",
            &ours,
            3,
            "cannot reach the daemon at https://rolecall.invalid:8443",
        ),
    ] {
        let asked = remote.ask_at(url, ca, OWNER, &["status"], &[]).await;
        assert_eq!(asked.code, Some(code), "{url}: {asked:?}");
        assert!(asked.stderr.contains(words), "{url}: {asked:?}");
    }
}

#[tokio::test]
async fn what_works_on_files_is_not_done_for_another_host() {
    let site = Site::new();
    let plugin = site.path("plugin").display().to_string();
    for command in [
        &["check"][..],
        &["serve"],
        &["send", "--list"],
        &["store", "restore", "backup.db"],
        &["store", "check", "--store", "rolecall.db"],
        &["rules", "test"],
        &["plugin", "new", &plugin],
        &["demo"],
    ] {
        let refused = site.run(&[command, &["--admin", "https://rolecall.example:8443"]].concat()).await;
        assert_eq!(refused.code, Some(2), "{command:?}: {refused:?}");
        assert!(
            refused.stderr.contains("run it on the host of https://rolecall.example:8443"),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn the_certificate_of_the_admin_api_is_renewed_while_it_is_asked() {
    let remote = Remote::start().await;
    let serial = async || {
        let status = remote.ask(READER, &["status", "--json"], &[]).await;
        assert_eq!(status.code, Some(0), "{status:?}");
        status.json()["admin"]["tls"]["certificate"]["serial"].clone()
    };
    let before = serial().await;
    assert!(before.is_string(), "{before}");
    remote.authority.equip(&remote.site.path(""));
    remote.daemon.ask_to_reload();
    until(PATIENCE, "who connects now is shown the new certificate", async || {
        let now: Value = serial().await;
        if now == before { Err(remote.daemon.log()) } else { Ok(()) }
    })
    .await;
}
