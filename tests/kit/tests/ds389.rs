//! 389 Directory Server starts, answers, survives and is gone.
#![allow(clippy::unwrap_used, reason = "a panic is the report")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use rolecall_testkit::Ds389;

fn person(uid: &str) -> String {
    format!(
        "dn: uid={uid},ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n\
         userPassword: hush-12345\n"
    )
}

/// Who may use the device that everybody needs: as root, the server has been seen to take it away from all others.
fn mode_of_dev_null() -> u32 {
    fs::metadata("/dev/null").unwrap().mode() & 0o777
}

#[tokio::test]
async fn it_keeps_members_locks_accounts_and_comes_back_with_its_entries() {
    let before = mode_of_dev_null();
    let mut server = Ds389::start().await;
    let (ann, staff) = ("uid=ann,ou=people,dc=example,dc=com", "cn=staff,ou=groups,dc=example,dc=com");
    server.add_ldif(&person("ann")).await;
    server.add_ldif(&format!("dn: {staff}\nobjectClass: groupOfNames\ncn: staff\nmember: {ann}\n")).await;
    assert_eq!(server.entry(ann, &["memberOf"]).await.unwrap().values("memberOf"), [staff]);
    assert!(server.entry(ann, &["nsUniqueId"]).await.unwrap().value("nsUniqueId").is_some());

    assert!(server.can_bind(ann, "hush-12345").await);
    server
        .modify_ldif(&format!("dn: {ann}\nchangetype: modify\nreplace: nsAccountLock\nnsAccountLock: true\n"))
        .await;
    assert!(!server.can_bind(ann, "hush-12345").await);

    let url = server.url();
    server.stop().await;
    server.restart().await;
    assert_eq!(server.url(), url);
    let renamed = format!("dn: {ann}\nchangetype: modrdn\nnewrdn: uid=anna\ndeleteoldrdn: 1\n");
    server.modify_ldif(&renamed).await;
    let members = server.entry(staff, &["member"]).await.unwrap();
    assert_eq!(members.values("member"), ["uid=anna,ou=people,dc=example,dc=com"]);
    assert!(server.can_bind(server.bind_dn(), server.bind_password()).await);

    let certificate: PathBuf = server.ca_path();
    drop(server);
    assert_eq!(mode_of_dev_null(), before);
    assert!(!certificate.exists());
}
