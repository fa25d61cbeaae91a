//! What rolecall's sinks for HTTP applications have in common.
//!
//! [`Application`] makes one request at a time, with the credentials ([`Auth`]) that the operator configured; an
//! [`Answer`] has a [`Meaning`]; and [`Batch`] keeps a batch of changes from hammering an application that is
//! down or busy. [`Application::exchange`] puts them together: it deals with all that is not about one change
//! alone, and leaves to the sink what is.

mod answer;
mod auth;
mod batch;
mod body;
mod client;
mod credential;
mod exchange;
mod group_ids;
mod pace;
mod request;
mod token;

pub use answer::{Answer, Meaning};
pub use auth::{Auth, Basic, HeaderAuth, OAuth2};
pub use batch::{Batch, Settled};
pub use body::Body;
pub use client::{Application, NoAnswer, Settings};
pub use exchange::Halt;
pub use group_ids::GroupIds;
pub use request::{IDEMPOTENCY_KEY, Request, header_name};
