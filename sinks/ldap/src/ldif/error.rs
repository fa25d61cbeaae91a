//! What can be wrong with the file.

use std::io;
use std::path::Path;

use rolecall_sink_api::SinkDown;

/// Why the file cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub(super) enum LdifError {
    /// Somebody else holds the lock.
    #[error("in use by another process or sink: stop that one, or give each its own ldif.path")]
    InUse,
    /// The system said no.
    #[error("cannot {what}: {source}")]
    Failed { what: &'static str, source: io::Error },
    /// A record that the sink does not write.
    #[error(
        "byte {at}: {what}: rolecall did not write that, so move the file away and let it begin a new one"
    )]
    Foreign { at: u64, what: String },
}

impl LdifError {
    /// Turns an error of the system into one that says what was tried, to stand after "cannot".
    pub(super) fn failed(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Failed { what, source }
    }

    /// The same for the daemon.
    pub(super) fn down(&self, path: &Path) -> SinkDown {
        SinkDown::new(format!("{}: {self}", path.display()))
    }
}
