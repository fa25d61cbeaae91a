//! Progress of long work, for whoever watches: on a terminal only, and never where the answer goes.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often it is shown that work goes on.
const TICK: Duration = Duration::from_millis(200);

/// A bar on standard error, gone when this is dropped. It is not drawn where standard error is no terminal.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// Of so many bytes.
    pub(super) fn bytes(bytes: u64) -> Self {
        Self::styled(bytes, "{bar:30} {bytes} of {total_bytes}, {eta} left")
    }

    /// Of so many of something.
    pub(super) fn counted(of: u64) -> Self {
        Self::styled(of, "{bar:30} {human_pos} of {human_len}, {eta} left")
    }

    /// Of work whose amount is told with its steps.
    pub(super) fn steps() -> Self {
        Self::styled(0, "{bar:30} {percent:>3} %  {msg}")
    }

    /// Of work of which nobody can tell how far it has come, for as long as this is there: that it goes on, and since when.
    pub(super) fn of_unknown(what: &'static str) -> Self {
        let bar = Self::styled(0, "{spinner} {msg}, for {elapsed}");
        bar.0.set_message(what);
        bar.0.enable_steady_tick(TICK);
        bar
    }

    fn styled(of: u64, template: &str) -> Self {
        let bar = ProgressBar::new(of);
        // A template that is wrong would leave the bar as it is drawn by itself.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("█▌ "));
        }
        Self(bar)
    }

    /// So much more is done.
    pub(super) fn advance(&self, by: u64) {
        self.0.inc(by);
    }

    /// So much is done, of so much, and this is what comes next.
    pub(super) fn at(&self, done: u64, of: u64, what: &str) {
        self.0.set_length(of);
        self.0.set_message(what.to_owned());
        self.0.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
