//! A directory to work on, the people in it, and deliveries as the daemon makes them.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_sink_api::{
    Action, Change, Document, Entity, Group, GroupId, Outcome, Profile, RemoteId, RoleName, Sink, SinkDown,
    SinkName, User, UserId,
};
use rolecall_sink_ldap::{Config, LdapSink};
use rolecall_testkit::Slapd;
use serde_json::{Value, json};

/// A slapd, and a file with the password of rolecall's account.
pub(crate) struct Directory {
    pub(crate) slapd: Slapd,
    password: tempfile::NamedTempFile,
}

impl Directory {
    pub(crate) async fn start() -> Self {
        Self::with(Slapd::start().await)
    }

    pub(crate) fn with(slapd: Slapd) -> Self {
        let password = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(password.path(), slapd.bind_password()).unwrap();
        Self { slapd, password }
    }

    /// People, groups and roles as in the documentation, over the Unix socket.
    pub(crate) fn config(&self) -> Value {
        let mut config = mapping();
        config["url"] = json!(self.slapd.ldapi_url());
        config["bind"] = json!({ "dn": self.slapd.bind_dn(), "password": { "file": self.password.path() } });
        config
    }

    pub(crate) fn sink(&self) -> LdapSink {
        sink(self.config())
    }

    /// What tells any write to an entry: its change sequence number.
    pub(crate) async fn csn(&self, dn: &str) -> String {
        self.value(dn, "entryCSN").await.unwrap_or_else(|| panic!("no entry {dn}"))
    }

    pub(crate) async fn value(&self, dn: &str, attribute: &str) -> Option<String> {
        self.values(dn, attribute).await.into_iter().next()
    }

    pub(crate) async fn values(&self, dn: &str, attribute: &str) -> Vec<String> {
        let entry = self.slapd.entry(dn, &[attribute]).await;
        entry.map(|entry| entry.values(attribute).to_vec()).unwrap_or_default()
    }
}

/// The mapping of the documentation, without a target.
pub(crate) fn mapping() -> Value {
    json!({
        "people": { "dn": "uid={{ user.user_name }},ou=people,dc=example,dc=com" },
        "groups": { "dn": "cn={{ group.name }},ou=groups,dc=example,dc=com" },
        "roles": { "dn": "cn={{ role }},ou=roles,dc=example,dc=com" },
    })
}

pub(crate) fn sink(config: Value) -> LdapSink {
    try_sink(config).unwrap()
}

pub(crate) fn try_sink(config: Value) -> Result<LdapSink, String> {
    let config: Config = serde_json::from_value(config).map_err(|e| e.to_string())?;
    LdapSink::new(&SinkName::new("ldap"), config).map_err(|e| e.to_string())
}

/// An active user; `id` is also the sign-in name.
pub(crate) fn user(id: &str) -> User {
    User {
        id: UserId::new(id),
        organization: None,
        active: true,
        profile: Profile {
            user_name: Some(id.to_owned()),
            email: Some(format!("{id}@example.com")),
            display_name: Some(format!("{id} Example")),
            family_name: Some("Example".to_owned()),
            ..Profile::default()
        },
        groups: BTreeMap::new(),
        roles: BTreeSet::new(),
    }
}

pub(crate) fn group(id: &str) -> Group {
    Group { id: GroupId::new(id), organization: None, name: format!("{id} team"), external_id: None }
}

/// Says what a user should be.
pub(crate) trait UserExt {
    fn within(self, groups: &[&str]) -> Self;
    fn with_roles(self, roles: &[&str]) -> Self;
    fn deactivated(self) -> Self;
}

impl UserExt for User {
    fn within(mut self, groups: &[&str]) -> Self {
        self.groups = groups.iter().map(|id| (GroupId::new(*id), group(id).name)).collect();
        self
    }

    fn with_roles(mut self, roles: &[&str]) -> Self {
        self.roles = roles.iter().map(|role| RoleName::new(*role)).collect();
        self
    }

