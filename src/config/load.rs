//! From a file and the environment to a configuration that was found right.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rolecall_sink_api::{ConfigError, SinkName};
use serde::de::DeserializeOwned;

use super::layers::{self, Variable};
use super::name::is_name;
use super::{AdminConfig, AlertsConfig, Config, ConfigErrors, LogConfig, SinkEntry, StoreConfig, sinks};
use crate::receive::{ListenConfig, NamedSource};
use crate::rules::{Rules, Scopes};
use crate::source::{SourceConfig, SourceName};
use crate::traces::TracesConfig;
use crate::yaml::{
    self, Decoded, Entry, Fault, Kind, MAX_BYTES, Node, Place, Report, Reports, SecretSite, Source,
};

/// The keys of the file.
pub(super) const SECTIONS: [&str; 9] =
    ["listen", "admin", "store", "sources", "rules", "sinks", "alerts", "log", "traces"];

impl Config {
    /// Reads the file, lays the process's environment over it, and checks all of it: secrets, certificates and
    /// the rules file are read too, but nothing is connected to.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        Self::load_with(path, std::env::vars_os())
    }

    /// [`Config::load`] with another environment.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn load_with(
        path: &Path,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let text = read_text(path).map_err(|message| Report::of_file(name.as_str(), message))?;
        let source = Source { name: &name, text: &text };
        let file = yaml::parse(&text).map_err(|fault| Report::new(source, fault))?;
        let (variables, faults) = Variable::of(environment);
        let mut loader = Loader { source, reports: Vec::new() };
        faults.into_iter().for_each(|fault| loader.fault(fault));
        let file = loader.known_sections(file);
        let root = layers::layered(file, variables).map_err(|fault| Report::new(source, fault))?;
        let root = loader.known_sections(root);
        let config = loader.config(&root);
        Reports::none_of(loader.reports)?;
        // Whatever could not be read was reported.
        config.ok_or_else(|| Report::of_file(name, "this cannot be read").into())
    }
}

/// Reads the rules that `rules:` names, with their text.
///
/// # Errors
/// When the file cannot be read, or everything that is wrong with its rules.
pub fn read_rules(path: &Path) -> Result<(Rules, String), ConfigErrors> {
    let name = path.display().to_string();
    let text = read_text(path).map_err(|message| Report::of_file(name.as_str(), message))?;
    Ok((Rules::parse(&name, &text)?, text))
}

/// The text of a file, bounded.
fn read_text(path: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot read the file: {error}");
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(cannot)?;
    if bytes.len() > MAX_BYTES {
        return Err(format!("the file is longer than {MAX_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("the file is not UTF-8: line {line} has a byte that is no text; save it as UTF-8")
    })
}

/// Reads section after section and remembers what is wrong.
pub(super) struct Loader<'a> {
    source: Source<'a>,
    reports: Vec<Report>,
}

