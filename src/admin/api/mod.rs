//! The admin API's paths, requests and answers: one set of types for the daemon and for the commands that ask
//! it. Fields may be added; none is renamed or taken away within `/v1`.
//!
//! What stands between braces in a path is a field of the request by that name; its other fields are in the query.

mod activity;
mod alerts;
mod events;
mod groups;
mod holds;
mod page;
mod problem;
mod queue;
mod rules;
mod sinks;
mod status;
mod store;
mod users;

pub use activity::*;
pub use alerts::*;
pub use events::*;
pub use groups::*;
pub use holds::*;
pub use page::*;
pub use problem::Problem;
pub use queue::*;
pub use rules::*;
pub use sinks::*;
pub use status::*;
pub use store::*;
pub use users::*;
