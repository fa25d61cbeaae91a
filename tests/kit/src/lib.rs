//! rolecall's kit.
