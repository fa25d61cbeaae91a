//! The kinds of sink there are. This is the one place that names them.

use std::sync::Arc;

use rolecall_sink_api::{ConfigError, Sink, SinkName};
/// The exec sink, for the commands that are about plugins.
pub use rolecall_sink_exec as exec;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;

use crate::yaml::{self, Decoded, Fault, Node};

/// One kind of sink: its name under `type` in the configuration, and how its section becomes a sink.
pub struct SinkKind {
    /// The name.
    pub name: &'static str,
    decode: Box<Decode>,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

type Decode = dyn Fn(&Node) -> Result<Decoded<Builder>, Fault>;

/// A section that was read, on its way to a sink of the given name.
pub type Builder = Box<dyn FnOnce(&SinkName) -> Result<Arc<dyn Sink>, ConfigError>>;

impl SinkKind {
    /// Reads the sink's own keys.
    ///
    /// # Errors
    /// The first thing that is wrong, at its place.
    pub fn decode(&self, section: &Node) -> Result<Decoded<Builder>, Fault> {
        (self.decode)(section)
    }

    /// The JSON Schema of the sink's own keys.
    pub fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.schema)(generator)
    }
}

/// Every kind of sink.
pub fn kinds() -> Vec<SinkKind> {
    vec![
        kind("exec", exec::ExecSink::new),
        kind("ldap", rolecall_sink_ldap::LdapSink::new),
        kind("postgres", |name, config| rolecall_sink_postgres::PostgresSink::new(name.as_str(), config)),
        kind("rest", |name, config| rolecall_sink_rest::RestSink::new(name.as_str(), config)),
        kind("scim", |name, config| rolecall_sink_scim::ScimSink::new(name.as_str(), config)),
        kind("sqlite", |name, config| rolecall_sink_sqlite::SqliteSink::new(name.as_str(), config)),
    ]
}

fn kind<C, S>(name: &'static str, build: fn(&SinkName, C) -> Result<S, ConfigError>) -> SinkKind
where
    C: DeserializeOwned + JsonSchema + 'static,
    S: Sink + 'static,
{
    let decode = move |section: &Node| {
        let Decoded { value: config, secrets } = yaml::decode_noting_secrets::<C>(section)?;
        let builder: Builder =
            Box::new(move |name| build(name, config).map(|sink| Arc::new(sink) as Arc<dyn Sink>));
        Ok(Decoded { value: builder, secrets })
    };
    SinkKind { name, decode: Box::new(decode), schema: C::json_schema }
}
