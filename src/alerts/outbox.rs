//! What one webhook has not been told yet, and how often it may be told something. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::ledger::{News, Notice, Subject};

/// How many messages may go out at once.
const BURST: i64 = 5;
/// How long it takes until one more may. What comes meanwhile waits, and goes out together.
const EVERY: SignedDuration = SignedDuration::from_mins(1);

/// The news that are not told yet. There is at most one of each subject, so it cannot grow without end.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    waiting: BTreeMap<Subject, Notice>,
    /// They are in a message that may have arrived or not.
    sending: BTreeMap<Subject, Notice>,
}

impl Outbox {
    /// Of news that were not told before a restart.
    pub(super) fn of(notices: Vec<Notice>) -> Self {
        let mut outbox = Self::default();
        notices.into_iter().for_each(|notice| outbox.add(notice));
        outbox
    }

    /// News come in. What was over before it could be told is not told at all.
    pub(super) fn add(&mut self, notice: Notice) {
        let before = self.waiting.remove(&notice.subject);
        let notice = match (before.map(|before| before.news), notice.news) {
            (Some(News::Began), News::Ended) => return,
            (Some(News::Began), News::GoesOn) => Notice { news: News::Began, ..notice },
            (Some(News::Ended), News::Began) => Notice { news: News::GoesOn, ..notice },
            _ => notice,
        };
        self.waiting.insert(notice.subject.clone(), notice);
    }

    /// Whether there is anything to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Everything there is to tell, in one message that now goes out.
    pub(super) fn send(&mut self) -> Vec<Notice> {
        self.sending = std::mem::take(&mut self.waiting);
        self.sending.values().cloned().collect()
    }

    /// The message arrived.
    pub(super) fn arrived(&mut self) {
        self.sending.clear();
    }

    /// The message did not arrive: what is in it waits, behind nothing that came since.
    pub(super) fn failed(&mut self) {
        let newer = std::mem::replace(&mut self.waiting, std::mem::take(&mut self.sending));
        newer.into_values().for_each(|notice| self.add(notice));
    }

    /// All that is not known to have arrived.
    pub(super) fn untold(&self) -> Vec<Notice> {
        let mut all = self.clone();
        all.failed();
        all.waiting.into_values().collect()
    }
}

/// How many messages may go out now: a token bucket.
#[derive(Debug)]
pub(super) struct Allowance {
    /// When it would be empty, had nothing been taken since; it is full when that is as long ago as it takes to fill it.
    empty_at: Timestamp,
}

impl Allowance {
    pub(super) fn full(now: Timestamp) -> Self {
        Self { empty_at: now.saturating_sub(EVERY * BURST as i32).unwrap_or(now) }
    }

    /// Takes one, or says how long it takes until there is one.
    pub(super) fn take(&mut self, now: Timestamp) -> Result<(), SignedDuration> {
        let full_at = now.saturating_sub(EVERY * BURST as i32).unwrap_or(now);
        // A clock that was set back owes nobody anything.
        let empty_at = self.empty_at.max(full_at).min(now);
        let after = empty_at.saturating_add(EVERY).unwrap_or(now);
        if after > now {
            return Err(now.duration_until(after));
        }
        self.empty_at = after;
        Ok(())
    }
}
