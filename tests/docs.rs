//! What the documents say, held by doing it: the configurations load, the commands are understood, and the files,
//! folders and tests that are named exist.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser as _};
use rcgen::{CertificateParams, KeyPair};
use rolecall::cli::Cli;
use rolecall::config::Config;
use rolecall::receive::Answer;
use tempfile::TempDir;

const DOCUMENTS: [&str; 14] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "config/METRICS.md",
    "config/REFERENCE.md",
    "sinks/README.md",
    "sinks/exec/PROTOCOL.md",
    "sinks/exec/README.md",
    "sinks/ldap/README.md",
    "sinks/postgres/README.md",
    "sinks/rest/README.md",
    "sinks/scim/README.md",
    "sinks/sqlite/README.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).expect(document)
}

/// The blocks of a document that are fenced as `language`, which may say more after a space.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = read(document);
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(opened) = line.trim_start().strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| line.trim_start() != "```").collect();
            if opened == language {
                found.push(block.join("\n") + "\n");
            }
        }
    }
    found
}

/// A host with the secrets, certificates and directories that the documents name.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(TempDir::new().unwrap());
        for folder in ["people", "secrets", "tls"] {
            fs::create_dir(host.0.path().join(folder)).unwrap();
        }
        for secret in ["scalekit", "ldap", "postgres", "crm", "people", "wiki"] {
            host.write(&format!("secrets/{secret}"), "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n");
        }
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&key).unwrap();
        host.write("tls/ca.pem", &certificate.pem());
        let plugin = host.write("people/plugin.py", "#!/bin/sh\n");
        fs::set_permissions(plugin, PermissionsExt::from_mode(0o755)).unwrap();
        host
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        let here = self.0.path().display().to_string();
        let text = ["/etc/rolecall", "/var/lib/rolecall", "/usr/local/lib/rolecall"]
            .iter()
            .fold(text.to_owned(), |text, place| text.replace(place, &here));
        fs::write(&path, text).unwrap();
        path
    }

    #[track_caller]
    fn loads(&self, config: &str) -> Config {
        let path = self.write("rolecall.yaml", config);
        Config::load_with(&path, []).unwrap_or_else(|errors| panic!("{errors}\n{config}"))
    }
}

#[test]
fn the_configuration_in_the_readme_is_right() {
    let host = Host::new();
    let [rules] = blocks("README.md", "yaml rules.yaml").try_into().unwrap();
    host.write("rules.yaml", &rules);
    let [config] = blocks("README.md", "yaml rolecall.yaml").try_into().unwrap();
    let config = host.loads(&config);
    let kinds: Vec<&str> = config.sinks.values().map(|sink| sink.kind).collect();
    assert_eq!(kinds, ["postgres", "ldap", "rest", "scim"]);
    assert_eq!(config.sources.len(), 1);
}

#[test]
fn the_first_steps_in_the_readme_are_right() {
    let host = Host::new();
    let here = host.0.path().display().to_string();
    for secret in ["webhook-secret", "ldap-password", "postgres-password"] {
        host.write(secret, "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n");
    }
    let [rules] = blocks("README.md", "yaml first rules.yaml").try_into().unwrap();
    let rules = host.write("first.yaml", &rules);
    let [config] = blocks("README.md", "yaml first rolecall.yaml").try_into().unwrap();
    let config = config.replace("{file: ", &format!("{{file: {here}/"));
    let config = host.loads(&config.replace("rules: rules.yaml", &format!("rules: {}", rules.display())));
    assert_eq!(config.sinks.len(), 2);
}

#[test]
fn every_sink_in_a_readme_can_be_configured_so() {
    let host = Host::new();
    for document in [
        "sinks/exec/README.md",
        "sinks/ldap/README.md",
        "sinks/postgres/README.md",
        "sinks/scim/README.md",
        "sinks/sqlite/README.md",
    ] {
        let sinks = blocks(document, "yaml sink");
        assert!(!sinks.is_empty(), "{document} shows no configuration");
        for sink in sinks {
            let sink: String = sink.lines().map(|line| format!("    {line}\n")).collect();
            let source = "{type: scalekit, secrets: [{file: /etc/rolecall/secrets/scalekit}]}";
            host.loads(&format!("sources:\n  scalekit: {source}\nsinks:\n  it:\n{sink}"));
        }
    }
}

