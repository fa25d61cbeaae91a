//! One batch, one transaction; each change in a savepoint of its own, so that one that is refused leaves
//! nothing behind and holds nobody up.

use std::collections::BTreeSet;

use rolecall_sink_api::{Action, Change, Document, Entity, Outcome};
use rusqlite::{Connection, Error, ErrorCode, Transaction, TransactionBehavior};

use crate::{group, user};

/// Writes the changes; what became of each, in order.
///
/// # Errors
/// When the file as a whole cannot be written to; nothing was changed then.
pub(crate) fn write(connection: &mut Connection, changes: &[Change]) -> Result<Vec<Outcome>, Error> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let outcomes =
        changes.iter().map(|change| attempt(&mut transaction, change)).collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(outcomes)
}

fn attempt(transaction: &mut Transaction<'_>, change: &Change) -> Result<Outcome, Error> {
    let savepoint = transaction.savepoint()?;
    match put(&savepoint, change) {
        Ok(Ok(action)) => {
            savepoint.commit()?;
            Ok(Outcome::applied_as(change.entity.id(), action))
        }
        // Dropped, the savepoint is rolled back.
        Ok(Err(refused)) => Ok(reject(&savepoint, change, refused.explain(change))),
        Err(error) if blames_the_row(&error) && !savepoint.is_autocommit() => {
            Ok(reject(&savepoint, change, error))
        }
        Err(error) => Err(error),
    }
}

fn reject(connection: &Connection, change: &Change, why: impl std::fmt::Display) -> Outcome {
    let path = connection.path().unwrap_or_default();
    Outcome::reject(format!("writing {} to the SQLite file {path}: {why}", change.entity))
}

fn put(connection: &Connection, change: &Change) -> Result<Result<Action, Refused>, Error> {
    let generation = i64::try_from(change.generation).unwrap_or(i64::MAX);
    match (&change.entity, &change.desired) {
        (_, Some(Document::User(user))) => user::put(connection, user, generation),
        (_, Some(Document::Group(group))) => group::put(connection, group, generation),
        (Entity::User(id), None) => user::remove(connection, id.as_str(), generation),
        (Entity::Group(id), None) => group::remove(connection, id.as_str(), generation),
    }
}

/// A constraint or a trigger of the operator's, or a value that is larger than SQLite takes.
fn blames_the_row(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig))
        || matches!(error, Error::ToSqlConversionFailure(_))
}

/// A row as it is, compared with what is wanted.
pub(crate) struct Held {
    pub(crate) generation: i64,
    pub(crate) active: bool,
    pub(crate) differs: bool,
}

/// Why a row was left alone.
pub(crate) enum Refused {
    NotOurs,
    Newer(i64),
}

impl Refused {
    /// The row may be written by this generation, or why not.
    pub(crate) fn unless_ours(held: Option<i64>, generation: i64) -> Result<i64, Self> {
        match held {
            None => Err(Refused::NotOurs),
            Some(held) if held > generation => Err(Refused::Newer(held)),
            Some(held) => Ok(held),
        }
    }

    fn explain(&self, change: &Change) -> String {
        match self {
            Refused::NotOurs => {
                "the table has a row with this id that rolecall did not make (its generation \
                                 is null), and the row was left alone; to hand it over, set its \
                                  generation to 0"
                    .into()
            }
            Refused::Newer(held) => format!(
                "the row holds generation {held}, newer than this write's {}, and was left alone; if \
                 rolecall's own store was set back or another rolecall writes here, set the rows' generation \
                 to 0 once it is clear who writes",
                change.generation
            ),
        }
    }
}

/// What to add to and what to take from a user's rows of one kind, that the sink made or did not.
pub(crate) struct Difference<'a> {
    pub(crate) add: Vec<&'a str>,
    pub(crate) take: Vec<String>,
}

impl<'a> Difference<'a> {
    /// `held` are all rows there are, with whether the sink made them: others are left, and not made twice.
    pub(crate) fn new(held: Vec<(String, bool)>, wanted: &BTreeSet<&'a str>) -> Self {
        let there: BTreeSet<&str> = held.iter().map(|(target, _)| target.as_str()).collect();
        let add = wanted.iter().copied().filter(|target| !there.contains(target)).collect();
        let take = held
            .iter()
            .filter(|(target, ours)| *ours && !wanted.contains(target.as_str()))
            .map(|(target, _)| target.clone())
            .collect();
        Self { add, take }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.add.is_empty() && self.take.is_empty()
    }
}
