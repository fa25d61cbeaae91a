//! The file's records, one after the other.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};

use super::error::LdifError;
use super::parse;
use crate::request::Request;

/// The longest line that is read, in bytes: a base64 value of the largest template output, and then some.
const MAX_LINE: u64 = 4 * 1024 * 1024;

/// Hands all whole records to `each`, those that an empty line ends, and returns where the last of them ends. The
/// file may grow meanwhile: what comes after is the beginning of a record that is not whole yet, or never will be.
pub(super) fn records(file: &File, mut each: impl FnMut(Request)) -> Result<u64, LdifError> {
    let mut reader = BufReader::new(file);
    let (mut at, mut whole) = (0, 0);
    let mut text = String::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        let read = read.map_err(LdifError::failed("read the file"))?;
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        at += read;
        match line.as_slice() {
            b"\n" => {
                let request = parse_record(&text).map_err(|what| LdifError::Foreign { at: whole, what })?;
                request.into_iter().for_each(&mut each);
                text.clear();
                whole = at;
            }
            line if line.ends_with(b"\n") => text.push_str(&String::from_utf8_lossy(line)),
            _ if read == MAX_LINE => {
                let what = format!("a line of {MAX_LINE} bytes or more");
                return Err(LdifError::Foreign { at: whole, what });
            }
            // The end of the file, or a line without its own.
            _ => return Ok(whole),
        }
    }
}

fn parse_record(text: &str) -> Result<Option<Request>, String> {
    match text.trim_end_matches('\n') {
        "" | "version: 1" => Ok(None),
        text => parse::record(text).map(Some),
    }
}
