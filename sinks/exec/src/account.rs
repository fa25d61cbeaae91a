//! Whom a plugin runs as.

use std::path::Path;

use rolecall_sink_api::ConfigError;

/// A user and their one group, as the kernel knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

impl Account {
    /// The account that the configuration names; `None` when it names none.
    ///
    /// # Errors
    /// When there is no such user or group, or no way to tell the group.
    pub(crate) fn find(user: Option<&str>, group: Option<&str>) -> Result<Option<Self>, ConfigError> {
        Self::find_in(Path::new("/etc"), user, group)
    }

    fn find_in(etc: &Path, user: Option<&str>, group: Option<&str>) -> Result<Option<Self>, ConfigError> {
        let Some(user) = user else {
            return match group {
                Some(_) => Err(ConfigError::new("group", "also needs user")),
                None => Ok(None),
            };
        };
        let passwd = read(&etc.join("passwd"), "user")?;
        let entry = passwd.iter().find(|entry| entry.is(user));
        let id = entry.map(|entry| entry.id).or_else(|| user.parse().ok());
        let id = id.ok_or_else(|| {
            let help = "users from elsewhere are given by number, with a group";
            ConfigError::new("user", format!("{user}: no such user in /etc/passwd; {help}"))
        })?;
        let group = match group {
            Some(name) => {
                let groups = read(&etc.join("group"), "group")?;
                let found = groups.iter().find(|entry| entry.is(name)).map(|entry| entry.id);
                found.or_else(|| name.parse().ok()).ok_or_else(|| {
                    ConfigError::new("group", format!("{name}: no such group in /etc/group"))
                })?
            }
            None => entry.and_then(|entry| entry.group).ok_or_else(|| {
                ConfigError::new("user", format!("{user} is not in /etc/passwd, so it also needs group"))
            })?,
        };
        Ok(Some(Self { user: id, group }))
    }

    /// Whether this process is that user with that group already.
    pub(crate) fn is_ours(self) -> bool {
        rustix::process::geteuid().as_raw() == self.user && rustix::process::getegid().as_raw() == self.group
    }
}

/// A line of `passwd(5)` or `group(5)`: name, password, number, and in `passwd` the group's number.
struct Entry {
    name: String,
    id: u32,
    group: Option<u32>,
}

impl Entry {
    fn of(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let id = fields.nth(1)?.parse().ok()?;
        Some(Self { name, id, group: fields.next().and_then(|group| group.parse().ok()) })
    }

    fn is(&self, who: &str) -> bool {
        self.name == who || who.parse() == Ok(self.id)
    }
}

fn read(file: &Path, key: &str) -> Result<Vec<Entry>, ConfigError> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| ConfigError::new(key, format!("cannot read {}: {error}", file.display())))?;
    Ok(text.lines().filter_map(Entry::of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(user: Option<&str>, group: Option<&str>) -> Result<Option<Account>, String> {
        let etc = tempfile::tempdir().unwrap();
        std::fs::write(
            etc.path().join("passwd"),
            "root:x:0:0:root:/root:/bin/sh\nplug:x:970:980::/:/bin/false\n",
        )
        .unwrap();
        std::fs::write(etc.path().join("group"), "root:x:0:\npluggers:x:981:plug\n").unwrap();
        Account::find_in(etc.path(), user, group).map_err(|error| error.to_string())
    }

    #[test]
    fn a_user_is_found_by_name_or_number_with_their_group() {
        let plug = Some(Account { user: 970, group: 980 });
        assert_eq!(find(Some("plug"), None), Ok(plug));
        assert_eq!(find(Some("970"), None), Ok(plug));
        assert_eq!(find(Some("plug"), Some("pluggers")), Ok(Some(Account { user: 970, group: 981 })));
        assert_eq!(find(Some("4711"), Some("4712")), Ok(Some(Account { user: 4711, group: 4712 })));
        assert_eq!(find(None, None), Ok(None));
    }

    #[test]
    fn whoever_is_not_there_is_named() {
        for (user, group, said) in [
            (Some("plugg"), None, "user: plugg: no such user in /etc/passwd"),
            (Some("plug"), Some("plugers"), "group: plugers: no such group in /etc/group"),
            (Some("4711"), None, "user: 4711 is not in /etc/passwd, so it also needs group"),
            (None, Some("pluggers"), "group: also needs user"),
        ] {
            let error = find(user, group).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
