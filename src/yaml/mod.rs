//! YAML that remembers where it came from.
//!
//! The configuration and the rules are both read here: a text becomes a tree of [`Node`]s, each with its line
//! and column; [`decode`] turns a node into a type and, when that fails, says where and what would be right;
//! a [`Report`] shows the line with a caret. Nothing here does I/O, and everything is bounded.

mod decode;
mod fault;
mod nearest;
mod node;
mod report;

pub use decode::{Decoded, SecretSite, decode, decode_noting_secrets};
pub use fault::Fault;
pub use nearest::nearest;
pub use node::{Entry, Kind, MAX_BYTES, Node, Place, parse};
pub use report::{Report, Reports, Source};
