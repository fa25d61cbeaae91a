//! Samba as a domain controller starts, answers, survives and is gone.
#![allow(clippy::unwrap_used, reason = "a panic is the report")]

use rolecall_testkit::Samba;

#[tokio::test]
async fn it_keeps_accounts_and_members_and_comes_back_with_its_entries() {
    let mut server = Samba::start().await;
    let (ann, staff) =
        ("CN=ann,OU=people,DC=ad,DC=example,DC=com", "CN=staff,OU=groups,DC=ad,DC=example,DC=com");
    server.add_ldif(&format!("dn: {ann}\nobjectClass: user\nsAMAccountName: ann\n")).await;
    server.add_ldif(&format!("dn: {staff}\nobjectClass: group\nmember: {ann}\n")).await;
    let entry = server.entry(ann, &["memberOf", "objectGUID"]).await.unwrap();
    assert_eq!(entry.values("memberOf"), [staff]);
    assert!(entry.value("objectGUID").is_some());

    let url = server.ldaps_url();
    server.stop().await;
    server.restart().await;
    assert_eq!(server.ldaps_url(), url);
    assert_eq!(server.entry(staff, &[]).await.unwrap().values("member"), [ann]);
    assert!(server.can_bind(server.bind_dn(), server.bind_password()).await);
    assert!(!server.can_bind(server.bind_dn(), "wrong").await);

    let certificate = server.ca_path();
    drop(server);
    assert!(!certificate.exists());
}