    fn deactivated(mut self) -> Self {
        self.active = false;
        self.roles.clear();
        self
    }
}

/// The DN of a user of [`mapping`].
pub(crate) fn person(id: &str) -> String {
    format!("uid={id},ou=people,dc=example,dc=com")
}

/// The DN of a group of [`mapping`].
pub(crate) fn team(id: &str) -> String {
    format!("cn={id} team,ou=groups,dc=example,dc=com")
}

/// The DN of a role of [`mapping`].
pub(crate) fn role(name: &str) -> String {
    format!("cn={name},ou=roles,dc=example,dc=com")
}

/// What the daemon would know: what was applied to whom.
#[derive(Default)]
pub(crate) struct Daemon {
    known: BTreeMap<Entity, (Option<Document>, Option<RemoteId>)>,
    generation: u64,
}

impl Daemon {
    /// Delivers users and groups as they should be, in one batch, and returns what became of each.
    pub(crate) async fn deliver(
        &mut self,
        sink: &impl Sink,
        wanted: impl IntoIterator<Item = Wanted>,
    ) -> Vec<Outcome> {
        self.try_deliver(sink, wanted).await.unwrap()
    }

    pub(crate) async fn try_deliver(
        &mut self,
        sink: &impl Sink,
        wanted: impl IntoIterator<Item = Wanted>,
    ) -> Result<Vec<Outcome>, SinkDown> {
        let changes: Vec<Change> = wanted.into_iter().map(|wanted| self.change(wanted)).collect();
        let outcomes = sink.apply(&changes).await?;
        assert_eq!(outcomes.len(), changes.len());
        for (change, outcome) in changes.into_iter().zip(&outcomes) {
            if let Outcome::Applied { remote, .. } = outcome {
                self.known.insert(change.entity, (change.desired, remote.clone()));
            }
        }
        Ok(outcomes)
    }

    /// The daemon's disk was lost: nothing is known of what was applied.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }

    fn change(&mut self, wanted: Wanted) -> Change {
        let (entity, desired) = match wanted {
            Wanted::User(user) => (Entity::User(user.id.clone()), Some(Document::User(user))),
            Wanted::Group(group) => (Entity::Group(group.id.clone()), Some(Document::Group(group))),
            Wanted::Gone(entity) => (entity, None),
        };
        let (applied, remote) = self.known.get(&entity).cloned().unwrap_or_default();
        self.generation += 1;
        let idempotency_key = format!("ldap/{entity}/{}", self.generation);
        Change {
            entity,
            desired,
            applied,
            attempted: None,
            remote,
            generation: self.generation,
            idempotency_key,
            attempt: 1,
        }
    }
}

/// Something to deliver.
pub(crate) enum Wanted {
    User(Box<User>),
    Group(Group),
    Gone(Entity),
}

impl From<User> for Wanted {
    fn from(user: User) -> Self {
        Self::User(Box::new(user))
    }
}

impl From<Group> for Wanted {
    fn from(group: Group) -> Self {
        Self::Group(group)
    }
}

pub(crate) fn gone_user(id: &str) -> Wanted {
    Wanted::Gone(Entity::User(UserId::new(id)))
}

pub(crate) fn gone_group(id: &str) -> Wanted {
    Wanted::Gone(Entity::Group(GroupId::new(id)))
}

/// What was done, of an outcome that must be `Applied`.
pub(crate) fn action(outcome: &Outcome) -> Action {
    match outcome {
        Outcome::Applied { action, .. } => *action,
        other => panic!("not applied: {other:?}"),
    }
}

/// The reason of an outcome that must be `Reject`.
pub(crate) fn rejection(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Reject { reason } => reason,
        other => panic!("not rejected: {other:?}"),
    }
}

/// The reason of an outcome that must be `Retry`.
pub(crate) fn retry(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Retry { reason, .. } => reason,
        other => panic!("not to be tried again: {other:?}"),
    }
}
