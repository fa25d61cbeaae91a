//! The store: what survives.

mod intake;

pub use intake::{Intake, Message, Receipt, Submission, Unavailable};
