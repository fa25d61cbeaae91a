//! Where a directory keeps what, so that it can be looked into without the sink.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_sink_api::conformance::{Attribute, Held, HeldGroup, HeldUser, TargetError};
use rolecall_sink_api::{GroupId, RoleName, User, UserId};
use rolecall_testkit::{Entry, LdapClient};

/// The entries below `ou=people`, `ou=groups` and `ou=roles`, and what they look like.
pub(crate) struct Layout {
    pub(crate) base: &'static str,
    /// The attribute with the marks.
    pub(crate) marker: &'static str,
    /// The attribute that a person's entry is named by.
    pub(crate) rdn: &'static str,
    /// The classes of people and of groups.
    pub(crate) classes: [&'static str; 2],
    pub(crate) is_active: fn(&Entry) -> bool,
}

impl Layout {
    /// Removes everybody and all groups.
    pub(crate) async fn empty(&self, client: &LdapClient) {
        let mut records = String::new();
        for unit in ["people", "groups", "roles"] {
            for entry in
                client.search(&self.unit(unit), "(!(objectClass=organizationalUnit))", &["1.1"]).await
            {
                records.push_str(&format!("dn:: {}\nchangetype: delete\n\n", base64(&entry.dn)));
            }
        }
        if !records.is_empty() {
            client.modify_ldif(&records).await;
        }
    }

    /// What carries the sink's mark.
    pub(crate) async fn held(&self, client: &LdapClient) -> Result<Held, TargetError> {
        let filter = format!("({}=rolecall:*)", self.marker);
        let search = async |unit: &str| client.search(&self.unit(unit), &filter, &["*", "+"]).await;
        let mut held = Held::default();
        let mut groups_of: BTreeMap<String, BTreeSet<GroupId>> = BTreeMap::new();
        for entry in search("groups").await {
            let id = GroupId::new(self.marked(&entry, "rolecall:group:")?);
            for member in entry.values("member") {
                groups_of.entry(member.clone()).or_default().insert(id.clone());
            }
            let name = HeldGroup { name: entry.value("cn").unwrap_or_default().to_owned() };
            once(held.groups.insert(id, name).is_none(), &entry)?;
        }
        let mut roles_of: BTreeMap<String, BTreeSet<RoleName>> = BTreeMap::new();
        for entry in search("roles").await {
            let role = RoleName::new(self.marked(&entry, "rolecall:role:")?);
            for member in entry.values("member") {
                roles_of.entry(member.clone()).or_default().insert(role.clone());
            }
        }
        for entry in search("people").await {
            let id = UserId::new(self.marked(&entry, "rolecall:user:")?);
            let attributes = [
                (Attribute::UserName, "uid"),
                (Attribute::Email, "mail"),
                (Attribute::DisplayName, "displayName"),
            ];
            let attributes = attributes
                .iter()
                .filter_map(|(attribute, name)| Some((*attribute, entry.value(name)?.to_owned())));
            let user = HeldUser {
                active: (self.is_active)(&entry),
                groups: groups_of.remove(&entry.dn).unwrap_or_default(),
                roles: roles_of.remove(&entry.dn).unwrap_or_default(),
                attributes: attributes.collect(),
            };
            once(held.users.insert(id, user).is_none(), &entry)?;
        }
        Ok(held)
    }

    /// Makes a person with the name and address of `twin`, and a group that they are in, as an administrator would.
    pub(crate) async fn seed_unmanaged(&self, client: &LdapClient, twin: &User) {
        let (name, mail) = (twin.profile.user_name.clone().unwrap(), twin.profile.email.clone().unwrap());
        let (people, groups) = (self.unit("people"), self.unit("groups"));
        let person = format!("{}={name},{people}", self.rdn);
        let [person_class, group_class] = self.classes;
        let ldif = format!(
            "dn: {person}\nobjectClass: {person_class}\n{}: {name}\nsn: Twin\nmail: {mail}\n{}: sales\n{}\n\
             dn: cn=theirs,{groups}\nobjectClass: {group_class}\ncn: theirs\nmember: {person}\n",
            self.rdn,
            self.marker,
            if self.rdn == "cn" { "" } else { "cn: Twin\n" },
        );
        client.add_ldif(&ldif).await;
    }

    /// All there is about those without the mark.
    pub(crate) async fn unmanaged(&self, client: &LdapClient) -> Option<String> {
        let filter = format!("(&(!({}=rolecall:*))(!(objectClass=organizationalUnit)))", self.marker);
        let mut found = client.search(&self.unit("people"), &filter, &["*", "+"]).await;
        found.extend(client.search(&self.unit("groups"), &filter, &["*", "+"]).await);
        found.sort_by(|a, b| a.dn.cmp(&b.dn));
        (!found.is_empty()).then(|| format!("{found:#?}"))
    }

    fn unit(&self, name: &str) -> String {
        format!("ou={name},{}", self.base)
    }

    fn marked(&self, entry: &Entry, prefix: &str) -> Result<String, TargetError> {
        let mut ids = entry.values(self.marker).iter().filter_map(|mark| mark.strip_prefix(prefix));
        match (ids.next(), ids.next()) {
            (Some(id), None) => Ok(id.to_owned()),
            other => Err(format!("{}: marks {other:?}", entry.dn).into()),
        }
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn once(first: bool, entry: &Entry) -> Result<(), TargetError> {
    if first { Ok(()) } else { Err(format!("{} is there twice", entry.dn).into()) }
}
