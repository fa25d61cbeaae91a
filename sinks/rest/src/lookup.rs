//! Finding what the application has already.

use rolecall_sink_api::template::Variables;
use rolecall_sink_api::{ConfigError, EntityKind};

use crate::config::{FindConfig, LookupConfig};
use crate::path::Path;

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
