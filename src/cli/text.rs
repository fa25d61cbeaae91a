//! How text looks on a terminal.

use anstyle::{AnsiColor, Style};

pub(super) use crate::text::{bytes, count, exact, length, moment, per_second, plain, relative};

/// What is as it should be.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// What a person should look at.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What a section starts with.
pub(super) const HEADING: Style = Style::new().bold();
/// What matters least.
pub(super) const FAINT: Style = Style::new().dimmed();

/// The text in a style. It is taken out again where the output is no terminal.
pub(super) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
