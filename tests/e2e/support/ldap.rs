//! A tree in an OpenLDAP server.

use std::collections::BTreeSet;
use std::sync::Arc;

use rolecall_testkit::{Entry, Slapd};
use tokio::sync::RwLock;

use super::servers::{People, Standing};
use super::site::Site;

/// A tree with people, groups and roles.
pub(crate) struct Ldap {
    slapd: Arc<RwLock<Slapd>>,
    base: String,
}

impl Ldap {
    /// Puts an empty tree of this name into a server.
    pub(crate) async fn grow(slapd: Arc<RwLock<Slapd>>, name: &str) -> Self {
        let server = slapd.read().await;
        let base = format!("ou={name},{}", server.base_dn());
        let unit = |dn: &str, ou: &str| format!("dn: {dn}\nobjectClass: organizationalUnit\nou: {ou}\n\n");
        let mut ldif = unit(&base, name);
        for ou in ["people", "groups", "roles"] {
            ldif += &unit(&format!("ou={ou},{base}"), ou);
        }
        server.add_ldif(&ldif).await;
        drop(server);
        Self { slapd, base }
    }

    /// The sink's section: StartTLS, and the mapping of the documentation.
    pub(crate) async fn section(&self, site: &Site) -> String {
        let slapd = self.slapd.read().await;
        let url = slapd.url();
        drop(slapd);
        self.section_at(site, &url, true).await
    }

    /// The same for another URL of the server.
    pub(crate) async fn section_at(&self, site: &Site, url: &str, start_tls: bool) -> String {
        let slapd = self.slapd.read().await;
        let (base, ca) = (&self.base, slapd.ca_path());
        let password = site.file("ldap-password", slapd.bind_password());
        format!(
            r#"type: ldap
url: {url}
start_tls: {start_tls}
tls: {{ca: {ca}}}
bind: {{dn: "{dn}", password: {{file: {password}}}}}
people: {{dn: "uid={{{{ user.user_name }}}},ou=people,{base}"}}
groups: {{dn: "cn={{{{ group.name }}}},ou=groups,{base}"}}
roles: {{dn: "cn={{{{ role }}}},ou=roles,{base}"}}
"#,
            ca = ca.display(),
            dn = slapd.bind_dn(),
            password = password.display(),
        )
    }

    /// Somebody's entry, with all that the server keeps of it.
    pub(crate) async fn entry(&self, name: &str) -> Option<Entry> {
        self.slapd.read().await.entry(&self.dn(name), &["*", "+"]).await
    }

    /// Somebody's distinguished name.
    pub(crate) fn dn(&self, name: &str) -> String {
        format!("uid={name},ou=people,{}", self.base)
    }

    /// Everybody in the tree. Groups and roles are those whose entries have them as a member.
    pub(crate) async fn people(&self) -> People {
        let entries = self.entries().await;
        let those_with = |unit: &str, dn: &str| -> BTreeSet<String> {
            let groups =
                entries.iter().filter(|entry| entry.dn.ends_with(&format!(",ou={unit},{}", self.base)));
            let with = groups.filter(|group| group.values("member").iter().any(|member| member == dn));
            with.filter_map(|group| group.value("cn").map(str::to_owned)).collect()
        };
        let people = entries.iter().filter(|entry| entry.dn.starts_with("uid="));
        people
            .map(|entry| {
                let standing = Standing {
                    active: entry.value("pwdAccountLockedTime").is_none(),
                    title: entry.value("title").map(str::to_owned),
                    groups: those_with("groups", &entry.dn),
                    roles: those_with("roles", &entry.dn),
                };
                (entry.value("uid").expect("everybody has a uid").to_owned(), standing)
            })
            .collect()
    }

    /// The names of the groups.
    pub(crate) async fn groups(&self) -> BTreeSet<String> {
        let entries =
            self.slapd.read().await.search(&format!("ou=groups,{}", self.base), "(cn=*)", &["cn"]).await;
        entries.iter().filter_map(|entry| entry.value("cn").map(str::to_owned)).collect()
    }

    /// Every entry's name with the number of its last change: it tells whether anything was written.
    pub(crate) async fn changes(&self) -> BTreeSet<(String, String)> {
        let entries = self.entries().await.into_iter();
        entries.map(|entry| (entry.dn.clone(), entry.value("entryCSN").unwrap().to_owned())).collect()
    }

    /// Puts entries into the server behind everybody's back.
    pub(crate) async fn add(&self, ldif: &str) {
        self.slapd.read().await.add_ldif(ldif).await;
    }

    /// Changes entries behind everybody's back.
    pub(crate) async fn modify(&self, ldif: &str) {
        self.slapd.read().await.modify_ldif(ldif).await;
    }

    async fn entries(&self) -> Vec<Entry> {
        self.slapd.read().await.search(&self.base, "(objectClass=*)", &["*", "+"]).await
    }
}
