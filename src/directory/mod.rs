//! The directory: what is true of users and groups, merged from events that may come in any order, twice or
//! late. Pure: no I/O, no clock, no async.

mod event;

pub use event::{DirectoryId, Event, EventId, Fact, GroupProfile, Stamp};
