//! The mapping for a server, once it is known what the server is.

use std::sync::Arc;

use rolecall_sink_api::{ConfigError, SinkDown};

use crate::compare::Rules;
use crate::config::Config;
use crate::connection::Connection;
use crate::mapping::Mapping;
use crate::schema::Schema;
use crate::server_kind::ServerKind;

/// The configuration, to be compiled for each server that it meets: what kind it is and how it compares values is
/// known when it is connected to.
pub(crate) struct Mappings {
    config: Config,
    /// The kind of server, where the configuration says it.
    named: Option<ServerKind>,
}

impl Mappings {
    /// Checks what can be checked before a server is known: a configuration that is of no use with any kind of server
    /// is refused.
    pub(crate) fn new(config: Config) -> Result<Self, ConfigError> {
        let named = ServerKind::named(config.flavour);
        let mappings = Self { config, named };
        match named {
            Some(kind) => mappings.compile(kind, Rules::default()).map(drop)?,
            None => {
                let tried = ServerKind::ALL.map(|kind| mappings.compile(kind, Rules::default()));
                if tried.iter().all(Result::is_err) {
                    let [first, ..] = tried;
                    first?;
                }
            }
        }
        Ok(mappings)
    }

    /// The mapping for a file, whose server nobody knows.
    pub(crate) fn for_file(&self) -> Result<Mapping, ConfigError> {
        self.compile(self.named.unwrap_or(ServerKind::Generic), Rules::default())
    }

    /// The mapping for the server at the other end, whose schema is read for it.
    pub(crate) async fn for_server(&self, connection: &mut Connection) -> Result<Arc<Mapping>, SinkDown> {
        let kind = self.named.unwrap_or_else(|| ServerKind::of(&connection.server));
        let rules = Schema::read(connection).await?.map(|schema| schema.rules(kind)).unwrap_or_default();
        let mapping = self.compile(kind, rules).and_then(|mapping| self.check_passwords(connection, mapping));
        let mapping = mapping.map_err(|e| {
            SinkDown::new(format!(
                "{}: the configuration does not fit a server of kind {kind}: {e}",
                connection.url()
            ))
        })?;
        connection.return_ids(&mapping.id.name);
        Ok(Arc::new(mapping))
    }

    fn compile(&self, kind: ServerKind, rules: Rules) -> Result<Mapping, ConfigError> {
        Mapping::compile(&self.config, kind, rules)
    }

    fn check_passwords(&self, connection: &Connection, mapping: Mapping) -> Result<Mapping, ConfigError> {
        if mapping.sets_passwords() && !connection.is_private && !self.config.allow_plaintext_password {
            return Err(ConfigError::new(
                "people.first_password",
                "random passwords would go over the connection in the clear: use ldaps://, or set start_tls: true",
            ));
        }
        Ok(mapping)
    }
}
