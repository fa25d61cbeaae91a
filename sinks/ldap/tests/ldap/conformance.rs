//! The contract's own suite.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use async_trait::async_trait;
use rolecall_sink_api::conformance::{
    Attribute, Capabilities, Held, HeldGroup, HeldUser, Target, TargetError, run, run_matching,
};
use rolecall_sink_api::{GroupId, RoleName, Sink, User, UserId};
use rolecall_testkit::Entry;
use serde_json::json;
use tokio::sync::Mutex;

use crate::fixture::{self, Directory, mapping};

const PEOPLE: &str = "ou=people,dc=example,dc=com";
const GROUPS: &str = "ou=groups,dc=example,dc=com";
const ROLES: &str = "ou=roles,dc=example,dc=com";

struct LdapTarget(Mutex<Directory>);

/// A file, and a server that gets what is in it before anybody looks.
struct LdifTarget {
    directory: Directory,
    file: PathBuf,
    loaded: Mutex<usize>,
}

impl Directory {
    async fn empty(&self) {
        let mut records = String::new();
        for base in [PEOPLE, GROUPS, ROLES] {
            for entry in self.slapd.search(base, "(!(objectClass=organizationalUnit))", &["1.1"]).await {
                let dn = base64(&entry.dn);
                records.push_str(&format!("dn:: {dn}\nchangetype: delete\n\n"));
            }
        }
        if !records.is_empty() {
            self.slapd.modify_ldif(&records).await;
        }
    }

    /// What the server holds that carries the mark.
    async fn held(&self) -> Result<Held, TargetError> {
        let search = async |base| self.slapd.search(base, "(businessCategory=rolecall:*)", &["*", "+"]).await;
        let mut held = Held::default();
        let mut groups_of: BTreeMap<String, BTreeSet<GroupId>> = BTreeMap::new();
        for entry in search(GROUPS).await {
            let id = GroupId::new(marked(&entry, "rolecall:group:")?);
            for member in entry.values("member") {
                groups_of.entry(member.clone()).or_default().insert(id.clone());
            }
            let name = HeldGroup { name: entry.value("cn").unwrap_or_default().to_owned() };
            once(held.groups.insert(id, name).is_none(), &entry)?;
        }
        let mut roles_of: BTreeMap<String, BTreeSet<RoleName>> = BTreeMap::new();
        for entry in search(ROLES).await {
            let role = RoleName::new(marked(&entry, "rolecall:role:")?);
            for member in entry.values("member") {
                roles_of.entry(member.clone()).or_default().insert(role.clone());
            }
        }
        for entry in search(PEOPLE).await {
            let id = UserId::new(marked(&entry, "rolecall:user:")?);
            let attributes = [
                (Attribute::UserName, "uid"),
                (Attribute::Email, "mail"),
                (Attribute::DisplayName, "displayName"),
            ];
            let attributes = attributes
                .iter()
                .filter_map(|(attribute, name)| Some((*attribute, entry.value(name)?.to_owned())));
            let user = HeldUser {
                active: entry.value("pwdAccountLockedTime").is_none(),
                groups: groups_of.remove(&entry.dn).unwrap_or_default(),
                roles: roles_of.remove(&entry.dn).unwrap_or_default(),
                attributes: attributes.collect(),
            };
            once(held.users.insert(id, user).is_none(), &entry)?;
        }
        Ok(held)
    }
}

#[async_trait]
impl Target for LdapTarget {
    fn capabilities(&self) -> Capabilities {
        Capabilities { large_batch: 10_000, ..Capabilities::default() }
    }

