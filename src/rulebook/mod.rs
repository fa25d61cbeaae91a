//! The rules from their file into force: read at the start and again on request, handed over, gone back to, and tried out
//! before. Whatever is wrong leaves those that are in force as they are.

mod plan;
mod planned;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rolecall_sink_api::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use plan::{PlanPage, RoleChange};
pub use planned::{Alike, Counts, Planned, Somebody};

use crate::config::read_rules;
use crate::rules::{Rules, Scopes};
use crate::store::{Adopted, NewRules, RulesInForce, RulesOrigin, RulesVersion, Store, StoreError};
use crate::yaml::MAX_BYTES;

/// The longest request that brings rules, in bytes: in JSON a character may take several.
pub const MOST_RULES: usize = 2 * MAX_BYTES;
/// What rules are called that have no file.
const NO_FILE: &str = "(no rules file)";

/// Why rules were not put into force.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RulebookError {
    /// They are wrong: where and why, over several lines.
    #[error("{0}")]
    Wrong(String),
    /// There is nothing to do it with.
    #[error("{0}")]
    Missing(String),
    /// They could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rules that were last turned down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    /// When.
    #[schemars(with = "Moment")]
    pub at: Timestamp,
    /// What is wrong with them.
    pub error: String,
}

/// How it went to put rules into force since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// How often rules were put into force, the start not counted.
    pub taken: u64,
    /// How often they were turned down.
    pub turned_down: u64,
    /// When rules were last put into force, the start among it.
    pub last_taken: Timestamp,
}

/// The rules in force, and how others take their place. Cheap to clone.
#[derive(Clone)]
pub struct Rulebook {
    store: Arc<dyn Store>,
    in_force: RulesInForce,
    file: Option<PathBuf>,
    clock: fn() -> Timestamp,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug)]
struct Known {
    /// A digest of what the file held when it was last read.
    file: String,
    rejected: Option<Rejected>,
    record: Record,
}

/// Which rules the daemon starts with.
#[derive(Debug)]
pub struct Opening {
    /// The rules.
    pub rules: Arc<Rules>,
    /// Their text.
    text: String,
    file: String,
}

impl Opening {
    /// The rules of the file; or, when it holds what it did when they were put into force, those that were handed over or
    /// gone back to since: a restart undoes no decision.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn choose(store: &dyn Store, rules: Rules, text: String) -> Result<Self, StoreError> {
        let file = digest(&text);
        let of_file = Self { rules: Arc::new(rules), text, file };
        let Some(newest) = store.rules_version(None).await? else { return Ok(of_file) };
        // Rules that were applied and then written into the file are the file's.
        if newest.origin.is_file() || newest.file != of_file.file || newest.text == of_file.text {
            return Ok(of_file);
        }
        let number = newest.number;
        match Rules::parse(&version_name(number), &newest.text) {
            Ok(rules) => {
                tracing::warn!(
                    version = number,
                    "the rules in force are not those of the rules file, which was not changed since: a reload takes the file's"
                );
                Ok(Self { rules: Arc::new(rules), text: newest.text, file: of_file.file })
            }
            Err(errors) => {
                tracing::error!(version = number, %errors, "the rules last in force cannot be read; the file's are taken");
                Ok(of_file)
            }
        }
    }

    /// Puts them into force.
    ///
    /// # Errors
    /// When they cannot be stored.
    pub async fn adopt(
        &self,
        store: &dyn Store,
        scopes: Arc<Scopes>,
        at: Timestamp,
    ) -> Result<Adopted, StoreError> {
        let new = NewRules {
            rules: Arc::clone(&self.rules),
            text: self.text.clone(),
            origin: RulesOrigin::Start,
            file: self.file.clone(),
            scopes,
            at,
        };
        store.use_rules(new).await
    }
}

impl Rulebook {
    /// Of the rules in force, which the daemon started with.
    pub fn new(
        store: Arc<dyn Store>,
        in_force: RulesInForce,
        opening: &Opening,
        file: Option<PathBuf>,
        clock: fn() -> Timestamp,
    ) -> Self {
        let record = Record { taken: 0, turned_down: 0, last_taken: clock() };
        let known = Known { file: opening.file.clone(), rejected: None, record };
        Self { store, in_force, file, clock, known: Arc::new(Mutex::new(known)) }
    }

    /// The rules in force.
    pub fn in_force(&self) -> &RulesInForce {
        &self.in_force
    }

    /// Where they are looked for, to be shown.
    pub fn file_name(&self) -> String {
        self.file.as_ref().map_or_else(|| NO_FILE.into(), |file| file.display().to_string())
    }

    /// The rules that were turned down since others were last put into force.
    pub fn rejected(&self) -> Option<Rejected> {
        self.known().rejected.clone()
    }

    /// How it went so far.
    pub fn record(&self) -> Record {
        self.known().record
    }