impl Loader<'_> {
    pub(super) fn fault(&mut self, fault: Fault) {
        self.reports.push(Report::new(self.source, fault));
    }

    /// The value, or its fault is noted, at `node` where it has no place of its own.
    pub(super) fn try_to<T>(&mut self, result: Result<T, Fault>, node: &Node) -> Option<T> {
        result.map_err(|fault| self.fault(fault.or_at(&node.place))).ok()
    }

    /// The value, or its error is noted at the place of its path below `node`.
    pub(super) fn check<T>(&mut self, result: Result<T, ConfigError>, node: &Node) -> Option<T> {
        result
            .map_err(|ConfigError { path, message }| {
                // Such messages go on from the path.
                let fault = Fault::at(node.place_of(&path).clone(), format!("{path}: {message}"));
                self.fault(fault);
            })
            .ok()
    }

    /// Whether every secret can be read now; what cannot is noted.
    pub(super) fn can_read(&mut self, secrets: Vec<SecretSite>) -> bool {
        let mut all = true;
        for SecretSite { place, source } in secrets {
            if let Err(error) = source.read() {
                self.fault(Fault::at(place, error.to_string()));
                all = false;
            }
        }
        all
    }

    /// The file without sections that there are none of, which are noted.
    fn known_sections(&mut self, root: Node) -> Node {
        if !matches!(root.kind, Kind::Map(_) | Kind::Null) {
            let fault = Fault::at(root.place.clone(), "this must be a map of keys");
            self.fault(fault.with_help(format!("its keys are {}", SECTIONS.join(", "))));
        }
        let unknown: Vec<&Entry> =
            root.entries().iter().filter(|entry| !SECTIONS.contains(&entry.key.as_str())).collect();
        for entry in &unknown {
            self.fault(Fault::unknown(entry.place.clone(), "section", &entry.key, &SECTIONS));
        }
        let unknown: Vec<&str> = unknown.iter().map(|entry| entry.key.as_str()).collect();
        root.without(&unknown)
    }

    fn config(&mut self, root: &Node) -> Option<Config> {
        let listen: Option<ListenConfig> = self.section(root, "listen");
        if let (Some(listen), Some(entry)) = (&listen, root.entry("listen")) {
            self.check(listen.check(), &entry.value);
        }
        let admin: Option<AdminConfig> = self.section(root, "admin");
        if let (Some(admin), Some(entry)) = (&admin, root.entry("admin")) {
            self.check(admin.check(), &entry.value);
        }
        let alerts: Option<AlertsConfig> = self.section(root, "alerts");
        if let (Some(alerts), Some(entry)) = (&alerts, root.entry("alerts")) {
            self.check(alerts.check(), &entry.value);
        }
        let store: Option<StoreConfig> = self.section(root, "store");
        if let (Some(store), Some(entry)) = (&store, root.entry("store")) {
            self.check(store.check(), &entry.value);
        }
        let log: Option<LogConfig> = self.section(root, "log");
        if let (Some(log), Some(entry)) = (&log, root.entry("log")) {
            self.check(log.targets(), &entry.value);
        }
        let traces: Option<Option<TracesConfig>> = self.section(root, "traces");
        if let (Some(Some(traces)), Some(entry)) = (&traces, root.entry("traces")) {
            self.check(traces.check(), &entry.value);
        }
        let sources = self.sources(root);
        let (sinks, scopes) = self.sinks(root);
        let rules_file: Option<PathBuf> = self.section::<Option<PathBuf>>(root, "rules").flatten();
        let rules = self.rules(rules_file.as_deref(), root.place_of("rules"));
        let (rules, rules_text) = rules?;
        Some(Config {
            listen: listen?,
            admin: admin?,
            store: store?,
            sources,
            rules_file,
            rules,
            rules_text,
            scopes,
            sinks,
            alerts: alerts?,
            log: log?,
            traces: traces?,
        })
    }

    /// A section of its own type; one that is not there has its defaults.
    fn section<T: DeserializeOwned + Default>(&mut self, root: &Node, key: &str) -> Option<T> {
        root.entry(key).map_or_else(|| Some(T::default()), |entry| self.entry(entry))
    }

    fn entry<T: DeserializeOwned>(&mut self, entry: &Entry) -> Option<T> {
        let Decoded { value, secrets } =
            self.try_to(yaml::decode_noting_secrets(&entry.value), &entry.value)?;
        self.can_read(secrets).then_some(value)
    }

    /// The entries of a section that has a name for each.
    fn named<'n>(&mut self, root: &'n Node, key: &str) -> &'n [Entry] {
        let Some(section) = root.entry(key) else { return &[] };
        if !matches!(section.value.kind, Kind::Map(_) | Kind::Null) {
            let fault = Fault::at(section.value.place.clone(), "this must be a map of keys");
            self.fault(fault.with_help(format!("give each of the {key} a name: `my-name:`")));
        }
        for entry in section.value.entries() {
            if !is_name(&entry.key) {
                let message = format!("`{}` cannot be a name", entry.key);
                self.fault(Fault::at(entry.place.clone(), message).with_help(
                    "write at most 63 lower-case letters, digits, and single `-` and `_` between them",
                ));
            }
        }
        section.value.entries()
    }

    fn sources(&mut self, root: &Node) -> BTreeMap<SourceName, SourceConfig> {
        let entries = self.named(root, "sources");
        if entries.is_empty() {
            let place = root.entry("sources").map_or(Place::Nowhere, |entry| entry.place.clone());
            let fault = Fault::at(place, "there is no source, so nothing would ever come in");
            self.fault(fault.with_help("name one under `sources:`, with its `type` and `secrets`"));
        }
        let read = |entry: &Entry| {
            let source: SourceConfig = self.entry(entry)?;
            let name = SourceName::try_from(entry.key.clone()).ok()?;
            self.check(NamedSource::new(name.clone(), &source), &entry.value)?;
            Some((name, source))
        };
        entries.iter().filter_map(read).collect()
    }

    fn sinks(&mut self, root: &Node) -> (BTreeMap<SinkName, SinkEntry>, Scopes) {
        let mut found = BTreeMap::new();
        let mut scopes = Vec::new();
        for entry in self.named(root, "sinks") {
            let name = SinkName::new(entry.key.as_str());
            scopes.extend(sinks::scope(self, entry).map(|scope| (name.clone(), scope)));
            found.extend(sinks::read(self, &name, entry).map(|sink| (name, sink)));
        }
        (found, Scopes::new(scopes))
    }

    fn rules(&mut self, path: Option<&Path>, place: &Place) -> Option<(Rules, String)> {
        let Some(path) = path else { return Some((Rules::none(), String::new())) };
        let text = match read_text(path) {
            Ok(text) => text,
            Err(message) => {
                self.fault(Fault::at(place.clone(), format!("{}: {message}", path.display())));
                return None;
            }
        };
        let parsed = Rules::parse(&path.display().to_string(), &text);
        parsed.map(|rules| (rules, text)).map_err(|errors| self.reports.extend(errors.into_vec())).ok()
    }
}
