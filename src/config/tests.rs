//! What a right configuration becomes, and what a wrong one is told.

use std::ffi::OsString;
use std::path::Path;

use rolecall_sink_api::{SecretSource, Timespan};
use tempfile::TempDir;

use super::*;
use crate::deliver::SafeguardConfig;

/// A directory with a configuration and the files it names, and the environment to read it in.
pub(super) struct Host {
    dir: TempDir,
    environment: Vec<(OsString, OsString)>,
}

impl Host {
    /// `DIR` in the text stands for the directory.
    pub(super) fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let host = Host { dir, environment: Vec::new() };
        host.file("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
        host.file("rolecall.yaml", config.replace("DIR", host.path()));
        host
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn path(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    pub(super) fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.dir.path().join(name), content).unwrap();
    }

    pub(super) fn program(&self, name: &str) {
        self.file(name, "#!/bin/sh\n");
        let executable = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
        std::fs::set_permissions(self.dir.path().join(name), executable).unwrap();
    }

    fn with(mut self, variable: &str, value: &str) -> Self {
        self.environment.push((variable.into(), value.replace("DIR", self.path()).into()));
        self
    }

    fn load(&self) -> Result<Config, ConfigErrors> {
        Config::load_with(&self.dir.path().join("rolecall.yaml"), self.environment.clone())
    }

