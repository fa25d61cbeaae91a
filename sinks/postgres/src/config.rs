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
    /// tables apart from an application's own `users`; `public` is possible where it has no such tables. With
    /// `statements`, the only schema in which names are looked up. Default: `rolecall`; with `statements`, what
    /// the role's `search_path` says.
    #[serde(default)]
    pub schema: Option<String>,
    /// Statements that write tables of your own, instead of those that the sink makes.
    #[serde(default)]
    pub statements: Option<StatementsConfig>,
    /// Statements that run when a user loses access or goes, in the same transaction, before the user's row is
    /// removed: `DELETE FROM app.sessions WHERE user_id = :user_id`. They know `:user_id` and `:generation`, and
    /// may run again for somebody who has no access already.
    #[serde(default)]
    pub on_deactivate: Vec<String>,
    /// How long connecting to one host may take, with TLS and authentication. With several hosts in `url`, the
    /// next one is tried then.
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

/// Statements for tables of your own, each optional. What is left out is not written.
///
/// A parameter is a name after a colon, `:email`, and is NULL where there is no value. Texts are read by the server as
/// whatever type their place has: `uuid`, `citext`, an enum. Every statement has `:generation`, a number that grows
/// with every change of a user or group.
///
/// Each may run again with the same values and must then change nothing: `ON CONFLICT`, not a bare `INSERT`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StatementsConfig {
    /// Makes a user or brings their attributes up to date: `:user_id`, `:active`, the attributes by their names
    /// (`:email`, `:display_name`, `:external_id`, …), `:address` and `:custom` as `jsonb`, `:roles` and
    /// `:group_ids` as `text[]`. It runs for users without access only if it names `:active`. If it names
    /// `:generation` and touches no row, a newer write is taken to be there and this one is given up: so compare
    /// with `<=`, because the same write may come again.
    pub user_upsert: Option<String>,
    /// Takes a user's access away: `:user_id`. Without it, `user_upsert` does if it names `:active`, or else
    /// `user_delete`.
    pub user_deactivate: Option<String>,
    /// Removes a user, or marks them as gone: `:user_id`. Without it, a user who goes is deactivated.
    pub user_delete: Option<String>,
    /// Makes a group or brings it up to date: `:group_id`, `:group_name`, `:organization_id`, `:external_id`.
    /// `:generation` as in `user_upsert`.
    pub group_upsert: Option<String>,
    /// Removes a group with its memberships: `:group_id`.
    pub group_delete: Option<String>,
    /// Puts a user into a group: `:user_id`, `:group_id`, `:group_name`. It must fail where the user or the group
    /// is not there yet (a foreign key, or NULL where it is not allowed): then it is tried again later.
    pub member_add: Option<String>,
    /// Takes a user out of a group: `:user_id`, `:group_id`, `:group_name`.
    pub member_remove: Option<String>,
    /// Gives a user a role: `:user_id`, `:role`. It must fail where the user is not there yet, like `member_add`.
    pub role_grant: Option<String>,
    /// Takes a role from a user: `:user_id`, `:role`.
    pub role_revoke: Option<String>,
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

/// The schema of the sink's own tables, if no other is wanted.
const DEFAULT_SCHEMA: &str = "rolecall";

impl Config {
    /// The schema to look into; `None` leaves that to the role.
    pub(crate) fn tables_schema(&self) -> Option<&str> {
        let default = self.statements.is_none().then_some(DEFAULT_SCHEMA);
        self.schema.as_deref().or(default)
    }

    /// What can be checked without the server; the url, the password and TLS are checked where they are used.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let schema = self.tables_schema().unwrap_or(DEFAULT_SCHEMA);
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
