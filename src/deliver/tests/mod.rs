//! Workers on the embedded store.

mod attempted;
mod outcomes;
mod paused;
mod refused;
mod safeguard;
