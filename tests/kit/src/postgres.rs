//! PostgreSQL.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use rustix::process::{Signal, getuid};
use tokio::process::Command;

use crate::authority::CertificateAuthority;
use crate::port::Port;
use crate::server::{Program, Server, Setup};
use crate::tool;

const USER: &str = "postgres";
const PASSWORD: &str = "secret";

/// A PostgreSQL cluster with one empty database, TLS, passwords by SCRAM, and fsync on.
pub type Postgres = Server<Cluster>;

/// A cluster's server on its port.
pub struct Cluster {
    port: Port,
}

/// How a [`Postgres`] shall be; made by [`Postgres::options`].
pub struct PostgresOptions {
    authority: CertificateAuthority,
    encrypted_only: bool,
    client_certificates: bool,
    primary: Option<u16>,
    settings: Vec<(String, String)>,
}

impl PostgresOptions {
    /// Lets this authority sign the server's certificate; otherwise it gets one of its own.
    pub fn authority(mut self, authority: CertificateAuthority) -> Self {
        self.authority = authority;
        self
    }

    /// Refuses connections that are not encrypted.
    pub fn encrypted_only(mut self) -> Self {
        self.encrypted_only = true;
        self
    }

    /// Also asks for a client certificate that the authority signed for the role's name.
    pub fn client_certificates(mut self) -> Self {
        self.client_certificates = true;
        self
    }

    /// Follows `primary` from what it holds now, and takes no writes until it is [promoted](Postgres::promote).
    pub fn standby_of(mut self, primary: &Postgres) -> Self {
        self.primary = Some(primary.port());
        self
    }

    /// Sets a server parameter: `max_connections`, `5`.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it.
    pub async fn start(self) -> Postgres {
        Server::make(&self).await
    }

    fn configure(&self, directory: &Path) {
        self.authority.equip(directory);
        let kind = if self.encrypted_only || self.client_certificates { "hostssl" } else { "host" };
        let (users, certificate) = match self.client_certificates {
            // The kit's own tools have none.
            true => (format!("hostssl all {USER} 127.0.0.1/32 scram-sha-256\n"), " clientcert=verify-full"),
            false => (String::new(), ""),
        };
        let access = format!(
            "host replication {USER} 127.0.0.1/32 scram-sha-256\n{users}{kind} all all 127.0.0.1/32 \
             scram-sha-256{certificate}\n"
        );
        fs::write(directory.join("data/pg_hba.conf"), access).expect("the directory is ours");
        let mut settings = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nssl = on\nssl_cert_file = '{0}/server.pem'\n\
             ssl_key_file = '{0}/server.key'\nssl_ca_file = '{0}/ca.pem'\nfsync = on\nshared_buffers = 16MB\nlogging_collector = off\n",
            directory.display()
        );
        if let Some(port) = self.primary {
            fs::write(directory.join("data/standby.signal"), "").expect("the directory is ours");
            settings +=
                &format!("primary_conninfo = 'host=127.0.0.1 port={port} user={USER} password={PASSWORD}'\n");
        }
        for (name, value) in &self.settings {
            settings += &format!("{name} = '{}'\n", value.replace('\'', "''"));
        }
        fs::write(directory.join("data/postgresql.auto.conf"), settings).expect("the directory is ours");
        if let Some((user, group)) = server_account() {
            for path in ["", "server.key", "data/pg_hba.conf", "data/postgresql.auto.conf"] {
                chown(directory.join(path), Some(user), Some(group)).expect("root may give files away");
            }
        }
        // PostgreSQL wants its key to be readable by itself only.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(directory.join("server.key"), mode).expect("the file is ours");
    }
}

impl Setup for PostgresOptions {
    type Program = Cluster;

    async fn set_up(&self, directory: &Path) -> Cluster {
        let data = directory.join("data");
        match self.primary {
            Some(port) => copy_of(port, &data).await,
            None => {
                let template = template(&programs()).await;
                let mut copy = Command::new("cp");
                tool::succeed(copy.arg("-a").arg("--reflink=auto").arg(template).arg(data), "").await;
            }
        }
        self.configure(directory);
        Cluster { port: Port::take() }
    }
}

