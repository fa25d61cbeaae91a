//! LDIF instead of a server: change records (RFC 2849) appended to a file.
//!
//! The planning is the same as for a server, because the file answers as one would: it keeps in memory what its
//! own records have made so far, and reads them back when it is opened. So a change that comes again after a crash
//! finds itself done and writes nothing, and `ldapmodify -f` takes the file as it is. When the file was taken away
//! in between, what the sink last confirmed for an entity stands in for what its records said.
//!
//! The file has one writer: whoever opens it locks it. Until the first delivery or probe the file is not touched,
//! because `rolecall check` and `rolecall send` build the sink too, beside a daemon that writes.

mod check;
mod error;
mod file;
mod held;
mod memory;
mod parse;
mod read;
mod recall;
mod record;
mod target;

pub(crate) use file::LdifFile;
pub(crate) use target::LdifTarget;