    /// A new server is there sooner than 10,000 entries are gone.
    async fn empty(&self) -> Result<(), TargetError> {
        *self.0.lock().await = Directory::start().await;
        Ok(())
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, TargetError> {
        Ok(Box::new(self.0.lock().await.sink()))
    }

    async fn held(&self) -> Result<Held, TargetError> {
        self.0.lock().await.held().await
    }

    async fn seed_unmanaged(&self, twin: &User) -> Result<(), TargetError> {
        let (name, mail) = (twin.profile.user_name.clone().unwrap(), twin.profile.email.clone().unwrap());
        let ldif = format!(
            "dn: uid={name},{PEOPLE}\nobjectClass: inetOrgPerson\ncn: Twin\nsn: Twin\nmail: {mail}\n\
             businessCategory: sales\n\n\
             dn: cn=theirs,{GROUPS}\nobjectClass: groupOfNames\ncn: theirs\nmember: uid={name},{PEOPLE}\n"
        );
        self.0.lock().await.slapd.add_ldif(&ldif).await;
        Ok(())
    }

    async fn unmanaged(&self) -> Result<Option<String>, TargetError> {
        let directory = self.0.lock().await;
        let filter = "(&(!(businessCategory=rolecall:*))(!(objectClass=organizationalUnit)))";
        let mut found = directory.slapd.search("dc=example,dc=com", filter, &["*", "+"]).await;
        found.retain(|entry| entry.dn.ends_with(PEOPLE) || entry.dn.ends_with(GROUPS));
        found.sort_by(|a, b| a.dn.cmp(&b.dn));
        Ok((!found.is_empty()).then(|| format!("{found:#?}")))
    }

    /// Nobody is found under a DN without a name.
    fn refused(&self, mut user: User) -> Option<User> {
        user.profile.user_name = None;
        Some(user)
    }

    async fn stop(&self) -> Result<bool, TargetError> {
        self.0.lock().await.slapd.stop().await;
        Ok(true)
    }

    async fn start(&self) -> Result<(), TargetError> {
        self.0.lock().await.slapd.restart().await;
        Ok(())
    }
}

#[async_trait]
impl Target for LdifTarget {
    async fn empty(&self) -> Result<(), TargetError> {
        self.directory.empty().await;
        *self.loaded.lock().await = 0;
        if self.file.exists() {
            std::fs::remove_file(&self.file)?;
        }
        Ok(())
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, TargetError> {
        let mut config = mapping();
        config["ldif"] = json!({ "path": self.file });
        Ok(Box::new(fixture::sink(config)))
    }

    async fn held(&self) -> Result<Held, TargetError> {
        let mut loaded = self.loaded.lock().await;
        let records = std::fs::read_to_string(&self.file)?;
        if !records[*loaded..].trim().is_empty() {
            self.directory.slapd.modify_ldif(&records[*loaded..]).await;
        }
        *loaded = records.len();
        self.directory.held().await
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn marked(entry: &Entry, prefix: &str) -> Result<String, TargetError> {
    let mut ids = entry.values("businessCategory").iter().filter_map(|mark| mark.strip_prefix(prefix));
    match (ids.next(), ids.next()) {
        (Some(id), None) => Ok(id.to_owned()),
        other => Err(format!("{}: marks {other:?}", entry.dn).into()),
    }
}

fn once(first: bool, entry: &Entry) -> Result<(), TargetError> {
    if first { Ok(()) } else { Err(format!("{} is there twice", entry.dn).into()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_keeps_the_contract_on_a_server() {
    let target = LdapTarget(Mutex::new(Directory::start().await));
    let report = run(&target).await;
    println!("{report}");
    assert!(report.passed(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_keeps_the_contract_through_a_file_that_ldapmodify_loads() {
    let directory = Directory::start().await;
    let files = tempfile::tempdir().unwrap();
    let target = LdifTarget { directory, file: files.path().join("changes.ldif"), loaded: Mutex::new(0) };
    // Left out are the cases of what only a server can refuse: names too long for it, and the like.
    for part in [
        "create",
        "update",
        "the_same",
        "delete",
        "activate",
        "come",
        "in_one_batch",
        "group_goes",
        "is_gone",
        "is_renamed",
        "of_one_name",
        "last_member",
        "outcomes",
        "leavers",
        "large",
        "cut_off",
        "random",
    ] {
        let report = run_matching(&target, part).await;
        println!("{report}");
        assert!(report.passed(), "{report}");
    }
}
