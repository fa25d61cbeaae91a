//! A fact and when it was stated.

use super::Stamp;

/// A value and the stamp of the event that stated it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamped<T> {
    pub(super) stamp: Stamp,
    pub(super) value: T,
}

/// Keeps whichever is newer: the last writer wins.
pub(super) fn newest<T>(slot: &mut Option<Stamped<T>>, stamp: &Stamp, value: T) {
    if slot.as_ref().is_none_or(|held| held.stamp < *stamp) {
        *slot = Some(Stamped { stamp: stamp.clone(), value });
    }
}
