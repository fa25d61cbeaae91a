//! A transaction that did not go through, and whose fault that is, where it can be told.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// Why a transaction was rolled back.
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// The change whose statement it was, where each has its own.
    pub(crate) blame: Option<Blame>,
}

/// A change that was refused.
pub(crate) struct Blame {
    /// Its place among the changes.
    pub(crate) place: usize,
    /// What it hangs on may come yet.
    pub(crate) waits: bool,
    /// The statement, the place in it, and what the server says.
    pub(crate) explained: String,
}

impl Failed {
    /// What `error` says, unless it only says that the transaction has failed already.
    pub(crate) fn cause(error: Error, blame: impl FnOnce(&Error) -> Option<Blame>) -> Option<Self> {
        let consequence = error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION);
        (!consequence).then(|| Self { blame: blame(&error), error })
    }
}
