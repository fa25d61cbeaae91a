//! The JSON Schemas of the configuration and the rules, for editors and for the reference.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::sinks::OFF;
use super::{AdminConfig, AlertsConfig, LogConfig, StoreConfig};
use crate::deliver::{DeliveryConfig, SafeguardConfig, registry};
use crate::receive::ListenConfig;
use crate::rules::{RulesFile, ScopeEntry};
use crate::source::SourceConfig;
use crate::traces::TracesConfig;

/// The configuration of rolecall.
#[derive(JsonSchema)]
#[schemars(title = "rolecall.yaml", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used: a file is read section by section")]
struct ConfigFile {
    /// Where webhooks are received.
    listen: Option<ListenConfig>,
    /// How the other commands reach the running daemon.
    admin: Option<AdminConfig>,
    /// Where rolecall keeps what it knows.
    store: Option<StoreConfig>,
    /// Who sends, each under a name of its own. At least one.
    sources: BTreeMap<String, SourceConfig>,
    /// The rules file. Without one, nobody has any role.
    rules: Option<PathBuf>,
    /// What is kept in step, each under a name of its own.
    sinks: Option<BTreeMap<String, AnySink>>,
    /// Who is told when something needs a person.
    alerts: Option<AlertsConfig>,
    /// What is logged, and how it looks.
    log: Option<LogConfig>,
    /// Where traces are sent to. Default: nowhere.
    traces: Option<TracesConfig>,
}

/// A sink of any kind.
struct AnySink;

impl JsonSchema for AnySink {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sink".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let delivery = generator.subschema_for::<DeliveryConfig>();
        let safeguard = json!({
            "description": "How many users may lose something in this sink before a person is asked, as a section; \
                or nothing is ever held.",
            "oneOf": [
                {"const": OFF, "description": "Nothing is held."},
                generator.subschema_for::<SafeguardConfig>(),
            ],
        });
        let only = generator.subschema_for::<ScopeEntry>();
        let kinds: Vec<Value> = registry::kinds()
            .into_iter()
            .map(|kind| {
                let mut schema = kind.schema(generator).to_value();
                let kind_of_sink = json!({"const": kind.name, "description": "The kind of sink."});
                if let Some(schema) = schema.as_object_mut() {
                    schema.insert("title".into(), kind.name.into());
                    let properties = schema.entry("properties").or_insert_with(|| json!({}));
                    if let Some(properties) = properties.as_object_mut() {
                        properties.insert("type".into(), kind_of_sink);
                        properties.insert("delivery".into(), true.into());
                        properties.insert("only".into(), true.into());
                        properties.insert("safeguard".into(), true.into());
                    }
                    let required = schema.entry("required").or_insert_with(|| json!([]));
                    if let Some(required) = required.as_array_mut() {
                        required.insert(0, "type".into());
                    }
                }
                schema
            })
            .collect();
        json_schema!({
            "description": "One sink: `type` says which keys it has besides.",
            "type": "object",
            "properties": {"delivery": delivery, "only": only, "safeguard": safeguard},
            "oneOf": kinds,
        })
    }
}

/// The JSON Schema of the configuration file.
pub fn schema() -> Schema {
    schemars::schema_for!(ConfigFile)
}

/// The JSON Schema of the rules file.
pub fn rules_schema() -> Schema {
    let mut schema = schemars::schema_for!(RulesFile);
    schema.insert("title".into(), "rules.yaml".into());
    schema
}
