//! The log: in systemd's journal, or on standard error as text for people or as JSON for programs.

mod journal;

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use rolecall_sink_api::ConfigError;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use crate::config::{LogConfig, LogFormat};
use journal::Journal;

/// Starts logging, for as long as the process lives. Called once; a second call changes nothing.
///
/// # Errors
/// When the filter cannot be read.
pub fn start(config: &LogConfig) -> Result<(), ConfigError> {
    let targets = config.targets()?;
    let stderr = StandardError::look();
    let (layer, unreachable) = match Destination::choose(config.format, stderr) {
        Destination::Journal => match Journal::connect() {
            Ok(journal) => (journal.boxed(), None),
            Err(error) => (written(Destination::without_journal(stderr), stderr), Some(error)),
        },
        destination => (written(destination, stderr), None),
    };
    // Only tests, which start more than one daemon in a process, have a subscriber already.
    let _ = tracing_subscriber::registry().with(layer.with_filter(targets)).try_init();
    if let Some(error) = unreachable {
        tracing::warn!(%error, "the journal cannot be reached; the log goes to standard error instead");
    }
    Ok(())
}

/// What writes to standard error.
fn written(destination: Destination, stderr: StandardError) -> Box<dyn Layer<Registry> + Send + Sync> {
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    if destination == Destination::Json {
        return layer.json().flatten_event(true).boxed();
    }
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    layer.with_ansi(wanted && stderr == StandardError::Terminal).boxed()
}

/// Where the log goes, and how it looks there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Destination {
    Journal,
    Text,
    Json,
}

impl Destination {
    fn choose(format: LogFormat, stderr: StandardError) -> Self {
        match (format, stderr) {
            (LogFormat::Journal, _) | (LogFormat::Auto, StandardError::Journal) => Self::Journal,
            (LogFormat::Auto, _) => Self::without_journal(stderr),
            (LogFormat::Text, _) => Self::Text,
            (LogFormat::Json, _) => Self::Json,
        }
    }

    fn without_journal(stderr: StandardError) -> Self {
        if stderr == StandardError::Terminal { Self::Text } else { Self::Json }
    }
}

/// What standard error is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StandardError {
    Terminal,
    /// systemd's journal takes each line.
    Journal,
    /// A file, a pipe, or nothing.
    Other,
}

impl StandardError {
    fn look() -> Self {
        if io::stderr().is_terminal() {
            return Self::Terminal;
        }
        let file = io::stderr().as_fd().try_clone_to_owned().map(File::from).and_then(|file| file.metadata());
        match (std::env::var("JOURNAL_STREAM"), file) {
            (Ok(stream), Ok(file)) => Self::of_stream(&stream, file.dev(), file.ino()),
            _ => Self::Other,
        }
    }

    /// A service has `JOURNAL_STREAM` as device and inode of the stream that systemd made for it (systemd.exec(5)). What
    /// it starts inherits the variable, but may write elsewhere.
    fn of_stream(journal: &str, device: u64, inode: u64) -> Self {
        if journal == format!("{device}:{inode}") { Self::Journal } else { Self::Other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_goes_to_the_journal_under_systemd_and_is_text_on_a_terminal_and_json_elsewhere() {
        let auto = |stderr| Destination::choose(LogFormat::Auto, stderr);
        assert_eq!(auto(StandardError::Journal), Destination::Journal);
        assert_eq!(auto(StandardError::Terminal), Destination::Text);
        assert_eq!(auto(StandardError::Other), Destination::Json);
    }

    #[test]
    fn a_form_that_was_asked_for_is_taken_wherever_the_log_goes() {
        for stderr in [StandardError::Journal, StandardError::Terminal, StandardError::Other] {
            let choose = |format| Destination::choose(format, stderr);
            assert_eq!(choose(LogFormat::Journal), Destination::Journal);
            assert_eq!(choose(LogFormat::Text), Destination::Text);
            assert_eq!(choose(LogFormat::Json), Destination::Json);
        }
    }

    #[test]
    fn only_the_very_stream_that_systemd_made_is_the_journal() {
        assert_eq!(StandardError::of_stream("8:4711", 8, 4711), StandardError::Journal);
        assert_eq!(StandardError::of_stream("8:4711", 8, 4712), StandardError::Other);
        assert_eq!(StandardError::of_stream("8:4711", 9, 4711), StandardError::Other);
        assert_eq!(StandardError::of_stream("", 8, 4711), StandardError::Other);
    }
}
