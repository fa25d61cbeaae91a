//! Lines from a program that may write anything, or never stop.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// Reads lines of bounded length.
pub(crate) struct Lines<R> {
    from: BufReader<R>,
    /// What has come of the line so far; kept here so that a read that is given up loses nothing.
    line: Vec<u8>,
    limit: usize,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A line, without its end.
    Whole(Vec<u8>),
    /// The beginning of a line that is longer than the limit. What follows it comes as the next line.
    TooLong(Vec<u8>),
    /// The end of all lines, with what stood behind the last one's end.
    End(Vec<u8>),
}

impl<R> Lines<R> {
    /// What has come of a line that nobody waits for any more, as the end of all lines.
    pub(crate) fn give_up(&mut self) -> Line {
        Line::End(std::mem::take(&mut self.line))
    }
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `limit` bytes.
    pub(crate) fn new(from: R, limit: usize) -> Self {
        Self { from: BufReader::new(from), line: Vec::new(), limit }
    }

    /// The next line.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn next(&mut self) -> io::Result<Line> {
        loop {
            let came = self.from.fill_buf().await?;
            if came.is_empty() {
                return Ok(self.give_up());
            }
            let end = came.iter().position(|&byte| byte == b'\n');
            let part = end.unwrap_or(came.len());
            let room = self.limit - self.line.len();
            if part > room {
                self.line.extend_from_slice(&came[..room]);
                self.from.consume(room);
                return Ok(Line::TooLong(std::mem::take(&mut self.line)));
            }
            self.line.extend_from_slice(&came[..part]);
            self.from.consume(part + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(Line::Whole(std::mem::take(&mut self.line)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &str, limit: usize) -> Vec<Line> {
        let mut lines = Lines::new(text.as_bytes(), limit);
        let mut all = Vec::new();
        loop {
            let line = lines.next().await.unwrap();
            let end = matches!(line, Line::End(_));
            all.push(line);
            if end {
                return all;
            }
        }
    }

    #[tokio::test]
    async fn lines_come_one_by_one() {
        let whole = |text: &str| Line::Whole(text.into());
        assert_eq!(lines("a\n\nbc\n", 2).await, [whole("a"), whole(""), whole("bc"), Line::End(vec![])]);
    }

    #[tokio::test]
    async fn what_has_no_end_is_told_from_a_line() {
        assert_eq!(lines("a\nb", 9).await, [Line::Whole("a".into()), Line::End("b".into())]);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_cut_at_the_limit() {
        let long = "x".repeat(20_000);
        let cut = lines(&long, 12_000).await;
        assert_eq!(cut, [Line::TooLong(vec![b'x'; 12_000]), Line::End(vec![b'x'; 8_000])]);
    }
}
