//! The parts of the load driver, and of the skeleton that its results are compared with.

pub mod drive;
pub mod event;
pub mod latency;
pub mod report;
pub mod response;
pub mod signature;
pub mod target;
