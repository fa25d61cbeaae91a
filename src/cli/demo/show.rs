//! The narrative: how what happens is shown.

use std::io::{IsTerminal as _, stdout};
use std::time::Duration;

use anstream::adapter::strip_str;
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::application::Exchange;
use super::event::Event;
use super::sender::Answer;
use crate::cli::Failure;
use crate::cli::output::{self, print};
use crate::cli::text::{BAD, FAINT, GOOD, HEADING, plain, styled};

/// No line is longer, in columns.
const WIDEST: usize = 100;
/// So many columns what an event is about has before the answer.
const ABOUT: usize = 48;
/// Where what is said of a store begins, in columns.
const STORE: usize = 10;
/// How many lines of one store's changes are shown after an act.
const MOST_LINES: usize = 7;
/// How long a reader at a terminal has for an act.
const PAUSE: Duration = Duration::from_millis(1500);

/// Tells the story.
#[derive(Debug)]
pub(super) struct Narrator {
    width: usize,
    pause: bool,
}

impl Narrator {
    /// `pause` says whether a reader at a terminal gets time to read.
    pub(super) fn new(pause: bool) -> Self {
        let width = output::width().map_or(WIDEST, |width| width.clamp(60, WIDEST));
        Self { width, pause: pause && stdout().is_terminal() }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Text as it stands.
    pub(super) fn say(&self, text: &str) -> Result<(), Failure> {
        print(&format!("{text}\n"))
    }

    /// A line, on as many as it needs; those that follow are indented further.
    pub(super) fn line(&self, indent: usize, text: &str) -> Result<(), Failure> {
        self.say(&wrapped(text, indent, indent + 4, self.width))
    }

    /// A new act: the time in the story, what happens, and what it means.
    pub(super) async fn act(&self, time: &str, title: &str, text: &str) -> Result<(), Failure> {
        if self.pause {
            tokio::time::sleep(PAUSE).await;
        }
        self.heading(&format!("{time}  {title}"))?;
        self.paragraph(text)
    }

    /// A part of the end.
    pub(super) fn heading(&self, title: &str) -> Result<(), Failure> {
        self.say(&format!("\n{}\n", styled(HEADING, title)))
    }

    /// Text on as many lines as it needs, and an empty one.
    pub(super) fn paragraph(&self, text: &str) -> Result<(), Failure> {
        self.say(&format!("{}\n", wrapped(text, 2, 2, self.width)))
    }

    /// A webhook that was sent, and the answer.
    pub(super) fn sent(&self, event: &Event, about: &str, answer: &Answer) -> Result<(), Failure> {
        let pad = " ".repeat(ABOUT.saturating_sub(about.width()));
        let style = if answer.code.is_success() { GOOD } else { BAD };
        let said = plain(&format!("{} {}", answer.code.as_str(), answer.status));
        self.say(&format!("  → {:<24}  {about}{pad}  {}", event.kind, styled(style, &said)))
    }

    /// What changed in one store.
    pub(super) fn store(&self, name: &str, lines: &[String]) -> Result<(), Failure> {
        let mut name = name;
        for line in lines.iter().take(MOST_LINES) {
            self.say(&format!(
                "  {name:<8}{}",
                wrapped(&plain(line), STORE, STORE + 4, self.width).trim_start()
            ))?;
            name = "";
        }
        match lines.len().saturating_sub(MOST_LINES) {
            _ if lines.is_empty() => self.say(&format!("  {name:<8}{}", styled(FAINT, "nothing"))),
            0 => Ok(()),
            more => self.say(&format!("  {name:<8}{}", styled(FAINT, &format!("… and {more} more")))),
        }
    }

    /// What another command prints, with the command.
    pub(super) fn command(&self, command: &str, output: &str) -> Result<(), Failure> {
        self.say(&format!("  $ {command}\n"))?;
        output.trim_end().lines().try_for_each(|line| {
            let indent = line.len() - line.trim_start().len();
            self.say(&wrapped(line.trim_start(), 4 + indent, 8 + indent, self.width))
        })
    }

    /// Something that was promised, and whether it was kept.
    pub(super) fn finding(&self, promise: &str, found: &Result<(), String>) -> Result<(), Failure> {
        match found {
            Ok(()) => self.say(&format!("  {} {promise}", styled(GOOD, "ok"))),
            Err(found) => {
                self.say(&format!("  {} {promise}", styled(BAD, "NO")))?;
                self.say(&wrapped(&plain(found), 5, 5, self.width))
            }
        }
    }
}

/// The text on lines of at most `width` columns: the first is indented by `first`, the others by `rest`.
/// Spaces stay as they are, and styles take no room.
fn wrapped(text: &str, first: usize, rest: usize, width: usize) -> String {
    let mut out = " ".repeat(first);
    let mut used = first;
    for (at, word) in text.trim_end().split(' ').enumerate() {
        let long = strip_str(word).to_string().width();
        if at > 0 && used + 1 + long > width {
            out.truncate(out.trim_end().len());
            out.push('\n');
            out.push_str(&" ".repeat(rest));
            used = rest;
        } else if at > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += long;
    }
    out.truncate(out.trim_end().len());
    out
}

/// Requests, one a line; the same one several times in a row is counted.
pub(super) fn requests(exchanges: &[Exchange]) -> Vec<String> {
    let mut lines = Vec::new();
    for same in exchanges.chunk_by(|a, b| a == b) {
        let Exchange { method, path, body, status } = &same[0];
        let times = if same.len() == 1 { String::new() } else { format!(" ({} times)", same.len()) };
        let body = body.as_ref().map(|body| format!(" {}", spaced(body))).unwrap_or_default();
        lines.push(format!("{} {method} {path}{body}{times}", status.as_str()));
    }
    lines
}

/// JSON on one line, with spaces between an object's values, at which it can be wrapped.
fn spaced(value: &Value) -> String {
    let Value::Object(map) = value else { return value.to_string() };
    let pairs = map.iter().map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn long_lines_go_on_further_in_and_styles_take_no_room() {
        assert_eq!(wrapped("one  two three", 2, 4, 10), "  one  two\n    three");
        let text = format!("{} b", styled(BAD, "aaaa"));
        assert_eq!(strip_str(&wrapped(&text, 0, 0, 6)).to_string(), "aaaa b");
        assert_eq!(wrapped("aaaa bb", 0, 0, 6), "aaaa\nbb");
    }

    #[test]
    fn the_same_request_again_is_counted() {
        let probe = Exchange {
            method: http::Method::GET,
            path: "/health".into(),
            body: None,
            status: http::StatusCode::OK,
        };
        let write = Exchange { body: Some(json!({"a": [1, 2], "b": "x"})), ..probe.clone() };
        let lines = requests(&[probe.clone(), probe, write]);
        assert_eq!(lines, ["200 GET /health (2 times)", "200 GET /health {\"a\":[1,2], \"b\":\"x\"}"]);
    }
}
