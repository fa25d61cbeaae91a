//! A server, and sinks on it.

use rolecall_sink_ldap::LdapSink;
use rolecall_testkit::Ds389;
use serde_json::{Value, json};

use crate::fixture::{mapping, sink};

/// A 389 Directory Server, and a file with the password of rolecall's account.
pub(crate) struct Server {
    pub(crate) ds389: Ds389,
    password: tempfile::NamedTempFile,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let ds389 = Ds389::start().await;
        let password = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(password.path(), ds389.bind_password()).unwrap();
        Self { ds389, password }
    }

    /// The mapping of the documentation, over TLS. Nothing says what kind of server it is.
    pub(crate) fn config(&self) -> Value {
        let mut config = mapping();
        config["url"] = json!(self.ds389.ldaps_url());
        config["tls"] = json!({ "ca": self.ds389.ca_path() });
        config["bind"] = json!({ "dn": self.ds389.bind_dn(), "password": { "file": self.password.path() } });
        config
    }

    pub(crate) fn sink(&self) -> LdapSink {
        sink(self.config())
    }

    pub(crate) async fn value(&self, dn: &str, attribute: &str) -> Option<String> {
        self.values(dn, attribute).await.into_iter().next()
    }

    pub(crate) async fn values(&self, dn: &str, attribute: &str) -> Vec<String> {
        let entry = self.ds389.entry(dn, &[attribute]).await;
        entry.map(|entry| entry.values(attribute).to_vec()).unwrap_or_default()
    }
}
