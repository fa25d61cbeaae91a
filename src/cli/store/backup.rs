//! `rolecall store backup`

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Read as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde::Serialize;
use tempfile::NamedTempFile;

use super::which::{Place, Which};
use crate::admin::{AdminClient, ClientError, Download};
use crate::cli::output::answer;
use crate::cli::progress::Bar;
use crate::cli::text::{bytes, count, exact, plain};
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};
use crate::store::{BackupContents, verify_backup};

/// Where a backup goes that is piped into something.
const STANDARD_OUTPUT: &str = "-";
/// What is waited for before there is anything to fetch.
const COPYING: &str = "copying the store";
/// How much is read from a file at once, in bytes.
const PIECE: usize = 256 * 1024;

/// Make a backup of the store, whether the daemon runs or not
///
/// The daemon goes on receiving meanwhile; what it sends is the store as it was at one moment. The file is readable by its
/// owner only. It is written under another name, looked through, and only then has its own: a backup that is there is whole.
/// It holds everybody's names and addresses, and messages as they were received.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  rolecall store backup /var/backups/rolecall.db\n  rolecall store backup - | zstd >/var/backups/rolecall.db.zst"
)]
pub(in crate::cli) struct Backup {
    /// The file to write; `-` for standard output, which is not looked through
    file: PathBuf,
    /// Replace the file when it is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    which: Which,
}

/// What was made.
#[derive(Debug, Serialize)]
struct Made {
    file: PathBuf,
    #[serde(flatten)]
    contents: BackupContents,
}

impl Backup {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        if self.file == Path::new(STANDARD_OUTPUT) {
            return self.pipe(whom).await;
        }
        if !self.force && self.file.exists() {
            return Err(there_already(&self.file));
        }
        let place = self.which.find(whom).await?;
        let new = beside(&self.file)?;
        // Whoever interrupts this leaves no half a file.
        let made = tokio::select! {
            made = fill(place, &new) => made?,
            _ = tokio::signal::ctrl_c() => return Err(Failure::Failed(anyhow!("interrupted; nothing was written"))),
        };
        self.name(new)?;
        let made = Made { file: self.file, contents: made };
        answer(self.which.daemon.json, &made, render)?;
        Ok(Exit::Done)
    }

    async fn pipe(&self, whom: &Whom) -> Result<Exit, Failure> {
        let mut out = io::stdout();
        if out.is_terminal() {
            return Err(Failure::Usage(anyhow!(
                "a backup is no text: name a file, or pipe it into something"
            )));
        }
        match self.which.find(whom).await? {
            Place::Running(client) => copy(copied(&client).await?, &mut out).await?,
            Place::Stopped(store) => {
                let copying = Bar::of_unknown(COPYING);
                let (mut file, bytes) = store.snapshot()?;
                drop(copying);
                let bar = Bar::bytes(bytes);
                let mut piece = vec![0; PIECE];
                while let read @ 1.. = file.read(&mut piece).context("cannot read the copy of the store")? {
                    out.write_all(&piece[..read]).context("cannot write to standard output")?;
                    bar.advance(read as u64);
                }
            }
        }
        out.flush().context("cannot write to standard output")?;
        Ok(Exit::Done)
    }

    /// Gives the backup its name, which nobody else has taken meanwhile.
    fn name(&self, new: NamedTempFile) -> Result<(), Failure> {
        let named = if self.force { new.persist(&self.file) } else { new.persist_noclobber(&self.file) };
        match named {
            Ok(_) => {}
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
                return Err(there_already(&self.file));
            }
            Err(error) => return Err(cannot("put in place", &self.file, error.error)),
        }
        let directory = directory(&self.file);
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| cannot("sync", directory, error))
    }
}

/// A file with another name in the same directory, which goes unless it gets its own. Only its owner can read it.
fn beside(file: &Path) -> Result<NamedTempFile, Failure> {
    let Some(name) = file.file_name() else {
        return Err(Failure::Usage(anyhow!("{} is no name of a file", file.display())));
    };
    let mut prefix = name.to_owned();
    prefix.push(".");
    let made = tempfile::Builder::new().prefix(&prefix).suffix(".part").tempfile_in(directory(file));
    made.map_err(|error| cannot("make a file beside", file, error))
}

fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Writes the backup into this file, and looks through it.
async fn fill(place: Place, new: &NamedTempFile) -> Result<BackupContents, Failure> {
    match place {
        Place::Running(client) => {
            let mut file = new.as_file();
            copy(copied(&client).await?, &mut file).await?;
            let _bar = Bar::of_unknown("looking through the backup");
            file.sync_all().map_err(|error| cannot("sync", new.path(), error))?;
            let path = new.path().to_owned();
            let verified = tokio::task::spawn_blocking(move || verify_backup(&path)).await;
            Ok(verified.context("the backup could not be looked through")??)
        }
        Place::Stopped(store) => {
            let path = new.path().to_owned();
            let _bar = Bar::of_unknown("copying the store and looking through the copy");
            let made = tokio::task::spawn_blocking(move || store.backup(&path)).await;
            Ok(made.context("the store could not be copied")??)
        }
    }
}

/// The copy that the daemon makes, once it is there to be fetched.
async fn copied(client: &AdminClient) -> Result<Download, ClientError> {
    let _bar = Bar::of_unknown(COPYING);
    client.backup().await
}

async fn copy(mut download: Download, to: &mut impl Write) -> Result<(), Failure> {
    let bar = Bar::bytes(download.bytes());
    while let Some(piece) = download.next().await? {
        to.write_all(&piece).context("cannot write the backup")?;
        bar.advance(piece.len() as u64);
    }
    Ok(())
}

fn there_already(file: &Path) -> Failure {
    Failure::Failed(anyhow!(
        "{} is there already: name another file, or replace it with --force",
        file.display()
    ))
}

fn cannot(doing: &str, path: &Path, error: io::Error) -> Failure {
    Failure::Failed(anyhow::Error::new(error).context(format!("cannot {doing} {}", path.display())))
}

fn render(made: &Made) -> String {
    let mut out = format!("{}: {}", plain(&made.file.display().to_string()), bytes(made.contents.bytes));
    // Writing to a string does not fail.
    let _ = writeln!(out, ", looked through\n{}", contents(&made.contents));
    out
}

/// What a backup holds, on one line.
pub(super) fn contents(contents: &BackupContents) -> String {
    let newest = match contents.last_event {
        Some(at) => format!(", the newest of {}", exact(at)),
        None => String::new(),
    };
    format!(
        "{}, {}, {}{newest}; tables of version {}",
        count(contents.users, "user", "users"),
        count(contents.groups, "group", "groups"),
        count(contents.events, "message", "messages"),
        contents.schema,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_told_with_what_it_holds() {
        let contents = BackupContents {
            schema: 2,
            users: 1,
            groups: 2,
            events: 3,
            last_event: Some("2026-11-24T10:00:00Z".parse().unwrap()),
            bytes: 4096,
        };
        let made = Made { file: "rolecall.db".into(), contents };
        let told = "rolecall.db: 4.0 KiB, looked through\n\
                    1 user, 2 groups, 3 messages, the newest of 2026-11-24T10:00:00Z; tables of version 2\n";
        assert_eq!(render(&made), told);
        let golden = serde_json::json!({
            "file": "rolecall.db", "schema": 2, "users": 1, "groups": 2, "events": 3,
            "last_event": "2026-11-24T10:00:00Z", "bytes": 4096
        });
        assert_eq!(serde_json::to_value(made).unwrap(), golden);
    }
}
