//! The files of the store: whom they are for, and who has them open.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Everybody's names and addresses are in it.
pub(super) const ONLY_OURS: u32 = 0o600;

/// The file beside this one whose name goes on so.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The directory that a file is in.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// How much may still be written where this file is, in bytes.
pub(super) fn free_bytes(path: &Path) -> std::io::Result<u64> {
    let found = rustix::fs::statvfs(directory(path))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Whether both files are in directories of one file system.
pub(super) fn same_disk(one: &Path, other: &Path) -> std::io::Result<bool> {
    Ok(std::fs::metadata(directory(one))?.dev() == std::fs::metadata(directory(other))?.dev())
}

/// Has the names of the files in this file's directory on disk.
pub(super) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let directory = directory(path);
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| StoreError::Failed(format!("cannot sync {}: {error}", directory.display())))
}

/// Makes the database's file when there is none, before SQLite would make one that others can read. The files that
/// SQLite puts beside it get the same permissions. An existing file keeps those it has, since somebody may have
/// chosen them; when all can read it, that is said.
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    let created = OpenOptions::new().write(true).create_new(true).mode(ONLY_OURS).open(path);
    match created {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let mode = std::fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
            if mode & 0o007 != 0 {
                tracing::warn!(
                    path = %path.display(),
                    mode = %format_args!("{:04o}", mode & 0o7777),
                    "every user of this host can open the store, and it holds everybody's names and addresses: \
                     take the permission away (chmod o= on it and the files beside it)"
                );
            }
            Ok(())
        }
        Err(error) => Err(StoreError::Open {
            path: path.display().to_string(),
            message: format!("cannot make the file: {error}"),
        }),
    }
}

/// Takes the lock beside the store, which says by whom it is held.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let name = beside(path, ".lock");
    let shown = path.display().to_string();
    let failed = |what: &str, e: &dyn std::fmt::Display| StoreError::Open {
        path: shown.clone(),
        message: format!("cannot {what} {}: {e}", name.display()),
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(ONLY_OURS)
        .open(&name)
        .map_err(|e| failed("open", &e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.take(32).read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => String::new(),
                pid => format!(" (process {pid})"),
            };
            return Err(StoreError::InUse { path: shown, holder });
        }
        Err(TryLockError::Error(e)) => return Err(failed("lock", &e)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(|e| failed("write", &e))?;
    belongs(&file, path).map_err(|e| failed("give its owner", &e))?;
    Ok(file)
}

/// Gives a new file beside the store at `path` to whom the store belongs, or, where there is none yet, its directory:
/// whoever looks after a store as root must not leave what the daemon's user cannot open.
pub(super) fn belongs(file: &File, path: &Path) -> std::io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = std::fs::metadata(path).or_else(|_| std::fs::metadata(directory(path)))?;
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}
