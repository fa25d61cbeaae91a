//! `rolecall export`

mod csv;

use std::fs::OpenOptions;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use rolecall_sink_api::{Group, User};
use serde::Serialize;

use super::daemon::Socket;
use super::progress::Bar;
use super::whom::Whom;
use super::{Exit, Failure};
use crate::admin::api::{ExportQuery, LARGEST_PAGE};
use crate::admin::{AdminClient, ClientError};

/// Everybody's names and addresses are in it.
const ONLY_OURS: u32 = 0o600;

/// Write everybody the daemon knows, with their groups and roles
///
/// As they should be in every sink: users who exist, active or not, and then groups, each in the order in which they were
/// first heard of. What changes meanwhile is in it or is not; nobody is in it twice or left out who was there all the time.
///
/// ndjson: a JSON object on each line, `{"kind": "user", …}` or `{"kind": "group", …}`, with the attributes by the names
/// that templates have for them.
///
/// csv: users, or with --groups groups, with a line of titles (RFC 4180). Groups and roles of a user are a JSON array in
/// one cell. A cell that a spreadsheet would take for a formula begins with an apostrophe.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  rolecall export | jq -r 'select(.kind == \"user\") | .email'\n  rolecall export --format csv --output people.csv"
)]
pub(super) struct Export {
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
    /// Groups alone
    #[arg(long)]
    groups: bool,
    /// A new file, readable by its owner only [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    daemon: Socket,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A JSON object on each line
    Ndjson,
    /// Comma-separated values
    Csv,
}

/// A line of the export.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    User(&'a User),
    Group(&'a Group),
}

impl Export {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let client = self.daemon.client(whom)?;
        // Whoever asks a daemon that does not run must not find an empty file.
        let status = client.status().await?;
        let store = &status.store;
        let users = if self.groups { 0 } else { store.active_users + store.inactive_users };
        let groups = if self.groups || self.format == Format::Ndjson { store.groups } else { 0 };
        let bar = Bar::counted(users + groups);
        let written = match &self.output {
            None => self.write(&client, &bar, io::stdout().lock()).await,
            Some(path) => self.write_file(&client, &bar, path).await,
        };
        match written {
            // Whoever reads has seen enough: `rolecall export | head`.
            Err(Stopped::Write(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Done),
            Err(Stopped::Write(error)) => Err(Failure::Failed(anyhow!("cannot write: {error}"))),
            Err(Stopped::Daemon(error)) => Err(error.into()),
            Ok(()) => Ok(Exit::Done),
        }
    }

    async fn write_file(&self, client: &AdminClient, bar: &Bar, path: &Path) -> Result<(), Stopped> {
        let file = OpenOptions::new().write(true).create_new(true).mode(ONLY_OURS).open(path)?;
        let written = self.write(client, bar, &file).await.and_then(|()| Ok(file.sync_all()?));
        if written.is_err() {
            // Half of everybody is worse than nobody.
            let _ = std::fs::remove_file(path);
        }
        written
    }

    async fn write(&self, client: &AdminClient, bar: &Bar, out: impl Write) -> Result<(), Stopped> {
        let mut out = BufWriter::new(out);
        match self.format {
            Format::Ndjson => {
                if !self.groups {
                    users(client, bar, |user| line(&mut out, &Line::User(user))).await?;
                }
                groups(client, bar, |group| line(&mut out, &Line::Group(group))).await?;
            }
            Format::Csv if self.groups => {
                csv::record(&mut out, csv::GROUP_TITLES)?;
                groups(client, bar, |group| csv::group(&mut out, group)).await?;
            }
            Format::Csv => {
                csv::record(&mut out, csv::user_titles())?;
                users(client, bar, |user| csv::user(&mut out, user)).await?;
            }
        }
        Ok(out.flush()?)
    }
}

/// Why an export ended early.
enum Stopped {
    Write(io::Error),
    Daemon(ClientError),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Stopped::Write(error)
    }
}

impl From<ClientError> for Stopped {
    fn from(error: ClientError) -> Self {
        Stopped::Daemon(error)
    }
}

fn line(out: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// All users, a page at a time.
async fn users(
    client: &AdminClient,
    bar: &Bar,
    mut write: impl FnMut(&User) -> io::Result<()>,
) -> Result<(), Stopped> {
    let mut query = ExportQuery { limit: Some(LARGEST_PAGE), after: None };
    loop {
        let page = client.export_users(&query).await?;
        page.items.iter().try_for_each(&mut write)?;
        bar.advance(page.items.len() as u64);
        query.after = page.next;
        if query.after.is_none() {
            return Ok(());
        }
    }
}

/// All groups, a page at a time.
async fn groups(
    client: &AdminClient,
    bar: &Bar,
    mut write: impl FnMut(&Group) -> io::Result<()>,
) -> Result<(), Stopped> {
    let mut query = ExportQuery { limit: Some(LARGEST_PAGE), after: None };
    loop {
        let page = client.export_groups(&query).await?;
        page.items.iter().try_for_each(&mut write)?;
        bar.advance(page.items.len() as u64);
        query.after = page.next;
        if query.after.is_none() {
            return Ok(());
        }
    }
}
