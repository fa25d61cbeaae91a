//! The webhook receiver: from a socket to a verified, parsed message in the store's intake, and an answer
//! once it is on disk.
//!
//! `listener` accepts connections, `connection` serves one, `crowd` hurries them when there are too many, `client` says whose request it is, `webhooks` answers it,
//! `signature` tells the authentic from the rest, `body` bounds what is read, `replay` reads stored messages again.
//! Nothing here knows a sender's payload.

mod answer;
mod body;
mod client;
mod config;
mod connection;
mod crowd;
mod inherited;
mod listener;
mod refusals;
mod replay;
pub mod signature;
#[cfg(test)]
mod tests;
mod webhooks;

pub use answer::{Acknowledgements, Answer, Answers};
pub use client::Network;
pub use config::ListenConfig;
pub use inherited::InheritedSockets;
pub use listener::{BindError, Bound, Receiver};
pub use replay::{Replay, ReplayError, Replayed, ReplayedBatch, ReplayedEvent};
pub use webhooks::{Clock, NamedSource};
