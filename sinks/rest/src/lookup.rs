//! Finding what the application has already.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rolecall_sink_api::template::Variables;
use rolecall_sink_api::{ConfigError, EntityKind, GroupId, RemoteId};

use crate::config::{FindConfig, LookupConfig};
use crate::path::Path;

/// More groups than this are looked up again when they are needed.
const MOST_GROUPS: usize = 100_000;

/// The configured lookups, compiled.
pub(crate) struct Lookup {
    user: Option<Find>,
    group: Option<Find>,
}

/// One lookup.
pub(crate) struct Find {
    pub(crate) path: Path,
    /// A JSON pointer into the answer.
    pub(crate) id: String,
}

impl Lookup {
    pub(crate) fn compile(config: &LookupConfig) -> Result<Self, ConfigError> {
        let compile = |find: &Option<FindConfig>, key: &str, variables: Variables| {
            let Some(find) = find else { return Ok(None) };
            let path = Path::parse(&find.path, &variables)
                .map_err(|e| ConfigError::new(format!("lookup.{key}.path"), e))?;
            let id = pointer(&find.id, &format!("lookup.{key}.id"))?;
            Ok::<_, ConfigError>(Some(Find { path, id }))
        };
        Ok(Self {
            user: compile(&config.user, "user", Variables::user())?,
            group: compile(&config.group, "group", Variables::group())?,
        })
    }

    pub(crate) fn of(&self, kind: EntityKind) -> Option<&Find> {
        match kind {
            EntityKind::User => self.user.as_ref(),
            EntityKind::Group => self.group.as_ref(),
        }
    }
}

/// Checks a JSON pointer (RFC 6901).
pub(crate) fn pointer(text: &str, at: &str) -> Result<String, ConfigError> {
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err(ConfigError::new(at, format!("{text:?} is no JSON pointer: write /data/id for data.id")))
    }
}

/// The application's ids of groups, as far as they came by: a saving only, which a restart may lose.
#[derive(Default)]
pub(crate) struct GroupIds(Mutex<HashMap<GroupId, RemoteId>>);

impl GroupIds {
    pub(crate) fn get(&self, id: &GroupId) -> Option<RemoteId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    pub(crate) fn put(&self, id: &GroupId, remote: Option<&RemoteId>) {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match remote {
            Some(remote) if ids.len() < MOST_GROUPS || ids.contains_key(id) => {
                ids.insert(id.clone(), remote.clone());
            }
            _ => {
                ids.remove(id);
            }
        }
    }
}
