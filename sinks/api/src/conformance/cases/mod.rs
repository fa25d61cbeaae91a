//! The cases, one promise each.

mod batch;
mod cut_off;
mod down;
mod history;
mod hostile;
mod lifecycle;
mod membership;
mod observe;
mod unmanaged;

use std::future::Future;
use std::pin::Pin;

use super::daemon::Daemon;
use super::report::Step;

pub(super) type Steps<'a> = Pin<Box<dyn Future<Output = Step> + Send + 'a>>;

pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) promise: &'static str,
    pub(super) run: for<'a, 't> fn(&'a mut Daemon<'t>) -> Steps<'a>,
}

/// A case named after its function.
macro_rules! case {
    ($steps:ident, $promise:literal) => {
        crate::conformance::cases::Case {
            name: stringify!($steps),
            promise: $promise,
            run: |daemon| Box::pin($steps(daemon)),
        }
    };
}
use case;

/// Every case, in the order they run.
pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    lifecycle::CASES
        .iter()
        .chain(membership::CASES)
        .chain(batch::CASES)
        .chain(hostile::CASES)
        .chain(unmanaged::CASES)
        .chain(observe::CASES)
        .chain(down::CASES)
        .chain(cut_off::CASES)
        .chain(history::CASES)
}