    /// Reads the rules file again and puts it into force.
    ///
    /// # Errors
    /// When there is none, it is wrong, or it cannot be stored: the rules in force stay.
    pub async fn reload(&self) -> Result<Adopted, RulebookError> {
        let adopted = self.try_reload().await;
        self.remember(adopted)
    }

    async fn try_reload(&self) -> Result<Adopted, RulebookError> {
        let file = self.file.clone().ok_or_else(|| {
            RulebookError::Missing(
                "the configuration names no rules file (rules), so there is none to read".into(),
            )
        })?;
        let read = tokio::task::spawn_blocking(move || read_rules(&file)).await;
        let read =
            read.map_err(|error| RulebookError::Wrong(format!("reading the rules failed: {error}")))?;
        let (rules, text) = read.map_err(|errors| RulebookError::Wrong(errors.to_string()))?;
        let file = digest(&text);
        let adopted = self.replace(rules, text, RulesOrigin::Reload, file.clone()).await?;
        self.known().file = file;
        Ok(adopted)
    }

    /// Puts rules into force that are called `name` in messages.
    ///
    /// # Errors
    /// When they are wrong or cannot be stored: the rules in force stay.
    pub async fn apply(&self, name: &str, text: String) -> Result<Adopted, RulebookError> {
        let adopted = self.try_to_apply(name, text).await;
        self.remember(adopted)
    }

    async fn try_to_apply(&self, name: &str, text: String) -> Result<Adopted, RulebookError> {
        let (rules, text) = parsed(name.to_owned(), text).await?;
        let file = self.known().file.clone();
        self.replace(rules, text, RulesOrigin::Apply, file).await
    }

    /// Puts an older version into force: this one, or the one before the newest.
    ///
    /// # Errors
    /// When there is no such version any more, it cannot be read by this rolecall, or it cannot be stored.
    pub async fn roll_back(&self, to: Option<u64>) -> Result<Adopted, RulebookError> {
        let adopted = self.try_to_roll_back(to).await;
        self.remember(adopted)
    }

    async fn try_to_roll_back(&self, to: Option<u64>) -> Result<Adopted, RulebookError> {
        let to = match to {
            Some(to) => to,
            None => self.before_the_newest().await?,
        };
        let version = self.store.rules_version(Some(to)).await?;
        let version = version.ok_or_else(|| {
            RulebookError::Missing(format!("there is no version {to}; `rolecall rules history` lists them"))
        })?;
        let (rules, text) = parsed(version_name(to), version.text).await?;
        let file = self.known().file.clone();
        self.replace(rules, text, RulesOrigin::Rollback { to }, file).await
    }

    async fn before_the_newest(&self) -> Result<u64, RulebookError> {
        let versions = self.store.rules_versions(2).await?;
        match versions.as_slice() {
            [_, before] => Ok(before.number),
            _ => Err(RulebookError::Missing("there is no older version to go back to".into())),
        }
    }

    /// The versions that were in force, newest first; at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn history(&self, limit: u32) -> Result<Vec<RulesVersion>, StoreError> {
        self.store.rules_versions(limit).await
    }

    /// One version with its text; the newest without a number.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn version(&self, number: Option<u64>) -> Result<Option<RulesVersion>, StoreError> {
        self.store.rules_version(number).await
    }

    async fn replace(
        &self,
        rules: Rules,
        text: String,
        origin: RulesOrigin,
        file: String,
    ) -> Result<Adopted, RulebookError> {
        let scopes = self.in_force.scopes();
        let new = NewRules { rules: Arc::new(rules), text, origin, file, scopes, at: (self.clock)() };
        Ok(self.in_force.replace(new).await?)
    }

    /// Says how it went: to the log, and to whoever asks for the status.
    fn remember(&self, adopted: Result<Adopted, RulebookError>) -> Result<Adopted, RulebookError> {
        match &adopted {
            Ok(Adopted { version, is_new, evaluates }) => {
                tracing::info!(version, is_new, evaluates, "rules are in force");
                let mut known = self.known();
                known.rejected = None;
                known.record.taken += 1;
                known.record.last_taken = (self.clock)();
            }
            Err(error) => {
                tracing::error!(%error, "the rules stay as they are: others were turned down");
                let mut known = self.known();
                known.rejected = Some(Rejected { at: (self.clock)(), error: error.to_string() });
                known.record.turned_down += 1;
            }
        }
        adopted
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads rules where it keeps nobody waiting: a large file takes its time.
async fn parsed(name: String, text: String) -> Result<(Rules, String), RulebookError> {
    let parse = move || match Rules::parse(&name, &text) {
        Ok(rules) => Ok((rules, text)),
        Err(errors) => Err(RulebookError::Wrong(errors.to_string())),
    };
    let parsed = tokio::task::spawn_blocking(parse).await;
    parsed.unwrap_or_else(|error| Err(RulebookError::Wrong(format!("reading the rules failed: {error}"))))
}

/// What a version goes by in messages.
fn version_name(number: u64) -> String {
    format!("version {number} of the rules")
}

fn digest(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(text).iter().take(16).fold(String::with_capacity(32), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
