//! The files under `config/`: examples that load, and what is generated from the types.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rcgen::{
    CertificateParams, CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, SerialNumber,
    date_time_ymd,
};

use super::reference::{paths, reference};
use super::tests::Host;
use super::{AdminConfig, AlertsConfig, LogConfig, RetentionConfig, rules_schema, schema};
use crate::deliver::registry::exec::protocol;
use crate::deliver::{DeliveryConfig, SafeguardConfig, registry};
use crate::receive::ListenConfig;
use crate::rules::Rules;
use crate::yaml::{self, Kind, Node};

/// Set, it makes the tests write the generated files instead of comparing them.
const WRITE: &str = "ROLECALL_WRITE_GENERATED";

fn published(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "config", name].iter().collect()
}

#[track_caller]
pub(crate) fn is_up_to_date(name: &str, generated: &str) {
    let path = published(name);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, generated).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == generated,
        "config/{name} is not what the code says: run {WRITE}=1 cargo test -p rolecall --lib published"
    );
}

#[test]
fn the_schemas_are_those_of_the_types() {
    let json = |schema| serde_json::to_string_pretty(&schema).unwrap() + "\n";
    is_up_to_date("schemas/rolecall.schema.json", &json(schema()));
    is_up_to_date("schemas/rules.schema.json", &json(rules_schema()));
    is_up_to_date("schemas/plugin-request.schema.json", &json(protocol::request_schema()));
    is_up_to_date("schemas/plugin-answer.schema.json", &json(protocol::answer_schema()));
}

#[test]
fn the_reference_is_that_of_the_types() {
    let introduction = "\
Every key of the configuration file. `rolecall.yaml` beside this file is an example with comments. This
page is generated from the types that read the file.

- A *secret* is where it is kept, never itself: `{file: /path}`, `{env: VARIABLE}` or `{credential: name}`
  (systemd's `LoadCredential=`).
- A *length of time* has a unit: `500ms`, `30s`, `5m`, `12h`, `30d`, `1h 30m`.
- Each key may also be given by an environment variable, which wins over the file: `ROLECALL__` and the path in
  upper case with two underscores between its parts, `ROLECALL__STORE__RETENTION__JOURNAL=60d`. A hyphen in a
  name is written as an underscore. Lists and sections are written as in YAML: `[{file: /path}]`.
- Relative paths are seen from the directory that the daemon is started in.";
    let configuration = reference(&schema(), "The keys of rolecall.yaml", introduction);
    let introduction = "\
Every key of the rules file. `rules.yaml` beside this file is an example with comments.";
    let rules = reference(&rules_schema(), "The keys of rules.yaml", introduction);
    is_up_to_date("REFERENCE.md", &format!("{configuration}\n{rules}"));
}

/// The example with the keys that it shows in comments: lines that begin with `#` and no space.
fn with_every_key(example: &str) -> String {
    let shown = |line: &str| match line.trim_start().strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '-') => {
            line.replacen('#', "", 1)
        }
        _ => line.to_owned(),
    };
    example.lines().map(shown).collect::<Vec<_>>().join("\n")
}

