//! The files of the store: whom they are for, and who has them open.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use crate::store::StoreError;

/// Everybody's names and addresses are in it.
const ONLY_OURS: u32 = 0o600;

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
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let shown = path.display().to_string();
    let failed = |what: &str, e: &dyn std::fmt::Display| StoreError::Open {
        path: shown.clone(),
        message: format!("cannot {what} {}: {e}", Path::new(&name).display()),
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
    Ok(file)
}
