//! rolecall's bench.
