//! A server, and sinks on it.

use rolecall_sink_ldap::LdapSink;
use rolecall_testkit::{Entry, Samba};
use serde_json::{Value, json};

use crate::fixture::sink;

/// A domain controller, and a file with the password of rolecall's account.
pub(crate) struct Server {
    pub(crate) samba: Samba,
    password: tempfile::NamedTempFile,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let samba = Samba::start().await;
        let password = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(password.path(), samba.bind_password()).unwrap();
        Self { samba, password }
    }

    /// No more than where things go: that it is Active Directory, and all that follows from it, the server tells.
    /// `uid` is mapped besides, because tests look for the name there.
    pub(crate) fn config(&self) -> Value {
        json!({
            "url": self.samba.ldaps_url(),
            "tls": { "ca": self.samba.ca_path() },
            "bind": { "dn": self.samba.bind_dn(), "password": { "file": self.password.path() } },
            "people": { "base": unit("people"), "attributes": { "uid": "{{ user.user_name }}" } },
            "groups": { "base": unit("groups") },
            "roles": { "base": unit("roles") },
        })
    }

    pub(crate) fn sink(&self) -> LdapSink {
        sink(self.config())
    }

    pub(crate) async fn entry(&self, dn: &str) -> Entry {
        self.samba.entry(dn, &["*", "memberOf"]).await.unwrap_or_else(|| panic!("no entry {dn}"))
    }
}

fn unit(name: &str) -> String {
    format!("OU={name},DC=ad,DC=example,DC=com")
}

/// The DN of a user.
pub(crate) fn person(id: &str) -> String {
    format!("CN={id},{}", unit("people"))
}

/// The DN of a group.
pub(crate) fn team(id: &str) -> String {
    format!("CN={id} team,{}", unit("groups"))
}

/// The DN of a role's group.
pub(crate) fn role(name: &str) -> String {
    format!("CN={name},{}", unit("roles"))
}
