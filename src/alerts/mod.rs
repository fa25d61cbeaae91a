//! Alerts: what needs a person, told to whoever is configured to hear of it.
//!
//! Level-triggered, as everything here: every few seconds `observe` says of what the status shows which conditions hold
//! now, and `ledger` what of that is news: an alert that begins, goes on for long, or ends. `outbox` gathers the news for one
//! webhook until they can go out together, `message` writes them down, `webhook` sends them, `watch` is what runs. `observe`,
//! `ledger` and `outbox` neither wait nor look at a clock.

mod ledger;
mod message;
mod observe;
mod outbox;
#[cfg(test)]
mod tests;
mod watch;
mod webhook;

pub use ledger::{Alert, Subject};
pub use watch::{Alerts, Observed};
pub use webhook::Tried;
