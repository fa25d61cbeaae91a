//! Faults as people read them: file, line, column, the line with a caret, and what would be right.

use std::fmt;

use super::{Fault, Place};

/// The longest piece of a line that is shown, in characters.
const MAX_SHOWN: usize = 120;

/// A text and the name it goes by in reports.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The file's name.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// A [`Fault`] in a named text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The file, or the environment variable.
    pub origin: String,
    /// Line and column from 1, where the fault is in a text and at one place of it.
    pub position: Option<(u32, u32)>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// The line and the caret below it.
    snippet: Option<Snippet>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Snippet {
    line: String,
    caret: String,
}

impl Report {
    /// Shows `fault` in `source`.
    pub fn new(source: Source<'_>, fault: Fault) -> Self {
        let Fault { place, message, help, hide } = fault;
        let (origin, position) = match place {
            Place::Text { line, column } => (source.name.to_owned(), Some((line, column))),
            Place::Environment(variable) => (format!("environment variable {variable}"), None),
            Place::Nowhere => (source.name.to_owned(), None),
        };
        let snippet = position.and_then(|(line, column)| Snippet::of(source.text, line, column, hide));
        Self { origin, position, message, help, snippet }
    }

    /// A fault of the whole file.
    pub fn of_file(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self { origin: name.into(), position: None, message: message.into(), help: None, snippet: None }
    }
}

impl Snippet {
    fn of(text: &str, line: u32, column: u32, hide: bool) -> Option<Self> {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        // Tabs would move the caret; control characters would move the terminal.
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let line: Vec<char> = redacted(text.lines().nth(index)?).chars().map(plain).collect();
        let column = usize::try_from(column).ok()?.saturating_sub(1).min(line.len());
        if hide {
            let shown: String = line[..column].iter().collect();
            let shown = if column > MAX_SHOWN { "" } else { shown.trim_end_matches('…') };
            let caret = " ".repeat(shown.chars().count()) + "^";
            return Some(Self { line: format!("{shown}…"), caret });
        }
        let width = token_width(&line[column..]);
        let from = if column + width > MAX_SHOWN { column.saturating_sub(MAX_SHOWN / 3) } else { 0 };
        let to = line.len().min(from + MAX_SHOWN);
        let before = if from > 0 { "…" } else { "" };
        let after = if to < line.len() { "…" } else { "" };
        let middle: String = line[from..to].iter().collect();
        let pad = column - from + before.chars().count();
        let width = width.min(to - column).max(1);
        Some(Self { line: format!("{before}{middle}{after}"), caret: " ".repeat(pad) + &"^".repeat(width) })
    }
}

/// A line without what looks like a secret: it was put there in error, but a log is no better place for it.
fn redacted(line: &str) -> String {
    // The password in a URL: `scheme://name:password@host`.
    let after_scheme = line.split_once("://").map(|(_, rest)| rest);
    let authority = after_scheme.map(|rest| rest.split(['/', ' ', '"', '\'']).next().unwrap_or(rest));
    let password = authority
        .and_then(|authority| authority.rsplit_once('@'))
        .and_then(|(userinfo, _)| userinfo.split_once(':'))
        .map(|(_, password)| password)
        .filter(|password| !password.is_empty());
    let line = match password {
        Some(password) => line.replacen(password, "…", 1),
        None => line.to_owned(),
    };
    // A value in line under a key that is named like a secret, instead of `{file: …}`.
    let lower = line.to_ascii_lowercase();
    let named = ["password", "secret", "token"].iter().filter_map(|word| lower.find(word));
    let values = named.filter_map(|at| Some(at + line.get(at..)?.find(':')? + 1));
    let secret = |from: &usize| {
        let value = line[*from..].trim_start_matches([' ', '[', '-']);
        !value.is_empty() && !value.starts_with(['{', '#', '&', '*'])
    };
    match values.filter(secret).min() {
        Some(from) => format!("{} …", &line[..from]),
        None => line,
    }
}

