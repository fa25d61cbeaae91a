//! `sinks:`

use std::fmt;
use std::sync::Arc;

use rolecall_sink_api::{ConfigError, Sink, SinkName, Timespan};
use schemars::SchemaGenerator;

use super::load::Loader;
use crate::deliver::registry::{self, SinkKind};
use crate::deliver::{DeliveryConfig, SafeguardConfig};
use crate::rules::Scope;
use crate::yaml::{self, Entry, Fault, Kind, Node};

/// One sink, ready to work.
#[derive(Clone)]
pub struct SinkEntry {
    /// Its `type`.
    pub kind: &'static str,
    /// How changes are delivered to it.
    pub delivery: DeliveryConfig,
    /// How many users may lose something there before a person is asked; without it, everybody.
    pub safeguard: Option<SafeguardConfig>,
    /// The sink.
    pub sink: Arc<dyn Sink>,
}

impl fmt::Debug for SinkEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkEntry").field("kind", &self.kind).field("delivery", &self.delivery).finish()
    }
}

/// The keys of a sink's section that are the daemon's.
const OWN: [&str; 4] = ["type", "delivery", "only", "safeguard"];

/// What stands in place of a safeguard where there is to be none.
pub(super) const OFF: &str = "off";

/// The longest time in which withdrawals are counted together: what counts is kept for as long.
const LONGEST_WINDOW: Timespan = Timespan::from_days(30);

/// Reads one sink's section: `type` says which sink's keys the others are.
pub(super) fn read(loader: &mut Loader<'_>, name: &SinkName, entry: &Entry) -> Option<SinkEntry> {
    let section = &entry.value;
    if !matches!(section.kind, Kind::Map(_) | Kind::Null) {
        loader.fault(
            Fault::at(entry.value.place.clone(), "this must be a map of keys")
                .with_help("begin with `type:`"),
        );
        return None;
    }
    let delivery = delivery(loader, section);
    let safeguard = safeguard(loader, section);
    let kind = kind(loader, entry)?;
    let own_keys = own_keys(loader, &kind, section);
    let decoded = loader.try_to(kind.decode(&own_keys), section)?;
    if !loader.can_read(decoded.secrets) {
        return None;
    }
    let sink = loader.check((decoded.value)(name), section)?;
    Some(SinkEntry { kind: kind.name, delivery: delivery?, safeguard: safeguard?, sink })
}

/// Whom the sink is given; none when everybody.
pub(super) fn scope(loader: &mut Loader<'_>, sink: &Entry) -> Option<Scope> {
    let only = &sink.value.entry("only")?.value;
    let scope = Scope::read(only);
    scope.map_err(|faults| faults.into_iter().for_each(|fault| loader.fault(fault.or_at(&only.place)))).ok()
}

fn delivery(loader: &mut Loader<'_>, section: &Node) -> Option<DeliveryConfig> {
    let Some(entry) = section.entry("delivery") else { return Some(DeliveryConfig::default()) };
    let delivery: DeliveryConfig = loader.try_to(yaml::decode(&entry.value), &entry.value)?;
    loader.check(limits(&delivery), &entry.value)?;
    Some(delivery)
}

/// The safeguard, on or `off`; `None` when it is wrong.
fn safeguard(loader: &mut Loader<'_>, section: &Node) -> Option<Option<SafeguardConfig>> {
    let Some(entry) = section.entry("safeguard") else { return Some(Some(SafeguardConfig::default())) };
    let node = &entry.value;
    if matches!(&node.kind, Kind::Text(word) if word == OFF) {
        return Some(None);
    }
    let safeguard: SafeguardConfig = loader.try_to(yaml::decode(node), node)?;
    loader.check(window(&safeguard), node)?;
    Some(Some(safeguard))
}

/// What the types alone do not say.
fn window(safeguard: &SafeguardConfig) -> Result<(), ConfigError> {
    let refuse = |path, message: String| Err(ConfigError::new(path, message));
    if safeguard.within.get().is_zero() || safeguard.within > LONGEST_WINDOW {
        return refuse("within", format!("must be more than 0s and at most {LONGEST_WINDOW}"));
    }
    for (path, percent) in [
        ("removals_percent", safeguard.removals_percent),
        ("revocations_percent", safeguard.revocations_percent),
    ] {
        if percent > 100 {
            return refuse(path, "must be from 0 to 100".into());
        }
    }
    Ok(())
}

/// What the types alone do not say.
fn limits(delivery: &DeliveryConfig) -> Result<(), ConfigError> {
    let refuse = |path, message: String| Err(ConfigError::new(path, message));
    if !delivery.batch.is_none_or(|batch| (1..=10_000).contains(&batch)) {
        return refuse("batch", "must be from 1 to 10000".into());
    }
    if delivery.max_attempts == 0 {
        return refuse("max_attempts", "must be at least 1".into());
    }
    for (path, wait) in [
        ("initial_backoff", delivery.initial_backoff),
        ("max_probe_interval", delivery.max_probe_interval),
        ("batch_timeout", delivery.batch_timeout),
    ] {
        if wait.get().is_zero() {
            return refuse(path, "must be more than 0s".into());
        }
    }
    if delivery.max_backoff < delivery.initial_backoff {
        return refuse(
            "max_backoff",
            format!("must not be less than initial_backoff ({})", delivery.initial_backoff),
        );
    }
    Ok(())
}

fn kind(loader: &mut Loader<'_>, sink: &Entry) -> Option<SinkKind> {
    let kinds = registry::kinds();
    let names: Vec<&'static str> = kinds.iter().map(|kind| kind.name).collect();
    let Some(entry) = sink.value.entry("type") else {
        let fault = Fault::at(sink.place.clone(), "the key `type` is missing");
        loader.fault(fault.with_help(format!("it is one of {}", names.join(", "))));
        return None;
    };
    let wanted: String = loader.try_to(yaml::decode(&entry.value), &entry.value)?;
    let found = kinds.into_iter().find(|kind| kind.name == wanted);
    if found.is_none() {
        loader.fault(Fault::unknown(entry.value.place.clone(), "type of sink", &wanted, &names));
    }
    found
}

/// The section without the daemon's keys, and without unknown ones: those are all told at once.
fn own_keys(loader: &mut Loader<'_>, kind: &SinkKind, section: &Node) -> Node {
    let schema = kind.schema(&mut SchemaGenerator::default());
    let properties = schema.get("properties").and_then(|properties| properties.as_object());
    let Some(properties) = properties else { return section.without(&OWN) };
    let known: Vec<&str> = OWN.into_iter().chain(properties.keys().map(String::as_str)).collect();
    let unknown: Vec<&Entry> =
        section.entries().iter().filter(|entry| !known.contains(&entry.key.as_str())).collect();
    for entry in &unknown {
        loader.fault(Fault::unknown(entry.place.clone(), "key", &entry.key, &known));
    }
    let left_out: Vec<&str> = OWN.into_iter().chain(unknown.iter().map(|entry| entry.key.as_str())).collect();
    section.without(&left_out)
}
