//! rolecall's sqlite sink.
