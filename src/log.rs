//! The log: on standard error, as text for people or as JSON for programs.

use std::io::{self, IsTerminal as _};

use rolecall_sink_api::ConfigError;
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogConfig, LogFormat};

/// Starts logging, for as long as the process lives. Called once; a second call changes nothing.
///
/// # Errors
/// When the filter cannot be read.
pub fn start(config: &LogConfig) -> Result<(), ConfigError> {
    let targets = config.targets()?;
    let terminal = io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let layer = if json {
        layer.json().flatten_event(true).boxed()
    } else {
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        layer.with_ansi(colours).boxed()
    };
    // Only tests, which start more than one daemon in a process, have a subscriber already.
    let _ = tracing_subscriber::registry().with(layer.with_filter(targets)).try_init();
    Ok(())
}