impl Postgres {
    /// Starts one as most tests want it.
    pub async fn start() -> Self {
        Self::options().start().await
    }

    /// How it shall be, if not as most tests want it.
    pub fn options() -> PostgresOptions {
        PostgresOptions {
            authority: CertificateAuthority::new(),
            encrypted_only: false,
            client_certificates: false,
            primary: None,
            settings: Vec::new(),
        }
    }

    /// `postgresql://postgres:secret@127.0.0.1:PORT/postgres`.
    pub fn url(&self) -> String {
        self.database_url("postgres")
    }

    /// The URL of another database in the same server.
    pub fn database_url(&self, database: &str) -> String {
        format!("postgresql://{USER}:{PASSWORD}@127.0.0.1:{}/{database}", self.program.port.number())
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.program.port.number()
    }

    /// The user, who may do everything.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// The user's password.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The rows of a query, values as PostgreSQL prints them, [`None`] for NULL.
    pub async fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.query_in("postgres", sql).await
    }

    /// The rows of a query in another database.
    pub async fn query_in(&self, database: &str, sql: &str) -> Vec<Vec<Option<String>>> {
        // Of all that psql can print, only COPY's text format tells NULL from any text.
        let copy = format!("COPY (\n{}\n) TO STDOUT", sql.trim().trim_end_matches(';'));
        let text = tool::succeed(&mut self.psql(database), &copy).await;
        text.lines().map(|line| line.split('\t').map(copied).collect()).collect()
    }

    /// Runs statements; the first that fails ends it.
    pub async fn execute(&self, sql: &str) {
        self.execute_in("postgres", sql).await;
    }

    /// Runs statements in another database.
    pub async fn execute_in(&self, database: &str, sql: &str) {
        tool::succeed(&mut self.psql(database), sql).await;
    }

    /// Makes an empty database, and returns its URL.
    pub async fn create_database(&self, name: &str) -> String {
        self.execute(&format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""))).await;
        self.database_url(name)
    }

    /// Makes a standby take writes from now on.
    pub async fn promote(&self) {
        self.query("SELECT pg_promote()").await;
    }

    fn psql(&self, database: &str) -> Command {
        self.program.psql(database)
    }
}

impl Cluster {
    fn psql(&self, database: &str) -> Command {
        let mut command = Command::new("psql");
        command
            .env("PGPASSWORD", PASSWORD)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", USER, "-d", database])
            .args(["-p", &self.port.number().to_string()]);
        command
    }
}

impl Program for Cluster {
    const NAME: &'static str = "postgres";
    const STOP: Signal = Signal::INT;
    // It ends without a checkpoint, but takes its children and its shared memory with it.
    const QUIT: Signal = Signal::QUIT;

    fn command(&self, directory: &Path) -> Vec<OsString> {
        let mut words: Vec<OsString> = as_server_account();
        words.push(programs().join("postgres").into());
        words.push("-D".into());
        words.push(directory.join("data").into());
        words.push("-p".into());
        words.push(self.port.number().to_string().into());
        words
    }

    async fn answers(&self, _: &Path) -> Result<(), String> {
        tool::answers(&mut self.psql("postgres"), "SELECT 1").await
    }
}

/// Copies what the server on this port holds, as a standby begins.
async fn copy_of(port: u16, data: &Path) {
    let mut command = Command::new(programs().join("pg_basebackup"));
    command
        .env("PGPASSWORD", PASSWORD)
        .args(["-h", "127.0.0.1", "-U", USER, "--checkpoint=fast", "-p", &port.to_string(), "-D"])
        .arg(data);
    tool::succeed(&mut command, "").await;
    if let Some((user, group)) = server_account() {
        let owner = format!("{user}:{group}");
        tool::succeed(Command::new("chown").args(["-R", &owner]).arg(data), "").await;
    }
}

