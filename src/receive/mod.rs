//! The webhook receiver: from a socket to a verified, parsed message in the store's intake, and an answer
//! once it is on disk.
//!
//! `listener` accepts connections, `connection` serves one, `webhooks` answers one request, `signature` tells
//! the authentic from the rest, `body` bounds what is read, `replay` reads stored messages again. Nothing here knows a sender's payload.

mod answer;
mod body;
mod config;
mod connection;
mod inherited;
mod listener;
mod refusals;
mod replay;
pub mod signature;
#[cfg(test)]
mod tests;
mod tls;
mod webhooks;

pub use answer::{Acknowledgements, Answer, Answers};
pub use config::{ListenConfig, ListenTls};
pub use inherited::InheritedSockets;
pub use listener::{BindError, Bound, Receiver};
pub use replay::{Replay, ReplayError, Replayed, ReplayedBatch, ReplayedEvent};
pub use webhooks::{Clock, NamedSource};
