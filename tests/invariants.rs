//! What ARCHITECTURE.md promises of the code's shape, held by reading the code.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::{Path, PathBuf};

/// The modules of the daemon that know only some of the others, and which those are. What is not named here (the
/// command line and what puts the parts together) may know everything; nothing here may know it.
const LAYERS: [(&str, &[&str]); 17] = [
    ("directory", &[]),
    ("metrics", &[]),
    ("progress", &[]),
    ("text", &[]),
    ("traces", &["metrics"]),
    ("yaml", &[]),
    ("rules", &["yaml"]),
    ("source", &["directory"]),
    ("tls", &[]),
    ("store", &["directory", "metrics", "progress", "rules", "source"]),
    ("receive", &["directory", "metrics", "source", "store", "tls", "traces"]),
    ("deliver", &["metrics", "progress", "store", "traces", "yaml"]),
    ("config", &["deliver", "receive", "rules", "source", "tls", "traces", "yaml"]),
    ("rulebook", &["config", "rules", "store", "yaml"]),
    ("alerts", &["config", "deliver", "receive", "rulebook", "store", "tls"]),
    (
        "admin",
        &[
            "alerts",
            "config",
            "deliver",
            "directory",
            "metrics",
            "progress",
            "receive",
            "rulebook",
            "rules",
            "source",
            "store",
            "tls",
            "traces",
        ],
    ),
    (
        "console",
        &["admin", "config", "deliver", "metrics", "receive", "rulebook", "store", "text", "tls", "yaml"],
    ),
];

/// What takes values and returns values.
const PURE: [&str; 5] = ["src/directory", "src/rules", "src/source", "src/yaml", "src/store/desired.rs"];

/// What tells the time, waits, or reaches outside the process.
const IMPURE: [&str; 15] = [
    "async",
    "await",
    "tokio",
    "Timestamp::now",
    "Zoned::now",
    "Instant",
    "SystemTime",
    "sleep",
    "rand",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::{",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file at `path` or below it.
fn rust_files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The lines that are code, with where they stand.
fn code(path: &Path) -> Vec<(String, String)> {
    let shown = path.strip_prefix(root()).unwrap().display().to_string();
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().enumerate().map(|(index, line)| {
        let code = line.split_once("//").map_or(line, |(code, _)| code);
        (format!("{shown}:{}: {}", index + 1, line.trim()), code.to_owned())
    });
    lines.collect()
}

/// Whether `word` stands in `line` as a word of its own.
fn has(line: &str, word: &str) -> bool {
    let part_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(part_of_a_word) && !line[at + word.len()..].starts_with(part_of_a_word)
    })
}

fn is_test(path: &Path) -> bool {
    let path = path.strip_prefix(root()).unwrap();
    path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

/// Every line of the daemon outside its tests that has this word, except in files whose path begins so.
fn lines_with(word: &str, except: &[&str]) -> Vec<String> {
    let excepted = |path: &Path| except.iter().any(|start| path.starts_with(root().join(start)));
    let files = rust_files(&root().join("src"));
    let files = files.iter().filter(|path| !is_test(path) && !excepted(path));
    files.flat_map(|path| code(path)).filter(|(_, code)| has(code, word)).map(|(place, _)| place).collect()
}

#[track_caller]
fn none(found: Vec<String>, promise: &str) {
    assert!(found.is_empty(), "{promise}, but:\n{}", found.join("\n"));
}

#[test]
fn each_module_knows_only_those_below_it() {
    for (module, below) in LAYERS {
        let mut found = Vec::new();
        let folder = root().join("src").join(module);
        let files = if folder.is_dir() { folder } else { folder.with_extension("rs") };
        for path in rust_files(&files).iter().filter(|path| !is_test(path)) {
            for (place, code) in code(path) {
                for (at, _) in code.match_indices("crate::") {
                    let rest = &code[at + "crate::".len()..];
                    let name: String =
                        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    if name != module && !below.contains(&name.as_str()) {
                        found.push(place.clone());
                    }
                }
            }
        }
        none(found, &format!("src/{module} knows no other modules than {below:?}"));
    }
}

#[test]
fn what_is_pure_neither_waits_nor_looks_at_a_clock_nor_reaches_outside() {
    for part in PURE {
        let lines = rust_files(&root().join(part)).into_iter().flat_map(|path| code(&path));
        let found = lines.filter(|(_, code)| IMPURE.iter().any(|word| has(code, word)));
        none(found.map(|(place, _)| place).collect(), &format!("{part} is pure"));
    }
}

#[test]
fn one_place_names_the_sinks_and_one_the_store() {
    for sink in ["exec", "http", "ldap", "postgres", "rest", "scim", "sqlite"] {
        let word = format!("rolecall_sink_{sink}");
        none(lines_with(&word, &["src/deliver/registry.rs"]), "only the registry names a sink");
    }
    // The demo shows what the SQLite sink wrote.
    let sql = ["src/store/sqlite", "src/cli/demo", "src/cli/demo.rs", "src/demo", "src/demo.rs"];
    none(lines_with("rusqlite", &sql), "only the store's implementation knows SQLite");
    let named = ["src/daemon.rs", "src/store"];
    none(lines_with("SqliteStore", &named), "only the daemon chooses the store");
}

#[test]
fn no_queue_in_memory_is_without_a_bound() {
    for word in ["unbounded_channel", "UnboundedSender", "unbounded"] {
        none(lines_with(word, &[]), "every channel has a bound");
    }
}

/// The names of the dependencies that begin with `rolecall`, with the section they stand in.
fn own_dependencies(manifest: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(manifest).unwrap();
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if section.ends_with("dependencies") && line.starts_with("rolecall") {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            found.push((section.clone(), name.to_owned()));
        }
    }
    found
}

fn crates(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| path.join("Cargo.toml")).filter(|manifest| manifest.exists()).collect()
}

#[test]
fn a_sink_depends_on_the_contract_alone() {
    let sinks = crates("sinks");
    assert!(sinks.len() > 1, "the sinks are elsewhere: {sinks:?}");
    for manifest in sinks {
        let is = |name: &str| manifest.parent().is_some_and(|folder| folder.ends_with(name));
        for (section, name) in own_dependencies(&manifest) {
            let may = match section.as_str() {
                "dev-dependencies" => ["rolecall-sink-api", "rolecall-testkit"].contains(&name.as_str()),
                _ => match name.as_str() {
                    "rolecall-sink-api" => !is("api"),
                    // What the sinks for HTTP applications share.
                    "rolecall-sink-http" => is("rest") || is("scim"),
                    _ => false,
                },
            };
            assert!(may, "{} has {name} in its {section}", manifest.display());
        }
    }
}

#[test]
fn what_tests_and_measures_rolecall_is_not_made_of_it() {
    for manifest in crates("tests") {
        assert_eq!(own_dependencies(&manifest), [], "{}", manifest.display());
    }
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    let root_manifest = root().join("Cargo.toml");
    let workspace = std::fs::read_to_string(&root_manifest).unwrap();
    assert!(workspace.contains("unsafe_code = \"forbid\""), "unsafe code is forbidden");
    for manifest in crates("sinks").into_iter().chain(crates("tests")).chain([root_manifest]) {
        let text = std::fs::read_to_string(&manifest).unwrap();
        assert!(text.contains("[lints]\nworkspace = true"), "{} has lints of its own", manifest.display());
    }
}
