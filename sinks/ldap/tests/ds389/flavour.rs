//! What is different about 389 Directory Server.

use rolecall_sink_api::{Action, Findings, Sink as _};
use serde_json::json;

use crate::fixture::{Daemon, UserExt as _, action, group, person, role, sink, team, user};
use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_is_locked_the_servers_way_and_unlocked_again() {
    let server = Server::start().await;
    let mut config = server.config();
    config["people"]["first_password"] = json!("random");
    let (sink, mut daemon) = (sink(config), Daemon::default());
    let ada = || user("ada").within(&["staff"]).with_roles(&["admin"]);
    daemon.deliver(&sink, [group("staff").into(), ada().into()]).await;
    assert!(server.value(&person("ada"), "userPassword").await.is_some(), "a first password");
    let record = format!(
        "dn: {}\nchangetype: modify\nreplace: userPassword\nuserPassword: hunter-22\n",
        person("ada")
    );
    server.ds389.modify_ldif(&record).await;
    assert!(server.ds389.can_bind(&person("ada"), "hunter-22").await);

    assert_eq!(action(&daemon.deliver(&sink, [ada().deactivated().into()]).await[0]), Action::Deactivated);
    assert_eq!(server.value(&person("ada"), "nsAccountLock").await.as_deref(), Some("true"));
    assert!(!server.ds389.can_bind(&person("ada"), "hunter-22").await);
    assert_eq!(server.values(&role("admin"), "member").await, [""; 0], "groups may be empty here");
    assert_eq!(server.values(&team("staff"), "member").await, [person("ada")]);

    daemon.forget();
    assert_eq!(action(&daemon.deliver(&sink, [ada().into()]).await[0]), Action::Reactivated);
    assert_eq!(server.value(&person("ada"), "nsAccountLock").await, None);
    assert!(server.ds389.can_bind(&person("ada"), "hunter-22").await, "with the password they had");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_tied_by_the_servers_own_id() {
    let server = Server::start().await;
    let (sink, mut daemon) = (server.sink(), Daemon::default());
    daemon.deliver(&sink, [user("ada").into()]).await;
    let id = server.value(&person("ada"), "nsUniqueId").await;
    assert!(id.is_some());
    let moved = "changetype: modrdn\nnewrdn: uid=byhand\ndeleteoldrdn: 1\nnewsuperior: dc=example,dc=com\n";
    server.ds389.modify_ldif(&format!("dn: {}\n{moved}", person("ada"))).await;
    let unmarked = "changetype: modify\ndelete: businessCategory\n";
    server.ds389.modify_ldif(&format!("dn: uid=byhand,dc=example,dc=com\n{unmarked}")).await;
    assert_eq!(action(&daemon.deliver(&sink, [user("ada").into()]).await[0]), Action::Updated);
    assert_eq!(server.value(&person("ada"), "nsUniqueId").await, id);
    assert_eq!(server.value(&person("ada"), "businessCategory").await.as_deref(), Some("rolecall:user:ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_what_it_is_and_what_is_allowed() {
    let server = Server::start().await;
    let Findings { found: lines, faults } = server.sink().check().await.unwrap();
    let has = |part: &str| lines.iter().any(|line| line.contains(part));
    assert!(has("389 Project") && has("flavour: 389ds"), "{lines:#?}");
    assert!(has("tie: nsUniqueId, mark in businessCategory"), "{lines:#?}");
    assert!(has("leavers: locked by nsAccountLock"), "{lines:#?}");
    assert!(has("people: below ou=people,dc=example,dc=com, where we may add entries"), "{lines:#?}");
    assert_eq!(faults, [""; 0]);

    let mut config = server.config();
    config["people"]["dn"] = json!("uid={{ user.user_name }},cn=config");
    config["people"]["attributes"] = json!({ "acmeBadge": "{{ user.custom.badge }}" });
    let Findings { found: lines, faults } = sink(config).check().await.unwrap();
    let has = |part: &str| lines.iter().any(|line| line.contains(part));
    assert!(
        faults.iter().any(|fault| fault.contains("people: the schema has no attribute acmeBadge")),
        "{faults:#?}"
    );
    assert!(!has("cn=config, where we may add entries"), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_enough_to_sign_in() {
    let server = Server::start().await;
    let (certificate, key) = server.ds389.client_certificate();
    let mut config = server.config();
    config["bind"] = json!({ "method": "external" });
    config["tls"] = json!({ "ca": server.ds389.ca_path(), "certificate": certificate, "key": key });
    let sink = sink(config);
    assert_eq!(action(&Daemon::default().deliver(&sink, [user("ada").into()]).await[0]), Action::Created);
}
