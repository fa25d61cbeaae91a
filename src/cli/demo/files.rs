//! The directory that the demo works in, and what it writes there before it starts.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rolecall_sink_api::Secret;

const CONFIGURATION: &str = include_str!("rolecall.yaml");
const RULES: &str = include_str!("rules.yaml");
/// The address in the configuration until the operating system has given another.
const ANY_PORT: &str = "127.0.0.1:0";

/// The files of one run.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
}

impl Files {
    /// Works in `directory`, which must be new or empty; in a new temporary one where none is given. It
    /// stays.
    pub(super) fn new(directory: Option<&Path>) -> anyhow::Result<Self> {
        let directory = match directory {
            Some(path) => empty(path)?,
            None => tempfile::Builder::new()
                .prefix("rolecall-demo-")
                .permissions(Permissions::from_mode(0o700))
                .tempdir()
                .context("cannot make a temporary directory; choose one with --dir")?
                .keep(),
        };
        if directory.to_str().is_none() {
            bail!(
                "{}: a path in a configuration must be UTF-8; choose another with --dir",
                directory.display()
            );
        }
        Ok(Self { directory })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn configuration(&self) -> PathBuf {
        self.directory.join("rolecall.yaml")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.directory.join("admin.sock")
    }

    pub(super) fn tables(&self) -> PathBuf {
        self.directory.join("tables.db")
    }

    pub(super) fn ldif(&self) -> PathBuf {
        self.directory.join("directory.ldif")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("daemon.log")
    }

    /// Writes a new secret to sign webhooks with, and one for the application; returns both, in this order.
    pub(super) fn write_secrets(&self) -> anyhow::Result<(Secret, Secret)> {
        let webhooks = format!("whsec_{}", STANDARD.encode(rand::random::<[u8; 32]>()));
        let application = format!("demo-{}", STANDARD.encode(rand::random::<[u8; 24]>()));
        self.write("webhook-secret", &webhooks, 0o600)?;
        self.write("application-token", &application, 0o600)?;
        Ok((Secret::new(webhooks), Secret::new(application)))
    }

    /// Writes the configuration and the rules.
    pub(super) fn write_configuration(&self, application: &str) -> anyhow::Result<()> {
        let text = CONFIGURATION
            .replace("{{DIRECTORY}}", &quoted(&self.directory.to_string_lossy()))
            .replace("{{APPLICATION}}", application);
        self.write("rolecall.yaml", &text, 0o644)?;
        self.write("rules.yaml", RULES, 0o644)
    }

    /// Writes the port that the daemon was given into the configuration, so that the commands find it.
    pub(super) fn write_address(&self, address: SocketAddr) -> anyhow::Result<()> {
        let path = self.configuration();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = text.replace(ANY_PORT, &address.to_string());
        let text = text.replace(
            "# Filled in once the operating system has given a free port.",
            "# The port that was free when the demo ran.",
        );
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The file that the daemon logs to.
    pub(super) fn open_log(&self) -> anyhow::Result<File> {
        let path = self.log();
        File::create(&path).with_context(|| format!("cannot write {}", path.display()))
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> anyhow::Result<()> {
        let path = self.directory.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The rules as they are written, without comments and the catalogue of roles.
pub(super) fn rules() -> impl Iterator<Item = &'static str> {
    let is_rule = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    RULES.lines().skip_while(|line| !line.starts_with("default:")).filter(is_rule)
}

/// The directory, made where it is missing, and its absolute path.
fn empty(path: &Path) -> anyhow::Result<PathBuf> {
    let shown = path.display();
    fs::create_dir_all(path).with_context(|| format!("cannot make the directory {shown}"))?;
    let mut entries = fs::read_dir(path).with_context(|| format!("cannot look into {shown}"))?;
    if entries.next().is_some() {
        return Err(anyhow!("{shown} is not empty; name a new directory with --dir, or an empty one"));
    }
    path.canonicalize().with_context(|| format!("cannot find {shown}"))
}

/// The text as it stands between double quotes in YAML, which takes what JSON escapes.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json[1..json.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_something_in_it_is_not_written_to() {
        let directory = tempfile::TempDir::new().unwrap();
        assert!(Files::new(Some(directory.path())).is_ok());
        assert!(Files::new(Some(&directory.path().join("new/one"))).is_ok());
        let refused = Files::new(Some(directory.path())).unwrap_err().to_string();
        assert!(refused.contains("not empty") && refused.contains("--dir"), "{refused}");
    }

    #[test]
    fn a_directory_of_any_name_makes_a_configuration_that_can_be_read() {
        let parent = tempfile::TempDir::new().unwrap();
        let files = Files::new(Some(&parent.path().join("a \"quoted\": name # {x}"))).unwrap();
        files.write_secrets().unwrap();
        files.write_configuration("http://127.0.0.1:9").unwrap();
        let config = crate::config::Config::load_with(&files.configuration(), []).unwrap();
        assert_eq!(config.admin.socket, files.socket());
        assert_eq!(config.sinks.len(), 3);
        files.write_address("127.0.0.1:4567".parse().unwrap()).unwrap();
        let config = crate::config::Config::load_with(&files.configuration(), []).unwrap();
        assert_eq!(config.listen.address.port(), 4567);
    }
}
