//! Writes what goes into packages beside the binary: manual pages and completions, from the types that the command line
//! and the configuration are read with.
//!
//! `cargo run -p rolecall-packaging -- DIRECTORY` writes `DIRECTORY/man/` and `DIRECTORY/completions/`.

mod commands;
mod files;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::{Shell, generate_to};
use rolecall::cli::Cli;

fn main() -> anyhow::Result<()> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory =
        directory.context("say into which directory: cargo run -p rolecall-packaging -- DIRECTORY")?;
    write(&directory).with_context(|| format!("cannot write into {}", directory.display()))
}

fn write(directory: &Path) -> std::io::Result<()> {
    let manual = directory.join("man");
    fs::create_dir_all(&manual)?;
    let pages = commands::pages(Cli::command())?.into_iter().chain(files::pages());
    for page in pages {
        fs::write(manual.join(page.file_name), page.text)?;
    }
    let completions = directory.join("completions");
    fs::create_dir_all(&completions)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        generate_to(shell, &mut Cli::command(), "rolecall", &completions)?;
    }
    Ok(())
}

/// A manual page.
struct Page {
    file_name: String,
    text: Vec<u8>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn written() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path()).unwrap();
        directory
    }

    fn read(directory: &tempfile::TempDir, file: &str) -> String {
        fs::read_to_string(directory.path().join(file)).unwrap()
    }

    #[test]
    fn every_command_has_a_page_and_so_have_the_two_files() {
        fn names(command: &clap::Command, name: &str, into: &mut BTreeSet<String>) {
            into.insert(format!("{name}.1"));
            for command in command.get_subcommands() {
                names(command, &format!("{name}-{}", command.get_name()), into);
            }
        }
        let mut expected = BTreeSet::from(["rolecall.yaml.5".to_owned(), "rolecall-rules.5".to_owned()]);
        names(&Cli::command(), "rolecall", &mut expected);
        assert!(expected.contains("rolecall-queue-retry.1"));

        let written = written();
        let files = fs::read_dir(written.path().join("man")).unwrap();
        let files: BTreeSet<String> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(files, expected);
    }

    #[test]
    fn an_example_stands_in_the_page_as_it_is_typed() {
        let page = read(&written(), "man/rolecall-check.1");
        assert!(page.contains(".SH EXAMPLE\n.nf\nrolecall check \\-\\-connect\n.fi\n"), "{page}");
    }

    #[test]
    fn each_shell_completes_every_command() {
        let written = written();
        for file in ["rolecall.bash", "rolecall.fish", "_rolecall"] {
            let text = read(&written, &format!("completions/{file}"));
            for command in Cli::command().get_subcommands() {
                assert!(text.contains(command.get_name()), "{file} has no {}", command.get_name());
            }
        }
    }
}
