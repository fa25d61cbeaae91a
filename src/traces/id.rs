//! Ids of traces and spans (W3C Trace Context §3.2.2).

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A trace's id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TraceId([u8; 16]);

/// A span's id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SpanId([u8; 8]);

impl TraceId {
    /// The one trace of an event.
    pub(super) fn of(event: &str) -> Self {
        Self(prefix("rolecall trace", event))
    }
}

impl SpanId {
    /// The span at the root of an event's trace.
    pub(super) fn root(event: &str) -> Self {
        Self(prefix("rolecall root span", event))
    }

    /// One that no other span has.
    pub(super) fn fresh() -> Self {
        Self(rand::random::<u64>().max(1).to_be_bytes())
    }
}

/// The beginning of a digest. All zeros, which means no id, is as likely as any other, which is not at all.
fn prefix<const N: usize>(what: &str, event: &str) -> [u8; N] {
    let digest = Sha256::new_with_prefix(what).chain_update([0]).chain_update(event).finalize();
    std::array::from_fn(|index| digest[index])
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
