//! What `rolecall check --connect` says about the file, without changing anything about it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use rustix::fs::{Access, access};

use super::error::LdifError;
use super::read;
use super::target::directory;

/// One line for each thing a person would want to know. `ours` says that this very process has the file open.
pub(super) fn check(path: &Path, ours: bool) -> Result<Vec<String>, LdifError> {
    let mut lines = vec![format!("writes LDIF change records to {}", path.display())];
    let directory = access(directory(path), Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            directory.map_err(LdifError::failed("make a file in its directory"))?;
            lines.push("not there yet: it is made with the first delivery; its directory is writable".into());
            return Ok(lines);
        }
        Err(e) => return Err(LdifError::failed("read the file")(e)),
    };
    let writable = access(path, Access::WRITE_OK).map_err(io::Error::from);
    writable.map_err(LdifError::failed("write to the file"))?;
    lines.push(match directory {
        Ok(()) => "the file and its directory are writable".into(),
        Err(e) => format!("the file is writable; once it is moved away, no new one can be made: {e}"),
    });
    let theirs = !ours && is_locked(&file).map_err(LdifError::failed("lock the file"))?;
    let mut count = 0_u64;
    let whole = read::records(&file, |_| count += 1)?;
    lines.push(format!("records so far: {count}"));
    if theirs {
        lines.push("another process has it open, as a running daemon would".into());
    } else if !ours && file.metadata().map_err(LdifError::failed("read the file"))?.len() > whole {
        lines.push("its last record was cut short: the next delivery cuts it off and writes it anew".into());
    }
    Ok(lines)
}

/// Whether a writer holds the file. The lock that finds out is shared, and gone at once.
fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(e)) => Err(e),
    }
}
