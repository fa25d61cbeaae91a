//! The store: what survives.
