//! Where the file is, and the file once it was opened.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rolecall_sink_api::{ConfigError, SinkDown};

use super::LdifFile;
use super::check;
use super::error::LdifError;
use crate::entry::AttributeName;

/// A file that is opened when it is first needed, and then stays open.
pub(crate) struct LdifTarget {
    path: PathBuf,
    marker: AttributeName,
    opened: Arc<Mutex<Option<LdifFile>>>,
}

impl LdifTarget {
    /// Looks for the file's directory, and does not touch the file.
    pub(crate) fn new(path: &Path, marker: AttributeName) -> Result<Self, ConfigError> {
        let refused = |message: String| Err(ConfigError::new("ldif.path", message));
        if path.file_name().is_none() {
            return refused(format!("{} names no file", path.display()));
        }
        let directory = directory(path);
        match directory.metadata() {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return refused(format!("{} is no directory", directory.display())),
            Err(e) => return refused(format!("the directory {}: {e}", directory.display())),
        }
        Ok(Self { path: path.to_owned(), marker, opened: Arc::default() })
    }

    /// The file; the first call locks it and reads it back.
    pub(crate) async fn open(&self) -> Result<LdifFile, SinkDown> {
        let marker = self.marker.clone();
        self.blocking(move |path, opened| {
            if let Some(file) = opened {
                return Ok(file.clone());
            }
            let file = LdifFile::open(path, marker)?;
            Ok(opened.insert(file).clone())
        })
        .await
    }

    /// What there is to know about the file before the first delivery. Nothing is changed.
    pub(crate) async fn check(&self) -> Result<Vec<String>, SinkDown> {
        self.blocking(|path, opened| check::check(path, opened.is_some())).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path, &mut Option<LdifFile>) -> Result<T, LdifError> + Send + 'static,
    ) -> Result<T, SinkDown> {
        let (path, opened) = (self.path.clone(), self.opened.clone());
        let done = tokio::task::spawn_blocking(move || {
            // It is only ever set, and whole when it is: a poisoned lock guards nothing worse.
            work(&path, &mut opened.lock().unwrap_or_else(PoisonError::into_inner))
        });
        match done.await {
            Ok(done) => done.map_err(|e| e.down(&self.path)),
            Err(e) => Err(SinkDown::new(format!("{}: {e}", self.path.display()))),
        }
    }
}

/// The directory that `path` is in.
pub(super) fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
