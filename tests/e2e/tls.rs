//! TLS everywhere: the listener's, the directory's both ways, the database's.

use std::sync::Arc;

use rolecall_sink_api::tls::Tls;
use rolecall_testkit::{CertificateAuthority, Postgres, Slapd};
use tokio::sync::RwLock;

use crate::support::{Ldap, Person, Sender, Site, Tables};

/// A site whose listener has a certificate of this authority.
fn site_with(authority: &CertificateAuthority) -> Site {
    let site = Site::new();
    authority.equip(site.path("").as_path());
    let (certificate, key) = (site.path("server.pem"), site.path("server.key"));
    site.listen(&format!("tls: {{certificate: {}, key: {}}}", certificate.display(), key.display()))
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
