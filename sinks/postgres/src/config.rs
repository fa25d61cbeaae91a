//! The sink's section of the configuration.

use rolecall_sink_api::tls::Tls;
use rolecall_sink_api::{ConfigError, SecretSource, Timespan};
use schemars::JsonSchema;
use serde::Deserialize;

/// A PostgreSQL database (13 or newer) that holds users, groups and roles as tables.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where and as whom: `postgresql://rolecall@db.example.com:5432/app`. Several hosts may stand behind
    /// commas; with `?target_session_attrs=read-write` the one that takes writes is used. TLS is required and
    /// certificates are verified, unless `?sslmode=disable` says otherwise or the host is a Unix socket. A
    /// password is not allowed here: see `password`.
    pub url: String,
    /// The password of the role in `url`. Read again at each connection, so it can be changed without a
    /// restart.
    #[serde(default)]
    pub password: Option<SecretSource>,
    /// Whom to trust, and a client certificate.
    #[serde(default)]
    pub tls: Tls,
    /// The schema that holds the tables. It is made if it does not exist. A schema of its own keeps the
    /// tables apart from an application's own `users`; `public` is possible where it has no such tables.
    #[serde(default = "default_schema")]
    pub schema: String,
    /// How long connecting may take, with TLS and authentication.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: Timespan,
    /// How long one batch may take in all, connecting and retrying included. No answer within it: the sink is
    /// down.
    #[serde(default = "default_timeout")]
    pub timeout: Timespan,
    /// How long the server may work on one statement (its `statement_timeout`); not longer than `timeout`.
    #[serde(default = "default_statement_timeout")]
    pub statement_timeout: Timespan,
    /// How long a statement may wait for a lock that somebody else holds (the server's `lock_timeout`); less
    /// than `statement_timeout`. What is still locked then is tried again later.
    #[serde(default = "default_lock_timeout")]
    pub lock_timeout: Timespan,
}

fn default_schema() -> String {
    "rolecall".into()
}

const fn default_connect_timeout() -> Timespan {
    Timespan::from_secs(10)
}

const fn default_timeout() -> Timespan {
    Timespan::from_secs(30)
}

const fn default_statement_timeout() -> Timespan {
    Timespan::from_secs(15)
}

const fn default_lock_timeout() -> Timespan {
    Timespan::from_secs(3)
}

/// The longest name that PostgreSQL keeps whole, in bytes.
const MAX_NAME: usize = 63;

impl Config {
    /// What can be checked without the server; the url, the password and TLS are checked where they are used.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let schema = &self.schema;
        if schema.is_empty() || schema.len() > MAX_NAME || schema.contains('\0') {
            return Err(ConfigError::new(
                "schema",
                format!("{schema:?} cannot be a schema's name: write 1 to {MAX_NAME} bytes"),
            ));
        }
        if schema.starts_with("pg_") || schema == "information_schema" {
            return Err(ConfigError::new(
                "schema",
                format!("{schema:?} is PostgreSQL's own: choose another"),
            ));
        }
        for (path, value) in [
            ("connect_timeout", self.connect_timeout),
            ("timeout", self.timeout),
            ("statement_timeout", self.statement_timeout),
            ("lock_timeout", self.lock_timeout),
        ] {
            // PostgreSQL reads 0 as "no limit", and keeps milliseconds in 32 bits.
            if !(1..=i32::MAX as u128).contains(&value.get().as_millis()) {
                return Err(ConfigError::new(path, "must be between 1ms and 24 days"));
            }
        }
        if self.statement_timeout > self.timeout {
            return Err(ConfigError::new(
                "statement_timeout",
                format!("must not be longer than timeout ({})", self.timeout),
            ));
        }
        if self.lock_timeout >= self.statement_timeout {
            return Err(ConfigError::new(
                "lock_timeout",
                format!("must be less than statement_timeout ({})", self.statement_timeout),
            ));
        }
        Ok(())
    }
}