    #[track_caller]
    pub(super) fn loads(&self) -> Config {
        self.load().unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// The errors, with the directory's name out of the way.
    #[track_caller]
    fn is_told(&self, expected: &str) {
        let errors = self.load().unwrap_err().to_string();
        let shortened: Vec<String> = errors
            .lines()
            .scan(false, |under_path, line| {
                let width = if *under_path { self.path().len() - "DIR".len() } else { 0 };
                *under_path = line.contains(self.path());
                Some(line.replace(self.path(), "DIR").replacen(&"^".repeat(width), "", 1))
            })
            .collect();
        assert_eq!(shortened.join("\n"), expected);
    }
}

/// The least there must be, and `more`.
fn with(more: &str) -> Host {
    Host::new(&format!("sources:\n  okta: {{type: scalekit, secrets: [{{file: DIR/secret}}]}}\n{more}"))
}

#[test]
fn little_needs_to_be_said() {
    let config = with("").loads();
    assert_eq!(config.admin, AdminConfig::default());
    assert_eq!(config.store.retention.tombstones, Timespan::from_days(90));
    assert_eq!(config.listen, ListenConfig::default());
    assert_eq!(config.log, LogConfig::default());
    assert_eq!(config.rules.fingerprint(), Rules::none().fingerprint());
    assert!(config.sinks.is_empty());
    assert_eq!(config.sources["okta"].tolerance, Timespan::from_secs(300));
}

#[test]
fn sections_may_be_left_empty() {
    let config = with("listen:\nadmin:\nstore: {retention: }\nsinks:\nlog: {}\nrules:\n").loads();
    assert_eq!(config.store, StoreConfig::default());
}

#[test]
fn backups_are_made_only_where_it_is_said_and_daily_unless_something_else_is() {
    assert_eq!(with("").loads().store.backup, None);
    let backup = with("store: {backup: {directory: /srv/backups}}\n").loads().store.backup.unwrap();
    assert_eq!(backup.directory, Path::new("/srv/backups"));
    assert_eq!((backup.every, backup.keep.get()), (Timespan::from_days(1), 7));
}

#[test]
fn a_sink_is_ready_with_its_delivery() {
    let config = with(
        "\
sinks:
  app-db:
    type: postgres
    url: postgresql://app@localhost/app?sslmode=disable
    delivery: {batch: 10, max_backoff: 5m}
",
    )
    .loads();
    let sink = &config.sinks["app-db"];
    assert_eq!((sink.kind, sink.delivery.batch), ("postgres", Some(10)));
    assert_eq!(sink.delivery.max_backoff, Timespan::from_secs(300));
    assert_eq!(sink.delivery.initial_backoff, Timespan::from_secs(1));
}

#[test]
fn a_safeguard_is_on_unless_it_is_said_to_be_off() {
    let safeguard = |section: &str| {
        let host = with(&format!("sinks:\n  app: {{type: sqlite, path: DIR/app.db{section}}}\n"));
        host.loads().sinks["app"].safeguard.clone()
    };
    assert_eq!(safeguard(""), Some(SafeguardConfig::default()));
    assert_eq!(safeguard(", safeguard: off"), None);
    let own = SafeguardConfig { removals: 5, ..SafeguardConfig::default() };
    assert_eq!(safeguard(", safeguard: {removals: 5}"), Some(own));
    let host = with("sinks: {app: {type: sqlite, path: DIR/app.db}}\n");
    assert_eq!(host.with("ROLECALL__SINKS__APP__SAFEGUARD", "off").loads().sinks["app"].safeguard, None);
}

#[test]
fn rules_come_with_the_configuration() {
    let host = with("rules: DIR/rules.yaml\n");
    host.file("rules.yaml", "default: member\n");
    let config = host.loads();
    assert_ne!(config.rules.fingerprint(), Rules::none().fingerprint());
    assert_eq!(config.rules_file.as_deref(), Some(host.dir.path().join("rules.yaml").as_path()));
}

#[test]
fn the_environment_wins_whatever_the_type() {
    let config = with("store: {path: /a}\nsinks: {app-db: {type: postgres, url: 'postgresql://a@localhost/app?sslmode=disable'}}\n")
        .with("ROLECALL__STORE__PATH", "/b")
        .with("ROLECALL__STORE__RETENTION__JOURNAL", "60d")
        .with("ROLECALL__LISTEN__MAX_BODY_BYTES", "2048")
        .with("ROLECALL__LISTEN__ADDRESS", "[::1]:9000")
        .with("ROLECALL__LOG__FORMAT", "json")
        .with("ROLECALL__SINKS__APP_DB__DELIVERY__MAX_ATTEMPTS", "3")
        .with("ROLECALL__SOURCES__ENTRA__TYPE", "scalekit")
        .with("ROLECALL__SOURCES__ENTRA__SECRETS", "[{file: DIR/secret}]")
        .loads();
    assert_eq!(config.store.path, Path::new("/b"));
    assert_eq!(config.store.retention.journal, Timespan::from_days(60));
    assert_eq!((config.listen.max_body_bytes.get(), config.listen.address.port()), (2048, 9000));
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.sinks["app-db"].delivery.max_attempts, 3);
    assert!(matches!(config.sources["entra"].secrets.as_slice(), [SecretSource::File(_)]));
}

#[test]
fn a_misspelt_key_is_shown_with_the_nearest() {
    let host = with(
        "\
lisen: {}
listen:
  adress: 127.0.0.1:80
sinks:
  db:
    type: postgres
    url: postgresql://app@localhost/app
    scheme: x
    delivry: {}
",
    );
    host.is_told(
        "\
DIR/rolecall.yaml:3:1: there is no section `lisen` here
 3 | lisen: {}
   | ^^^^^
   = did you mean `listen`?

DIR/rolecall.yaml:5:3: there is no key `adress` here
 5 |   adress: 127.0.0.1:80
   |   ^^^^^^
   = did you mean `address`?

DIR/rolecall.yaml:10:5: there is no key `scheme` here
 10 |     scheme: x
    |     ^^^^^^
    = did you mean `schema`?

DIR/rolecall.yaml:11:5: there is no key `delivry` here
 11 |     delivry: {}
    |     ^^^^^^^
    = did you mean `delivery`?",
    );
}

