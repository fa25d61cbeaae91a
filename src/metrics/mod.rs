//! What a monitoring system reads: the instruments that the parts of the daemon keep, the process's own numbers, and the
//! page that shows them all in Prometheus' text format; and how many there were lately, for a person who looks.
//!
//! An instrument is cheap to write to: a counter is one atomic addition, a histogram a lock that is held for as long as it
//! takes to find a bucket. Whatever somebody knows anyway is not counted again, but read when the page is asked for.

mod exposition;
mod histogram;
mod process;
mod recent;

pub use exposition::{Labels, Page};
pub use histogram::Histogram;
pub use process::Process;
pub use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
pub use recent::{Recent, RecentCounter};

/// A count that only grows. Cheap to clone; all clones are one count.
pub type Counter = prometheus_client::metrics::counter::Counter;
