//! The directory: what is true of users and groups, merged from events that may come in any order, twice or
//! late. Pure: no I/O, no clock, no async.

mod event;
mod group;
#[cfg(test)]
pub(crate) mod history;
mod merge;
mod stamped;
mod stored;
#[cfg(test)]
mod tests;
mod user;

pub use event::{DirectoryId, Event, EventId, Fact, GroupProfile, Origin, Stamp};
pub use group::GroupState;
pub use merge::{Connection, Directory};
pub use user::{UserStamps, UserState};