/// A host with the files that the example names.
fn host(example: &str) -> Host {
    let host = Host::new(
        &example
            .replace("/etc/rolecall", "DIR")
            .replace("/var/lib/rolecall", "DIR")
            .replace("/usr/local/lib/rolecall", "DIR"),
    );
    std::fs::create_dir(host.dir().join("secrets")).unwrap();
    std::fs::create_dir(host.dir().join("tls")).unwrap();
    for name in ["alerts", "scalekit", "signing"] {
        host.file(&format!("secrets/{name}"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    }
    for name in ["admin", "ldap", "postgres", "application"] {
        host.file(&format!("secrets/{name}"), "hunter2-hunter2-hunter2\n");
    }
    host.file("secrets/slack-url", "https://hooks.slack.example/services/T0/B0/x");
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let nobody = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 11, 1),
        next_update: date_time_ymd(2026, 12, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let revoked = nobody.signed_by(&Issuer::from_params(&params, &key)).unwrap();
    host.file("tls/clients.crl.pem", revoked.pem().unwrap());
    for name in ["ca", "client", "clients", "rolecall"] {
        host.file(&format!("tls/{name}.pem"), &certificate);
        host.file(&format!("tls/{name}.key"), key.serialize_pem());
    }
    std::fs::create_dir(host.dir().join("people")).unwrap();
    host.program("people/plugin.py");
    host.file("rules.yaml", std::fs::read_to_string(published("rules.yaml")).unwrap());
    host
}

#[test]
fn the_example_loads() {
    let config = host(&std::fs::read_to_string(published("rolecall.yaml")).unwrap()).loads();
    assert_eq!(config.store.retention, RetentionConfig::default());
    assert_eq!(config.sources.len(), 1);
    assert_ne!(config.rules.fingerprint(), Rules::none().fingerprint());
}

#[test]
fn every_example_of_rules_passes_the_tests_that_it_brings_along() {
    let mut examples: Vec<PathBuf> =
        std::fs::read_dir(published("rules")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(examples.len() >= 10, "{examples:?}");
    examples.extend([published("rules.yaml")]);
    for example in examples {
        let name = example.display().to_string();
        let text = std::fs::read_to_string(&example).unwrap();
        let rules = Rules::parse(&name, &text).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(rules.tests() >= 3, "{name} shows too little of what it does");
    }
}

#[test]
fn the_example_loads_with_every_key_that_it_shows() {
    let example = std::fs::read_to_string(published("rolecall.yaml")).unwrap();
    let config = host(&with_every_key(&example)).loads();
    let kinds: BTreeSet<&str> = config.sinks.values().map(|sink| sink.kind).collect();
    let known: BTreeSet<&str> = registry::kinds().iter().map(|kind| kind.name).collect();
    assert_eq!(kinds, known, "a kind of sink is not shown");
    // The values shown in comments are the defaults.
    assert_eq!(config.listen, ListenConfig { tls: config.listen.tls.clone(), ..ListenConfig::default() });
    assert_eq!(config.admin, AdminConfig { listen: config.admin.listen.clone(), ..AdminConfig::default() });
    assert_eq!(config.store.retention, RetentionConfig::default());
    let alerts = AlertsConfig { webhooks: config.alerts.webhooks.clone(), ..AlertsConfig::default() };
    assert_eq!(config.alerts, alerts);
    assert_eq!(config.log, LogConfig::default());
    let of_ldap = DeliveryConfig { batch: Some(500), ..DeliveryConfig::default() };
    assert_eq!(config.sinks["corp-ldap"].delivery, of_ldap);
    assert_eq!(config.sinks["corp-ldap"].safeguard, Some(SafeguardConfig::default()));
}

#[test]
fn the_example_shows_every_key_there_is() {
    let example = with_every_key(&std::fs::read_to_string(published("rolecall.yaml")).unwrap());
    let root = yaml::parse(&example).unwrap();
    let missing: Vec<String> = paths(&schema())
        .into_iter()
        .filter(|path| !shown(&root, path.split('.').collect::<Vec<_>>().as_slice()))
        .collect();
    assert!(missing.is_empty(), "not in the example: {missing:#?}");
}

/// Whether some value stands under the path, where `<name>` is any name and `[]` any item.
fn shown(node: &Node, path: &[&str]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    let (first, rest) = match first.strip_suffix("[]") {
        Some(list) if !list.is_empty() => (list, [&["[]"], rest].concat()),
        _ => (*first, rest.to_vec()),
    };
    match &node.kind {
        Kind::Map(entries) => entries
            .iter()
            .any(|entry| (first == "<name>" || entry.key == first) && shown(&entry.value, &rest)),
        Kind::List(items) => items.iter().any(|item| shown(item, &rest)),
        _ => false,
    }
}
