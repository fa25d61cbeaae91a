//! The Unix socket on which the admin API is served.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// The daemon's user and group may ask; nobody else.
const SOCKET_MODE: u32 = 0o660;
/// Of a directory that is made for the socket: others may look whether the socket is there.
const DIRECTORY_MODE: u32 = 0o755;

/// A listening Unix socket. Its file goes when this is dropped, unless another process has put its own there.
#[derive(Debug)]
pub struct AdminSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    file: (u64, u64),
}

impl AdminSocket {
    /// Listens at `path`, with mode 0660. The directory is made when only it is missing. A socket that a dead process
    /// left behind is replaced.
    ///
    /// # Errors
    /// When another process listens there, when something that is no socket is there, or when the operating
    /// system refuses. Must be called within a tokio runtime.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed = |doing: &'static str| {
            let path = path.to_owned();
            move |error: io::Error| SocketError::Failed { path, doing, error }
        };
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(SocketError::NotASocket { path: path.to_owned() });
            }
            Ok(_) if UnixStream::connect(path).is_ok() => {
                return Err(SocketError::InUse { path: path.to_owned() });
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                make_directory(path).map_err(failed("make the directory of"))?
            }
            Err(error) => return Err(failed("look at")(error)),
        }
        // Under another name first: by the time it is at `path`, nobody else can connect, and a stale socket
        // is replaced in one step.
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("make room for")(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&new).map_err(failed("listen at"))?;
        let file = fs::set_permissions(&new, Permissions::from_mode(SOCKET_MODE))
            .and_then(|()| fs::symlink_metadata(&new))
            .and_then(|made| fs::rename(&new, path).map(|()| identity(&made)))
            .map_err(|error| {
                let _ = fs::remove_file(&new);
                failed("put in place")(error)
            })?;
        Ok(Self { listener, path: path.to_owned(), file })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.file) {
            // A socket that stays behind is recognised as stale by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn make_directory(socket: &Path) -> io::Result<()> {
    match socket.parent() {
        Some(directory) if directory != Path::new("") && !directory.exists() => {
            DirBuilder::new().mode(DIRECTORY_MODE).create(directory)
        }
        _ => Ok(()),
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Why the admin API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody answers there.
    #[error(
        "another process listens at {}: is rolecall running already? Stop it first, or give this one a socket of its own (admin.socket)", path.display()
    )]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Removing it might do harm.
    #[error("{} is there and is no socket: move it away, or choose another path (admin.socket)", path.display())]
    NotASocket {
        /// What was meant to be the socket.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {doing} the admin socket {}: {error}{}", path.display(), advice(error))]
    Failed {
        /// The socket.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What it said.
        error: io::Error,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "; the daemon's user must be able to write there (systemd: RuntimeDirectory=rolecall), or choose another path (admin.socket)"
        }
        ErrorKind::NotFound => "; make its directory first, or choose another path (admin.socket)",
        ErrorKind::InvalidInput => "; the path of a socket has at most some hundred bytes (admin.socket)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn only_the_daemons_user_and_group_may_connect() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("run").join("admin.sock");
        let socket = AdminSocket::bind(&path).unwrap();
        assert_eq!(mode(socket.path()), 0o660);
        assert_eq!(mode(path.parent().unwrap()), 0o755);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn the_socket_of_a_dead_process_is_replaced() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("admin.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(UnixStream::connect(&path).is_err());
        let _socket = AdminSocket::bind(&path).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[tokio::test]
    async fn the_socket_of_a_living_process_is_left_alone() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("admin.sock");
        let _first = AdminSocket::bind(&path).unwrap();
        let error = AdminSocket::bind(&path).unwrap_err();
        assert!(matches!(error, SocketError::InUse { .. }), "{error}");
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("notes.txt");
        fs::write(&path, "keep me").unwrap();
        let error = AdminSocket::bind(&path).unwrap_err();
        assert!(matches!(error, SocketError::NotASocket { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "keep me");
    }

    #[tokio::test]
    async fn a_socket_goes_with_its_process_unless_it_is_anothers_by_then() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("admin.sock");
        drop(AdminSocket::bind(&path).unwrap());
        assert!(!path.exists());

        let first = AdminSocket::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _second = AdminSocket::bind(&path).unwrap();
        drop(first);
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[tokio::test]
    async fn a_missing_directory_above_is_not_made_up() {
        let directory = TempDir::new().unwrap();
        let error = AdminSocket::bind(&directory.path().join("a/b/admin.sock")).unwrap_err().to_string();
        assert!(error.contains("a/b/admin.sock") && error.contains("admin.socket"), "{error}");
    }
}