/// The words of a command line, as a shell takes it apart; up to a pipe, a comment or `&`.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#' | '|' | '&') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.into_iter().chain(word).collect()
}

#[test]
fn every_command_in_the_documents_is_understood() {
    let mut commands = 0;
    for document in DOCUMENTS {
        let shell = blocks(document, "sh").concat().replace("\\\n", " ");
        for line in shell.lines().map(str::trim) {
            let line = line.strip_prefix("sudo ").unwrap_or(line);
            let line =
                match line.strip_prefix("cargo run --release -- ").or(line.strip_prefix("cargo run -- ")) {
                    Some(arguments) => format!("rolecall {arguments}"),
                    None => line.to_owned(),
                };
            if line.starts_with("rolecall ") {
                commands += 1;
                if let Err(error) = Cli::try_parse_from(words(&line)) {
                    panic!("{document}: {line}\n{error}");
                }
            }
        }
    }
    assert!(commands > 10, "only {commands} commands were found");
}

#[test]
fn every_link_leads_somewhere() {
    for document in DOCUMENTS {
        let folder = root().join(document).parent().unwrap().to_owned();
        for link in read(document).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            let elsewhere = link.contains("://") || path.is_empty();
            assert!(elsewhere || folder.join(path).exists(), "{document} links to {link}");
        }
    }
}

/// What stands between backquotes in a document, blocks of code left out.
fn quoted(document: &str) -> Vec<String> {
    let text = read(document);
    let mut in_block = false;
    let mut prose = String::new();
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        if !in_block && !fence {
            prose += line;
            prose.push('\n');
        }
    }
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_path_that_is_named_exists() {
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        for path in quoted(document) {
            let ours = ["src/", "sinks/", "tests/", "config/", "packaging/", "systemd/", ".ci/"]
                .iter()
                .any(|top| path.starts_with(top));
            let path = path.split(' ').next().unwrap_or_default();
            if ours && !path.contains(['*', '<', '{', '…']) {
                assert!(root().join(path).exists(), "{document} names {path}");
            }
        }
    }
}

#[test]
fn the_map_has_every_module_and_every_crate() {
    let map = quoted("ARCHITECTURE.md");
    let is_crate = |path: &Path| path.join("Cargo.toml").exists();
    let is_module =
        |path: &Path| path.is_dir() || path.extension().is_some_and(|extension| extension == "rs");
    for (folder, is_listed) in
        [("src", is_module as fn(&Path) -> bool), ("sinks", is_crate), ("tests", is_crate)]
    {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if is_listed(&path) {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                assert!(
                    map.iter().any(|quoted| quoted.trim_end_matches('/') == name),
                    "the map lacks {name}"
                );
            }
        }
    }
}

#[test]
fn every_table_of_the_store_is_explained() {
    let schema = read("src/store/sqlite/schema.rs");
    let map = quoted("ARCHITECTURE.md");
    let tables = schema.split("CREATE TABLE ").skip(1).filter_map(|rest| rest.split([' ', '(']).next());
    for table in tables {
        assert!(
            map.iter().any(|quoted| quoted == table),
            "ARCHITECTURE.md does not explain the table {table}"
        );
    }
}

#[test]
fn every_answer_and_every_command_is_in_the_readme() {
    let readme = read("README.md");
    for answer in Answer::ALL {
        assert!(readme.contains(&format!("| `{}` |", answer.as_str())), "{}", answer.as_str());
    }
    for command in Cli::command().get_subcommands() {
        assert!(readme.contains(&format!("rolecall {}", command.get_name())), "{}", command.get_name());
    }
}

/// All Rust code of the workspace.
fn code(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            code(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *into += &fs::read_to_string(&path).unwrap();
        }
    }
}

#[test]
fn every_test_that_holds_an_invariant_exists() {
    let mut all = String::new();
    ["packaging", "src", "sinks", "tests"].iter().for_each(|folder| code(&root().join(folder), &mut all));
    let is_test = |name: &&String| {
        name.matches('_').count() > 3
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let named = quoted("ARCHITECTURE.md");
    let named: Vec<&String> = named.iter().filter(is_test).collect();
    assert!(named.len() > 10, "only {} tests were found", named.len());
    for name in named {
        assert!(all.contains(&format!("fn {name}(")), "ARCHITECTURE.md names {name}, which is no test");
    }
}
