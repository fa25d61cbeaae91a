//! `rolecall plugin new`

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde::Serialize;

use crate::cli::output::answer;
use crate::cli::{Exit, Failure};
use crate::deliver::registry::exec::example::{self, ExampleFile};

/// Write a plugin that works, to start from
///
/// It is one file of Python that needs nothing but its standard library, and keeps users and groups in a JSON file; with a
/// README, and the section for the configuration. Nothing that exists is overwritten.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall plugin new people")]
pub(in crate::cli) struct NewPlugin {
    /// The directory to write it into; made if it does not exist
    directory: PathBuf,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    directory: PathBuf,
    files: Vec<&'static str>,
}

impl NewPlugin {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let directory = std::path::absolute(&self.directory)
            .with_context(|| format!("{} cannot be a directory", self.directory.display()))
            .map_err(Failure::Usage)?;
        let files = example::files(&directory);
        if let Some(there) = files.iter().map(|file| directory.join(file.name)).find(|path| path.exists()) {
            let there = there.display();
            return Err(Failure::Usage(anyhow!(
                "{there} exists, and nothing is overwritten; name another directory"
            )));
        }
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        for file in &files {
            write(&directory, file)?;
        }
        let written = Written { directory, files: files.iter().map(|file| file.name).collect() };
        answer(self.json, &written, |written| written.render(&self.directory))?;
        Ok(Exit::Done)
    }
}

fn write(directory: &Path, file: &ExampleFile) -> Result<(), Failure> {
    let path = directory.join(file.name);
    let mode = if file.executable { 0o777 } else { 0o666 };
    // Made by nobody else meanwhile, and with what the umask leaves of the mode.
    let mut opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&path)
        .with_context(|| format!("cannot make {}", path.display()))?;
    let write = opened.write_all(file.text.as_bytes());
    Ok(write.with_context(|| format!("cannot write {}", path.display()))?)
}

impl Written {
    fn render(&self, asked: &Path) -> String {
        let files = self.files.join(", ");
        format!(
            "{files} are in {}\n\nSee it keep the contract:\n  cd {}\n  rolecall plugin test -- ./plugin.py people.json\n",
            self.directory.display(),
            asked.display()
        )
    }
}