/// A value in COPY's text format.
fn copied(field: &str) -> Option<String> {
    if field == "\\N" {
        return None;
    }
    let mut value = String::new();
    let mut rest = field.chars();
    while let Some(char) = rest.next() {
        value.push(match char {
            '\\' => match rest.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('r') => '\r',
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('v') => '\u{b}',
                other => other.unwrap_or('\\'),
            },
            other => other,
        });
    }
    Some(value)
}

/// Where Debian keeps the newest PostgreSQL's programs.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql");
    let versions = versions.unwrap_or_else(|e| panic!("no /usr/lib/postgresql: {e}; tests/run installs it"));
    let newest = versions.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok()).max();
    let newest = newest.expect("no PostgreSQL in /usr/lib/postgresql; tests/run installs it");
    PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"))
}

/// PostgreSQL refuses to run as root: then it runs as the user that its package made. User and group.
fn server_account() -> Option<(u32, u32)> {
    if !getuid().is_root() {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").expect("there is a list of users");
    let line = accounts.lines().find(|line| line.starts_with("postgres:"));
    let mut fields = line.expect("PostgreSQL's package made a user").split(':').skip(2);
    let mut number = || fields.next()?.parse().ok();
    number().zip(number())
}

/// The words before a command that must not run as root.
fn as_server_account() -> Vec<OsString> {
    match server_account() {
        // Unlike runuser, setpriv becomes the command, so that signals reach it.
        Some((user, group)) => {
            let words =
                ["setpriv", &format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups", "--"];
            words.iter().map(OsString::from).collect()
        }
        None => Vec::new(),
    }
}

/// A cluster as initdb makes it, made once on this machine for each version and user: copying it takes a tenth of the
/// time.
async fn template(programs: &Path) -> PathBuf {
    let version = tool::succeed(Command::new(programs.join("postgres")).arg("--version"), "").await;
    // postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
    let version = version.split_whitespace().nth(2).unwrap_or_else(|| panic!("no version in {version}"));
    let user = server_account().map_or(getuid().as_raw(), |(user, _)| user);
    let name = format!("rolecall-testkit-postgres-{version}-{user}");
    let template = std::env::temp_dir().join(&name);

    // Tests that start together wait here for the first one to make it.
    let lock_path = std::env::temp_dir().join(format!("{name}.lock"));
    let lock = File::options().create(true).append(true).open(&lock_path);
    let lock = lock.unwrap_or_else(|e| panic!("cannot write {}: {e}", lock_path.display()));
    let lock =
        tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await.expect("no panic in a lock");
    let _lock = lock.unwrap_or_else(|e| panic!("cannot lock {}: {e}", lock_path.display()));

    if !template.exists() {
        let making = tempfile::Builder::new().prefix("rolecall-initdb-").tempdir();
        let making = making.unwrap_or_else(|e| panic!("cannot make a temporary directory: {e}"));
        fs::write(making.path().join("password"), PASSWORD).expect("the directory is ours");
        if let Some((user, group)) = server_account() {
            for path in ["", "password"] {
                chown(making.path().join(path), Some(user), Some(group)).expect("root may give files away");
            }
        }
        let mut words = as_server_account();
        words.push(programs.join("initdb").into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args([
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--pwfile",
        ]);
        command.arg(making.path().join("password")).arg("-D").arg(making.path().join("data"));
        tool::succeed(&mut command, "").await;
        fs::rename(making.path().join("data"), &template).expect("both are in the temporary directory");
    }
    let owner = fs::metadata(&template).map(|metadata| metadata.uid());
    assert_eq!(
        owner.ok(),
        Some(user),
        "{} must belong to the user that PostgreSQL runs as",
        template.display()
    );
    template
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copied_values_are_unescaped_and_null_is_none() {
        assert_eq!(copied("\\N"), None);
        assert_eq!(copied("").as_deref(), Some(""));
        assert_eq!(copied("a\\tb\\nc\\\\N").as_deref(), Some("a\tb\nc\\N"));
    }
}
