//! rolecall's postgres sink.
