//! The configuration that rolecall plays with.

use std::path::{Path, PathBuf};

use rolecall_testkit::{HttpApplication, Postgres, Slapd};

/// Where everything of rolecall's lies.
pub(super) struct Files {
    pub(super) configuration: PathBuf,
    pub(super) rules: PathBuf,
    pub(super) webhook_secret: PathBuf,
    pub(super) ldap_password: PathBuf,
    pub(super) postgres_password: PathBuf,
    pub(super) token: PathBuf,
    store: PathBuf,
    socket: PathBuf,
}

impl Files {
    pub(super) fn in_directory(directory: &Path) -> Self {
        Self {
            configuration: directory.join("rolecall.yaml"),
            rules: directory.join("rules.yaml"),
            webhook_secret: directory.join("webhook-secret"),
            ldap_password: directory.join("ldap-password"),
            postgres_password: directory.join("postgres-password"),
            token: directory.join("token"),
            store: directory.join("rolecall.db"),
            socket: directory.join("admin.sock"),
        }
    }
}

/// The rules file.
pub(super) fn rules() -> &'static str {
    "default: member
rules:
  - name: engineers commit
    when: {group: {glob: \"Eng*\"}}
    grant: developer
  - name: admins administer
    when: {group: Admins}
    grant: [admin, auditor]
"
}

/// The main file, with every sink on a server of the kit.
pub(super) fn configuration(
    files: &Files,
    slapd: &Slapd,
    postgres: &Postgres,
    application: &HttpApplication,
) -> String {
    format!(
        r#"listen: {{address: "127.0.0.1:8080"}}
admin: {{socket: {socket}}}
store: {{path: {store}}}
sources:
  scalekit:
    type: scalekit
    secrets: [{{file: {webhook_secret}}}]
rules: {rules}
sinks:
  directory:
    type: ldap
    url: {ldap}
    start_tls: true
    tls: {{ca: {ldap_ca}}}
    bind: {{dn: "{bind_dn}", password: {{file: {ldap_password}}}}}
    people: {{dn: "uid={{{{ user.user_name }}}},ou=people,{base}"}}
    groups: {{dn: "cn={{{{ group.name }}}},ou=groups,{base}"}}
    roles: {{dn: "cn={{{{ role }}}},ou=roles,{base}"}}
  warehouse:
    type: postgres
    url: postgresql://{postgres_user}@127.0.0.1:{postgres_port}/postgres
    password: {{file: {postgres_password}}}
    tls: {{ca: {postgres_ca}}}
  app:
    type: rest
    url: {application}
    bearer: {{file: {token}}}
"#,
        socket = files.socket.display(),
        store = files.store.display(),
        webhook_secret = files.webhook_secret.display(),
        rules = files.rules.display(),
        ldap = slapd.url(),
        ldap_ca = slapd.ca_path().display(),
        bind_dn = slapd.bind_dn(),
        ldap_password = files.ldap_password.display(),
        base = slapd.base_dn(),
        postgres_user = postgres.user(),
        postgres_port = postgres.port(),
        postgres_password = files.postgres_password.display(),
        postgres_ca = postgres.ca_path().display(),
        application = application.url(),
        token = files.token.display(),
    )
}
