//! rolecall's rest sink.
