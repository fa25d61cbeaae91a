//! Workers on the embedded store.

mod attempted;
mod outcomes;
