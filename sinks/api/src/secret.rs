//! Secrets: where they come from, and a type that cannot be printed.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The longest secret that is read, in bytes: a file that is larger is a mistake in a path.
const MAX_SECRET: u64 = 64 * 1024;

/// Where a secret is kept. A configuration never holds the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretSource {
    /// A file that holds the secret and nothing else; one newline at its end is not part of it.
    File(PathBuf),
    /// An environment variable of the daemon.
    Env(String),
    /// A systemd credential (`LoadCredential=` in the unit): a file of that name in the directory that
    /// `$CREDENTIALS_DIRECTORY` names.
    Credential(String),
}

impl SecretSource {
    /// Reads the secret now.
    ///
    /// # Errors
    /// When it is not there, is empty, or is not UTF-8; the message names the place, never the content.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let text = match self {
            SecretSource::File(path) => read_file(path)?,
            SecretSource::Env(name) => Zeroizing::new(std::env::var(name).map_err(|_| {
                SecretError(format!("environment variable {name} is not set (or not UTF-8)"))
            })?),
            SecretSource::Credential(name) => {
                if name.is_empty() || name.contains('/') || name == ".." || name == "." {
                    return Err(SecretError(format!("{name:?} cannot be the name of a systemd credential")));
                }
                let dir = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    SecretError(format!(
                        "credential {name}: $CREDENTIALS_DIRECTORY is not set; it is set by systemd for a unit \
                         with LoadCredential={name}:/path"
                    ))
                })?;
                read_file(&Path::new(&dir).join(name))?
            }
        };
        if text.is_empty() {
            return Err(SecretError(format!("{self} is empty")));
        }
        Ok(Secret(text))
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::File(path) => write!(f, "file {}", path.display()),
            SecretSource::Env(name) => write!(f, "environment variable {name}"),
            SecretSource::Credential(name) => write!(f, "credential {name}"),
        }
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let fail = |what: String| SecretError(format!("{}: {what}", path.display()));
    let meta = std::fs::metadata(path).map_err(|e| fail(format!("cannot read the secret: {e}")))?;
    if meta.len() > MAX_SECRET {
        return Err(fail(format!("{} bytes are too many for a secret", meta.len())));
    }
    let mut text = Zeroizing::new(
        std::fs::read_to_string(path).map_err(|e| fail(format!("cannot read the secret: {e}")))?,
    );
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// A secret value. It prints as `[secret]`, has no serialization, and is wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret that was read elsewhere.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    /// The secret itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Why a secret could not be read; never holds any of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "[secret]");
    }

    #[test]
    fn a_file_loses_its_last_newline_only() {
        let path = std::env::temp_dir().join(format!("rolecall-secret-{}", std::process::id()));
        std::fs::write(&path, "a b\n\r\n").unwrap();
        let secret = SecretSource::File(path.clone()).read().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(secret.expose(), "a b\n");
    }

    #[test]
    fn a_credential_cannot_leave_its_directory() {
        let error = SecretSource::Credential("../x".into()).read().unwrap_err();
        assert!(error.to_string().contains("cannot be the name"), "{error}");
    }
}
