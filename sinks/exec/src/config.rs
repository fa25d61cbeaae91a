//! The sink's section of the configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rolecall_sink_api::{ConfigError, SecretSource, Timespan};
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::account::Account;

/// A program that is a sink: it reads requests as lines of JSON and answers them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The program, by its absolute path, and its arguments. No shell reads them.
    pub command: Vec<String>,
    /// The program's environment, all of it: nothing is inherited, `PATH` and `HOME` neither. A value is text, or where a
    /// secret is kept, which is read at each start of the program.
    #[serde(default)]
    pub environment: BTreeMap<String, Value>,
    /// The program's working directory. Default: `/`.
    #[serde(default = "default_directory")]
    pub directory: PathBuf,
    /// The user to run the program as: a name in `/etc/passwd`, or a number. Needs a daemon that runs as root. Default: the
    /// daemon's user.
    #[serde(default)]
    pub user: Option<String>,
    /// The group to run the program as, and the only one: a name in `/etc/group`, or a number. Needs `user`. Default: that
    /// user's group in `/etc/passwd`.
    #[serde(default)]
    pub group: Option<String>,
    /// How long the program may take from its start to its answer to `hello`.
    #[serde(default = "default_start_timeout")]
    pub start_timeout: Timespan,
    /// How long the program may take for a request. Less than `delivery.batch_timeout`.
    #[serde(default = "default_timeout")]
    pub timeout: Timespan,
    /// How long the program may take to say all that its target holds; no two lines of it are farther apart than `timeout`.
    #[serde(default = "default_observe_timeout")]
    pub observe_timeout: Timespan,
    /// How long the program may take to end by itself when the daemon stops. Then it is killed, with its children.
    #[serde(default = "default_stop_timeout")]
    pub stop_timeout: Timespan,
}

fn default_directory() -> PathBuf {
    "/".into()
}

const fn default_start_timeout() -> Timespan {
    Timespan::from_secs(10)
}

const fn default_timeout() -> Timespan {
    Timespan::from_secs(60)
}

const fn default_observe_timeout() -> Timespan {
    Timespan::from_secs(600)
}

const fn default_stop_timeout() -> Timespan {
    Timespan::from_secs(5)
}

/// The value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[serde(untagged)]
pub enum Value {
    /// The value itself.
    Plain(String),
    /// Where a secret is kept.
    Secret(SecretSource),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

/// By hand, because an untagged enum would forget which of the two was meant and what is wrong with it.
struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, or where a secret is kept")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Plain(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        SecretSource::deserialize(MapAccessDeserializer::new(map)).map(Value::Secret)
    }
}

impl Config {
    /// A program that runs as this process does, with an empty environment and the default limits.
    pub fn of(command: Vec<String>) -> Self {
        Self {
            command,
            environment: BTreeMap::new(),
            directory: default_directory(),
            user: None,
            group: None,
            start_timeout: default_start_timeout(),
            timeout: default_timeout(),
            observe_timeout: default_observe_timeout(),
            stop_timeout: default_stop_timeout(),
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        self.validate_command()?;
        for (name, value) in &self.environment {
            let path = format!("environment.{name}");
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(ConfigError::new(path, "cannot be the name of an environment variable"));
            }
            match value {
                Value::Plain(text) if text.contains('\0') => {
                    return Err(ConfigError::new(path, "holds a NUL, which no environment can"));
                }
                Value::Plain(_) => {}
                Value::Secret(source) => {
                    source.read().map_err(|error| ConfigError::new(path, error.to_string()))?;
                }
            }
        }
        if !self.directory.is_absolute() || !self.directory.is_dir() {
            let directory = self.directory.display();
            return Err(ConfigError::new(
                "directory",
                format!("{directory} is no directory; write an absolute path"),
            ));
        }
        for (key, wait) in [
            ("start_timeout", self.start_timeout),
            ("timeout", self.timeout),
            ("observe_timeout", self.observe_timeout),
        ] {
            if wait.get().is_zero() {
                return Err(ConfigError::new(key, "must be more than 0s"));
            }
        }
        Account::find(self.user.as_deref(), self.group.as_deref()).map(drop)
    }

    fn validate_command(&self) -> Result<(), ConfigError> {
        let refuse = |why: String| Err(ConfigError::new("command", why));
        let Some(program) = self.command.first() else {
            return refuse("names no program; write [/path/to/program, argument, …]".into());
        };
        if self.command.iter().any(|word| word.contains('\0')) {
            return refuse("holds a NUL, which no command can".into());
        }
        let path = Path::new(program);
        if !path.is_absolute() {
            return refuse(format!("{program} is no absolute path; no PATH is searched"));
        }
        match std::fs::metadata(path) {
            Err(error) => refuse(format!("{program}: {error}")),
            Ok(found) if !found.is_file() => refuse(format!("{program} is no file")),
            Ok(found) if found.permissions().mode() & 0o111 == 0 => {
                refuse(format!("{program} is not executable; chmod +x {program}"))
            }
            Ok(_) => Ok(()),
        }
    }
}