#[test]
fn a_wrong_type_is_shown_with_what_to_write() {
    let host = with(
        "\
store: /var/lib/rolecall
log:
  - info
admin:
  socket: 7
sinks:
  db:
    type: postgres
    url: postgresql://app@localhost/app
    delivery: {batch: '50'}
",
    );
    host.is_told(
        "\
DIR/rolecall.yaml:3:8: this must be a map of keys, not text
 3 | store: /var/lib/rolecall
   |        ^^^^^^^^^^^^^^^^^
   = its keys are `path`, `retention` and `backup`

DIR/rolecall.yaml:4:1: this must be a map of keys, not a list
 4 | log:
   | ^^^
   = its keys are `filter` and `format`

DIR/rolecall.yaml:7:11: this must be text, not 7
 7 |   socket: 7
   |           ^
   = write it in quotes

DIR/rolecall.yaml:12:23: this must be a whole number from 0 to 4294967295, not text
 12 |     delivery: {batch: '50'}
    |                       ^^^^
    = take away the quotes",
    );
}

#[test]
fn what_only_the_meaning_shows_is_told_too() {
    let host = with(
        "\
log: {filter: 'info,,=x='}
sinks:
  Db: {}
  b:
    url: x
  c: {type: postgres, url: postgresql://app@localhost/app, delivery: {batch: 0}}
  d: {type: postgres, url: 'postgresql://app:hunter2@localhost/app'}
",
    );
    let errors = host.load().unwrap_err();
    let shown: Vec<String> =
        errors.as_slice().iter().map(|report| format!("{:?} {}", report.position, report.message)).collect();
    assert_eq!(
        shown[0],
        "Some((3, 15)) filter: cannot be read: write error, warn, info, debug or trace, also as info,rolecall::deliver=debug"
    );
    assert_eq!(shown[1], "Some((5, 3)) `Db` cannot be a name");
    assert_eq!(shown[2], "Some((5, 3)) the key `type` is missing");
    assert_eq!(shown[3], "Some((6, 3)) the key `type` is missing");
    assert_eq!(shown[4], "Some((8, 78)) batch: must be from 1 to 10000");
    assert!(shown[5].starts_with("Some((9, 28)) url: holds a password"), "{}", shown[5]);
    assert!(!errors.to_string().contains("hunter2"), "{errors}");
}

#[test]
fn a_secret_that_cannot_be_read_is_named() {
    let host = Host::new(
        "\
sources:
  okta:
    type: scalekit
    secrets:
      - file: DIR/secret
      - file: DIR/nothing
      - env: ROLECALL_NO_SUCH_VARIABLE
",
    );
    host.is_told(
        "\
DIR/rolecall.yaml:6:9: DIR/nothing: cannot read the secret: No such file or directory (os error 2)
 6 |       - file: DIR/nothing
   |         ^^^^

DIR/rolecall.yaml:7:9: environment variable ROLECALL_NO_SUCH_VARIABLE is not set (or not UTF-8)
 7 |       - env: ROLECALL_NO_SUCH_VARIABLE
   |         ^^^",
    );
}

#[test]
fn a_secret_in_line_is_refused_and_not_repeated() {
    let host = Host::new(
        "\
sources:
  okta:
    type: scalekit
    secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]
  entra: {type: scalekit, secrets: [{fil: /x}, {file: DIR/secret}]}
sinks:
  db:
    type: postgres
    url: postgresql://app@localhost/app
    password: hunter2
",
    );
    host.is_told(
        "\
DIR/rolecall.yaml:4:15: a secret never stands in the configuration itself
 4 |     secrets: …
   |              ^
   = say where it is kept: {file: /path}, {env: VARIABLE} or {credential: name}

DIR/rolecall.yaml:5:38: `fil` is not one of those there are
 5 |   entra: {type: scalekit, secrets: [{fil: /x}, {file: DIR/secret}]}
   |                                      ^^^
   = did you mean `file`?

DIR/rolecall.yaml:10:15: a secret never stands in the configuration itself
 10 |     password: …
    |               ^
    = say where it is kept: {file: /path}, {env: VARIABLE} or {credential: name}",
    );
}