/// How many characters the caret underlines: a quoted text, or what stands before the next `:`, `,` or space.
fn token_width(rest: &[char]) -> usize {
    let closing = match rest.first() {
        Some(quote @ ('"' | '\'')) => rest[1..].iter().position(|c| c == quote).map(|at| at + 2),
        _ => None,
    };
    closing
        .or_else(|| rest.iter().position(|c| matches!(c, ':' | ',' | ' ' | '}' | ']' | '#')))
        .unwrap_or(rest.len())
        .max(1)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        let number = self.position.map(|(line, _)| line.to_string()).unwrap_or_default();
        if let Some(Snippet { line, caret }) = &self.snippet {
            let gutter = " ".repeat(number.len());
            write!(f, "\n {number} | {line}\n {gutter} | {caret}")?;
        }
        if let Some(help) = &self.help {
            let gutter = " ".repeat(number.len());
            write!(f, "\n {gutter} = {help}")?;
        }
        Ok(())
    }
}

/// How many reports are shown at once; the rest is counted.
const MAX_REPORTS: usize = 20;

/// Everything that is wrong with a file, by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reports(Vec<Report>);

impl Reports {
    /// The reports, sorted by place; an error only when there are any.
    ///
    /// # Errors
    /// When `reports` is not empty.
    pub fn none_of(mut reports: Vec<Report>) -> Result<(), Self> {
        if reports.is_empty() {
            return Ok(());
        }
        reports.sort_by(|a, b| (&a.origin, a.position).cmp(&(&b.origin, b.position)));
        Err(Self(reports))
    }

    /// The reports.
    pub fn as_slice(&self) -> &[Report] {
        &self.0
    }

    /// The reports, to go with others.
    pub fn into_vec(self) -> Vec<Report> {
        self.0
    }
}

impl From<Report> for Reports {
    fn from(report: Report) -> Self {
        Self(vec![report])
    }
}

impl fmt::Display for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, report) in self.0.iter().take(MAX_REPORTS).enumerate() {
            let separator = if index == 0 { "" } else { "\n\n" };
            write!(f, "{separator}{report}")?;
        }
        match self.0.len().checked_sub(MAX_REPORTS) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "\n\nand {more} more"),
        }
    }
}

impl std::error::Error for Reports {}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str, line: u32, column: u32) -> String {
        let fault = Fault::at(Place::Text { line, column }, "wrong").with_help("right");
        Report::new(Source { name: "f.yaml", text }, fault).to_string()
    }

    #[test]
    fn the_caret_underlines_the_word() {
        assert_eq!(
            show("a: 1\n  bee: 2\n", 2, 3),
            "f.yaml:2:3: wrong\n 2 |   bee: 2\n   |   ^^^\n   = right"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("{}word{}", "x".repeat(1_000), " y".repeat(1_000));
        let shown = show(&text, 1, 1_001);
        let lines: Vec<&str> = shown.lines().collect();
        let caret = lines[2].chars().position(|c| c == '^').unwrap();
        let under: String = lines[1].chars().skip(caret).take(4).collect();
        assert_eq!(under, "word");
        assert!(lines.iter().all(|line| line.chars().count() < 140), "{shown}");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let fault = Fault { hide: true, ..Fault::at(Place::Text { line: 1, column: 11 }, "wrong") };
        let report = Report::new(Source { name: "f", text: "password: hunter2\n" }, fault).to_string();
        assert!(report.contains("password: …") && !report.contains("hunter"), "{report}");
    }

    #[test]
    fn what_looks_like_a_secret_is_left_out() {
        for (line, shown) in [
            ("url: postgresql://app:hunter2@db/app", "url: postgresql://app:…@db/app"),
            ("url: postgresql://app@db:5432/app", "url: postgresql://app@db:5432/app"),
            ("  password: hunter2", "  password: …"),
            ("bind: {method: simple, password: hunter2}", "bind: {method: simple, password: …"),
            ("secrets: [whsec_aGVsbG8=]", "secrets: …"),
            ("bearer_token: {env: TOKEN}", "bearer_token: {env: TOKEN}"),
            ("secrets: [{file: /s}]", "secrets: [{file: /s}]"),
            ("secrets:", "secrets:"),
        ] {
            assert_eq!(redacted(line), shown);
        }
    }

    #[test]
    fn a_place_beyond_the_text_shows_no_line() {
        assert_eq!(show("a: 1", 9, 1), "f.yaml:9:1: wrong\n   = right");
        assert!(show("a: 1", 1, 90).contains("| a: 1"));
    }
}
