//! Where a command's answer goes.

use std::io::{self, ErrorKind, Write as _};

use anyhow::Context as _;
use serde::Serialize;

use super::Failure;

/// Writes text. Styles are left out where it does not go to a terminal, or where `NO_COLOR` is set.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // Whoever reads has seen enough: `rolecall queue list | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result.context("cannot write to standard output")?),
    }
}

/// Writes JSON, for programs.
pub(super) fn print_json(answer: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(answer).context("cannot write the answer as JSON")?;
    print(&(text + "\n"))
}

/// Writes the answer: as JSON when that was asked for, else as a person reads it.
pub(super) fn answer<T: Serialize>(
    json: bool,
    answer: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    if json { print_json(answer) } else { print(&text(answer)) }
}

/// Says why a command failed.
pub(super) fn complain(failure: &Failure) {
    // When standard error is closed too, the exit code is all that is left.
    let _ = writeln!(io::stderr(), "rolecall: {failure}");
}

/// How many columns the terminal has; none where the answer goes elsewhere, and then nothing is cut off.
pub(super) fn width() -> Option<usize> {
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0))
}
