//! The servers that tests share, and the three stores that most tests keep in step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rolecall_testkit::{HttpApplication, Postgres, Slapd};
use serde_json::Value;
use tokio::sync::{OnceCell, RwLock};

use super::ldap::Ldap;
use super::site::Site;
use super::tables::Tables;

/// The one slapd of all tests that leave it running; each has a tree of its own in it.
pub(crate) async fn slapd() -> Arc<RwLock<Slapd>> {
    static SLAPD: OnceCell<Arc<RwLock<Slapd>>> = OnceCell::const_new();
    Arc::clone(SLAPD.get_or_init(async || Arc::new(RwLock::new(Slapd::start().await))).await)
}

/// The one PostgreSQL of all tests that leave it running; each has a schema of its own in it.
pub(crate) async fn postgres() -> Arc<RwLock<Postgres>> {
    static POSTGRES: OnceCell<Arc<RwLock<Postgres>>> = OnceCell::const_new();
    Arc::clone(POSTGRES.get_or_init(async || Arc::new(RwLock::new(Postgres::start().await))).await)
}

/// How somebody stands in a store, as somebody who looks into it sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Whether they may have access.
    pub(crate) active: bool,
    /// Their title.
    pub(crate) title: Option<String>,
    /// The names of their groups.
    pub(crate) groups: BTreeSet<String>,
    /// Their roles.
    pub(crate) roles: BTreeSet<String>,
}

/// Everybody in a store, by user name, or by id where they have none.
pub(crate) type People = BTreeMap<String, Standing>;

impl Standing {
    /// Somebody active with these groups and roles.
    pub(crate) fn with(groups: &[&str], roles: &[&str]) -> Self {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self { active: true, title: None, groups: set(groups), roles: set(roles) }
    }

    /// The same, with a title.
    pub(crate) fn titled(self, title: &str) -> Self {
        Self { title: Some(title.to_owned()), ..self }
    }

    /// The same without access, and so without roles.
    pub(crate) fn locked(self) -> Self {
        Self { active: false, roles: BTreeSet::new(), ..self }
    }
}

/// These people and nobody else.
pub(crate) fn people<const N: usize>(people: [(&str, Standing); N]) -> People {
    people.into_iter().map(|(name, standing)| (name.to_owned(), standing)).collect()
}

/// The application, as rolecall is told to speak to it.
pub(crate) struct Application(pub(crate) HttpApplication);

impl Application {
    /// Starts one.
    pub(crate) async fn start() -> Self {
        Self(HttpApplication::start().await)
    }

    /// The sink's section.
    pub(crate) fn section(&self) -> String {
        format!(
            r#"type: rest
base_url: {url}
id: /id
lookup:
  user: {{path: "/users?external_id={{{{ user.id }}}}", id: /0/id}}
  group: {{path: "/groups?external_id={{{{ group.id }}}}", id: /0/id}}
operations:
  user_create:
    method: POST
    path: /users
    body: &user
      external_id: "{{{{ user.id }}}}"
      login: "{{{{ user.user_name }}}}"
      title: "{{{{ user.title }}}}"
      active: "{{{{ user.active }}}}"
      groups: "{{{{ user.groups }}}}"
      roles: "{{{{ user.roles }}}}"
  user_update: {{method: PUT, path: "/users/{{{{ remote }}}}", body: *user}}
  user_delete: {{method: DELETE, path: "/users/{{{{ remote }}}}"}}
  group_create:
    method: POST
    path: /groups
    body: &group {{external_id: "{{{{ group.id }}}}", name: "{{{{ group.name }}}}"}}
  group_update: {{method: PUT, path: "/groups/{{{{ remote }}}}", body: *group}}
  group_delete: {{method: DELETE, path: "/groups/{{{{ remote }}}}"}}
"#,
            url = self.0.url(),
        )
    }

    /// Everybody whom the application has.
    ///
    /// # Panics
    /// When it has somebody twice.
    pub(crate) fn people(&self) -> People {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let users = self.0.users();
        let people: People = users
            .values()
            .map(|user| {
                let groups = user["groups"].as_object().expect("groups are a map");
                let roles = user["roles"].as_array().expect("roles are a list");
                let standing = Standing {
                    active: user["active"].as_bool().expect("active is true or false"),
                    title: text(&user["title"]),
                    groups: groups.values().filter_map(text).collect(),
                    roles: roles.iter().filter_map(text).collect(),
                };
                (text(&user["login"]).or(text(&user["external_id"])).expect("everybody has a name"), standing)
            })
            .collect();
        assert_eq!(people.len(), users.len(), "somebody is there twice: {users:#?}");
        people
    }

    /// The names of its groups.
    pub(crate) fn groups(&self) -> BTreeSet<String> {
        self.0.groups().values().filter_map(|group| group["name"].as_str().map(str::to_owned)).collect()
    }

    /// What it was asked to change, in order: `POST /users ada`.
    pub(crate) fn changes(&self) -> Vec<String> {
        let requests = self
            .0
            .requests()
            .into_iter()
            .filter(|request| !matches!(request.method.as_str(), "GET" | "HEAD"));
        requests
            .map(|request| {
                let whom = request.body["login"].as_str().or(request.body["name"].as_str());
                [Some(request.line().as_str()), whom].into_iter().flatten().collect::<Vec<_>>().join(" ")
            })
            .collect()
    }
}

/// A tree in LDAP, tables in PostgreSQL and an application: the sinks `ldap`, `postgres` and `app`.
pub(crate) struct Stores {
    /// The tree.
    pub(crate) ldap: Ldap,
    /// The tables.
    pub(crate) tables: Tables,
    /// The application.
    pub(crate) app: Application,
}

impl Stores {
    /// A tree and a schema of this name in the servers that tests share, and an application of its own.
    pub(crate) async fn named(name: &str) -> Self {
        let (ldap, tables, app) = tokio::join!(
            async { Ldap::grow(slapd().await, name).await },
            async { Tables::new(postgres().await, name) },
            Application::start(),
        );
        Self { ldap, tables, app }
    }

    /// A site that keeps all three in step.
    pub(crate) async fn site(&self) -> Site {
        self.site_with("").await
    }

    /// The same, with one more line in each sink's section.
    pub(crate) async fn site_with(&self, line: &str) -> Site {
        let site = Site::new();
        let (ldap, tables) = tokio::join!(self.ldap.section(&site), self.tables.section(&site));
        let section = |section: &str| format!("{}\n{line}", section.trim_end());
        let site = site.sink("ldap", &section(&ldap)).sink("postgres", &section(&tables));
        site.sink("app", &section(&self.app.section()))
    }

    /// Everybody in each store: in LDAP, in PostgreSQL, in the application.
    pub(crate) async fn people(&self) -> [People; 3] {
        let (ldap, tables) = tokio::join!(self.ldap.people(), self.tables.people());
        [ldap, tables, self.app.people()]
    }
}

/// The same in LDAP, in PostgreSQL and in the application.
pub(crate) fn everywhere(people: People) -> [People; 3] {
    [people.clone(), people.clone(), people]
}
