//! A directory with everything that one daemon needs.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rolecall::receive::signature::SigningKey;
use rolecall_sink_api::Secret;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::daemon::Daemon;
use super::program::{Ended, end, rolecall};

/// Signs what arrives at a site, unless a test says otherwise.
pub(crate) const SIGNING_SECRET: &str = "whsec_ZW5kIHRvIGVuZCB0ZXN0cyBzaWduIHdpdGggdGhpcw==";

/// The secret that a site's source signs with.
pub(crate) fn secret() -> SigningKey {
    SigningKey::new(&Secret::new(SIGNING_SECRET)).unwrap()
}

/// The configuration, the rules, the secrets and the store of one daemon.
pub(crate) struct Site {
    directory: TempDir,
    listen: Vec<String>,
    admin: Vec<String>,
    store: Vec<String>,
    sinks: String,
    sections: String,
}

impl Site {
    /// A site without any sink, and with rules that grant nothing.
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("rolecall-e2e-").tempdir().unwrap();
        let site = Self {
            directory,
            listen: vec!["address: 127.0.0.1:0".into()],
            admin: Vec::new(),
            store: Vec::new(),
            sinks: String::new(),
            sections: String::new(),
        };
        site.file("webhook-secret", SIGNING_SECRET);
        site.rules("rules: []");
        site.write();
        site
    }

    /// The same site with one more sink: its name and, as YAML, its section.
    pub(crate) fn sink(mut self, name: &str, section: &str) -> Self {
        writeln!(self.sinks, "  {name}:").unwrap();
        for line in section.lines() {
            writeln!(self.sinks, "    {line}").unwrap();
        }
        self.write();
        self
    }

    /// The same site with one more key under `listen`.
    pub(crate) fn listen(mut self, line: &str) -> Self {
        self.listen.push(line.into());
        self.write();
        self
    }

    /// The same site with one more key under `admin`.
    pub(crate) fn admin(mut self, line: &str) -> Self {
        self.admin.push(line.into());
        self.write();
        self
    }

    /// The same site with one more key under `store`.
    pub(crate) fn keeping(mut self, line: &str) -> Self {
        self.store.push(line.into());
        self.write();
        self
    }

    /// The same site with one more section, as YAML.
    pub(crate) fn section(mut self, section: &str) -> Self {
        writeln!(self.sections, "{section}").unwrap();
        self.write();
        self
    }

    /// Puts other rules in force, from the daemon's next start on.
    pub(crate) fn rules(&self, rules: &str) {
        self.file("rules.yaml", rules);
    }

    /// A path in the site's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file into the site's directory.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The configuration file.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.path("rolecall.yaml")
    }

    /// The store's file.
    pub(crate) fn store(&self) -> PathBuf {
        self.path("rolecall.db")
    }

    /// Starts the daemon. When this returns, it receives webhooks.
    pub(crate) async fn start(&self) -> Daemon {
        self.start_by(rolecall()).await
    }

    /// Starts the daemon by a command that wants its arguments. When this returns, it receives webhooks.
    pub(crate) async fn start_by(&self, mut command: Command) -> Daemon {
        command.args([Path::new("serve"), Path::new("--config"), &self.configuration()]);
        Daemon::start(command).await
    }

    /// Runs another command on this site's configuration.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        end(rolecall().args(arguments).arg("--config").arg(self.configuration())).await
    }

    /// What `rolecall status` answers.
    pub(crate) async fn status(&self) -> Value {
        self.run(&["status", "--json"]).await.json()
    }

    /// Waits until nothing waits for any sink and everybody is evaluated: until what was sent stands where it
    /// should, or is a dead letter.
    pub(crate) async fn settled(&self) {
        rolecall_testkit::until(super::PATIENCE, "nothing waits for any sink", async || {
            let status = self.status().await;
            let sinks = status["sinks"].as_object().expect("status names the sinks");
            let waiting = sinks.values().any(|sink| sink["waiting"] != 0);
            if waiting || status["store"]["stale_users"] != 0 { Err(status) } else { Ok(()) }
        })
        .await;
    }

    fn write(&self) {
        let at = |name| self.path(name).display().to_string();
        let listen = self.listen.join("\n  ");
        let more = |lines: &[String]| lines.iter().map(|line| format!("\n  {line}")).collect::<String>();
        let (admin, kept) = (more(&self.admin), more(&self.store));
        let sinks = if self.sinks.is_empty() { "{}" } else { &format!("\n{}", self.sinks) };
        let configuration = format!(
            "listen:\n  {listen}\nadmin:\n  socket: {socket}{admin}\nstore:\n  path: {store}{kept}\nsources:\n  scalekit:\n    \
             type: scalekit\n    secrets:\n      - {{file: {secret}}}\nrules: {rules}\nlog:\n  format: json\nsinks: {sinks}\n{sections}",
            sections = self.sections,
            socket = at("admin.sock"),
            store = at("rolecall.db"),
            secret = at("webhook-secret"),
            rules = at("rules.yaml"),
        );
        self.file("rolecall.yaml", &configuration);
    }
}