#[test]
fn what_a_sink_finds_wrong_is_shown_where_it_is_written() {
    let host = with(
        "\
sinks:
  db:
    type: postgres
    url: postgresql://app@localhost/app
    tls:
      ca: DIR/nothing.pem
  more:
    type: postgres
    url: postgresql://app@localhost/app
    tls: {key: /x}
",
    );
    host.is_told("\
DIR/rolecall.yaml:8:11: tls.ca: DIR/nothing.pem: no certificate could be read: I/O error: No such file or directory (os error 2)
 8 |       ca: DIR/nothing.pem
   |           ^^^^^^^^^^^^^^^

DIR/rolecall.yaml:12:16: tls.key: also needs tls.certificate
 12 |     tls: {key: /x}
    |                ^^");
}

#[test]
fn a_template_that_is_wrong_is_shown_where_it_is_written() {
    let host = with(
        "\
sinks:
  dir:
    type: ldap
    url: ldaps://localhost
    people:
      dn: uid={{ user.name }},dc=example
  app:
    type: rest
    base_url: https://localhost
    operations:
      user_create:
        method: POST
        path: /users
        body:
          emails:
            - value: '{{ user.emial }}'
",
    );
    let errors = host.load().unwrap_err();
    let shown: Vec<_> = errors.as_slice().iter().map(|report| (report.position, &*report.message)).collect();
    let [(dn, dn_message), (body, body_message)] = shown.as_slice() else { panic!("{errors}") };
    assert_eq!((*dn, *body), (Some((8, 11)), Some((18, 22))), "{errors}");
    assert!(dn_message.starts_with("people.dn: ") && dn_message.contains("user.user_name"), "{errors}");
    assert!(body_message.starts_with("operations.user_create.body.emails.0.value: "), "{errors}");
    assert!(body_message.contains("user.email"), "{errors}");
}

#[test]
fn the_receiver_and_the_sources_check_their_own() {
    let host = Host::new(
        "\
listen:
  max_held_bytes: 10
sources:
  okta: {type: scalekit, secrets: [{file: DIR/other}]}
",
    );
    host.file("other", "hunter2");
    let errors = host.load().unwrap_err();
    let shown: Vec<_> = errors.as_slice().iter().map(|report| (report.position, &*report.message)).collect();
    let [(held, held_message), (secret, secret_message)] = shown.as_slice() else { panic!("{errors}") };
    assert_eq!((*held, *secret), (Some((2, 19)), Some((4, 36))), "{errors}");
    assert!(held_message.starts_with("max_held_bytes: "), "{errors}");
    assert!(secret_message.starts_with("secrets.0: ") && secret_message.contains("whsec_"), "{errors}");
    assert!(!errors.to_string().contains("hunter2"), "{errors}");
}

#[test]
fn a_key_twice_is_refused() {
    with("store:\n  path: /a\n  path: /b\n").is_told(
        "\
DIR/rolecall.yaml:5:3: duplicate mapping key `path` is not allowed here
 5 |   path: /b
   |   ^^^^",
    );
}

#[test]
fn a_tab_is_named_as_what_it_is() {
    with("store:\n\tpath: /a\n").is_told(
        "\
DIR/rolecall.yaml:4:1: tabs disallowed within this context (block indentation)
 4 |  path: /a
   | ^
   = YAML is indented with spaces, never with tabs",
    );
}

#[test]
fn backups_that_would_be_made_all_the_time_or_nobody_knows_where_are_refused() {
    for (key, expected) in [
        ("every: 59s", "backup.every: must be at least a minute"),
        ("directory: backups", "backup.directory: must be an absolute path"),
        ("keep: 0", "this must be a whole number from 1"),
    ] {
        let directory = if key.starts_with("directory") { "" } else { ", directory: /srv/backups" };
        let errors = with(&format!("store: {{backup: {{{key}{directory}}}}}\n")).load().unwrap_err();
        let [report] = errors.as_slice() else { panic!("{errors}") };
        assert!(report.message.contains(expected), "{errors}");
    }
}

#[test]
fn a_variable_that_is_wrong_is_named() {
    let host = with("")
        .with("ROLECALL__STORE__PAHT", "/x")
        .with("ROLECALL__SORE__PATH", "/x")
        .with("ROLECALL__SOURCES__OKTA__TOLERANCE", "soon")
        .with("ROLECALL__SINKS__APP_DB__TYPE", "postgres")
        .with("ROLECALL__SINKS__APP_DB__URL", "postgresql://app@localhost/app")
        .with("ROLECALL__SINKS__APP_DB__PASSWORD", "hunter2")
        .with("ROLECALL__SINKS__OTHER__TYPE", "postgres")
        .with("ROLECALL__SINKS__OTHER__DELIVERY__BATCH", "many");
    host.is_told("\
environment variable ROLECALL__SINKS__APP_DB__PASSWORD: a secret never stands in the configuration itself
  = say where it is kept: {file: /path}, {env: VARIABLE} or {credential: name}

environment variable ROLECALL__SINKS__OTHER: the key `url` is missing

environment variable ROLECALL__SINKS__OTHER__DELIVERY__BATCH: this must be a whole number from 0 to 4294967295, not text

environment variable ROLECALL__SORE__PATH: there is no section `sore` here
  = did you mean `store`?

environment variable ROLECALL__SOURCES__OKTA__TOLERANCE: \"soon\" is not a length of time: write a number and its unit, such as 500ms, 30s, 5m, 12h or 30d

environment variable ROLECALL__STORE__PAHT: there is no key `paht` here
  = did you mean `path`?");
}

#[test]
fn rules_that_are_wrong_are_shown_in_their_own_file() {
    let host = with("rules: DIR/rules.yaml\nstor: {}\n");
    host.is_told(
        "\
DIR/rolecall.yaml:3:8: DIR/rules.yaml: cannot read the file: No such file or directory (os error 2)
 3 | rules: DIR/rules.yaml
   |        ^^^^^^^^^^^^^^

DIR/rolecall.yaml:4:1: there is no section `stor` here
 4 | stor: {}
   | ^^^^
   = did you mean `store`?",
    );
    host.file("rules.yaml", "default: [member]\nrule: []\n");
    host.is_told(
        "\
DIR/rolecall.yaml:4:1: there is no section `stor` here
 4 | stor: {}
   | ^^^^
   = did you mean `store`?

DIR/rules.yaml:2:1: there is no key `rule` here
 2 | rule: []
   | ^^^^
   = did you mean `rules`?",
    );
}

#[test]
fn an_empty_file_says_what_is_missing() {
    for nothing in ["", "# nothing\n", "---\n"] {
        Host::new(nothing).is_told(
            "\
DIR/rolecall.yaml: there is no source, so nothing would ever come in
  = name one under `sources:`, with its `type` and `secrets`",
        );
    }
}

#[test]
fn a_file_of_another_shape_says_what_is_wanted() {
    Host::new("- a\n").is_told(
        "\
DIR/rolecall.yaml: there is no source, so nothing would ever come in
  = name one under `sources:`, with its `type` and `secrets`

DIR/rolecall.yaml:1:1: this must be a map of keys
 1 | - a
   | ^
   = its keys are listen, admin, store, sources, rules, sinks, alerts, log, traces",
    );
    Host::new("sources: [{type: scalekit}]\n").is_told(
        "\
DIR/rolecall.yaml:1:1: this must be a map of keys
 1 | sources: [{type: scalekit}]
   | ^^^^^^^
   = give each of the sources a name: `my-name:`

DIR/rolecall.yaml:1:1: there is no source, so nothing would ever come in
 1 | sources: [{type: scalekit}]
   | ^^^^^^^
   = name one under `sources:`, with its `type` and `secrets`",
    );
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let host = Host::new("");
    std::fs::remove_file(host.dir.path().join("rolecall.yaml")).unwrap();
    host.is_told("DIR/rolecall.yaml: cannot read the file: No such file or directory (os error 2)");
    host.file("rolecall.yaml", b"a: b\nc: \xff\n");
    host.is_told(
        "DIR/rolecall.yaml: the file is not UTF-8: line 2 has a byte that is no text; save it as UTF-8",
    );
    host.file("rolecall.yaml", "a".repeat(5 * 1024 * 1024));
    host.is_told("DIR/rolecall.yaml: the file is longer than 4194304 bytes");
}

#[test]
fn nobody_overhears_the_admin_api_unasked_and_somebody_is_let_in() {
    let token = "tokens: [{name: ops, access: full, secret: {file: DIR/secret}}]";
    for (listen, word) in [
        (format!("{{address: '0.0.0.0:8081', {token}}}"), "allow_plaintext"),
        ("{address: '127.0.0.1:8081'}".to_owned(), "nobody could ask"),
        (
            "{address: '127.0.0.1:8081', tokens: [{name: a, secret: {file: DIR/short}}]}".to_owned(),
            "openssl rand",
        ),
        (
            format!(
                "{{address: '127.0.0.1:8081', {}}}",
                token.replace("[{", "[{name: ops, secret: {file: DIR/secret}}, {")
            ),
            "another one",
        ),
    ] {
        let host = with(&format!("admin: {{listen: {listen}}}\n"));
        host.file("short", "hunter2\n");
        let errors = host.load().unwrap_err().to_string();
        assert!(errors.contains(word), "{listen}: {errors}");
    }
    for address in ["127.0.0.1:8081", "[::1]:8081"] {
        with(&format!("admin: {{listen: {{address: '{address}', {token}}}}}\n")).loads();
    }
    with(&format!("admin: {{listen: {{address: '0.0.0.0:8081', allow_plaintext: true, {token}}}}}\n"))
        .loads();
}

#[test]
fn the_admin_api_asks_for_certificates_of_somebody_it_lets_in() {
    let key = rcgen::KeyPair::generate().unwrap();
    let made = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&key).unwrap();
    let listening = |rest: &str| {
        let host = with(&format!("admin: {{listen: {{address: '0.0.0.0:8081', {rest}}}}}\n"));
        host.file("cert.pem", made.pem());
        host.file("key.pem", key.serialize_pem());
        host
    };
    let token = "tokens: [{name: ops, access: full, secret: {file: DIR/secret}}]";
    let tls = "tls: {certificate: DIR/cert.pem, key: DIR/key.pem}";
    let asking = "tls: {certificate: DIR/cert.pem, key: DIR/key.pem, client_ca: DIR/cert.pem}";
    for (listen, path, word) in [
        (tls.to_owned(), "listen.tokens", "nobody could ask"),
        (format!("{tls}, clients: [{{name: a}}]"), "listen.clients", "tls.client_ca"),
        (format!("{asking}, {token}"), "listen.tls.client_ca", "name under clients"),
        (format!("{asking}, clients: [{{name: ''}}]"), "listen.clients[0].name", "1 to 256 characters"),
        (format!("{asking}, clients: [{{name: a}}, {{name: a}}]"), "listen.clients[1].name", "another one"),
        (tls.replace("cert.pem", "none.pem") + ", " + token, "listen.tls.certificate", "cannot be read"),
    ] {
        let errors = listening(&listen).load().unwrap_err().to_string();
        assert!(errors.contains(path) && errors.contains(word), "{listen}: {errors}");
    }
    let config = listening(&format!("{asking}, clients: [{{name: grafana, access: full}}]")).loads();
    assert_eq!(config.admin.listen.unwrap().clients[0].access, Access::Full);
    listening(&format!("{tls}, {token}")).loads();
}
