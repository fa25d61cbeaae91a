//! What each SQLSTATE means for a delivery: the one table.

use tokio_postgres::Error;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The same transaction may well succeed at once.
    Again,
    /// Somebody else holds a lock: find out on which rows, and go on with the others.
    Locked,
    /// Later, after the daemon's backoff.
    Later,
    /// A row is to blame: find out which, refuse it, and go on with the others.
    Row,
    /// The database as a whole cannot be worked with until it, or a person, changes something.
    Down,
}

/// SQLSTATEs and their classes (PostgreSQL's appendix A); the longest that a code begins with decides.
const TABLE: &[(&str, Verdict)] = &[
    ("", Verdict::Row),        // anything else, the codes of an operator's own triggers among it
    ("08", Verdict::Down),     // connection exception
    ("0A", Verdict::Down),     // feature not supported: not the tables that the sink made
    ("21", Verdict::Row),      // cardinality violation
    ("22", Verdict::Row),      // data exception
    ("23", Verdict::Row),      // integrity constraint violation
    ("25", Verdict::Down),     // invalid transaction state: a read-only server
    ("25P03", Verdict::Later), // idle in transaction for too long
    ("26", Verdict::Down),     // invalid statement name: a pooler in transaction mode
    ("28", Verdict::Down),     // invalid authorization
    ("3D", Verdict::Down),     // no such database
    ("3F", Verdict::Down),     // no such schema
    ("40", Verdict::Again),    // transaction rollback: serialization failure, deadlock
    ("40002", Verdict::Row),   // … because of a constraint
    ("42", Verdict::Down),     // no such table or column, no privilege
    ("44", Verdict::Row),      // WITH CHECK OPTION violation
    ("53", Verdict::Down),     // insufficient resources: disk, memory, connections
    ("54", Verdict::Row),      // program limit exceeded: a value too large for an index
    ("55", Verdict::Later),    // object not in prerequisite state
    ("55P03", Verdict::Locked), // lock not available
    ("57", Verdict::Down),     // operator intervention: shutdown, crash, starting up
    ("57014", Verdict::Later), // canceled, by statement_timeout for one
    ("58", Verdict::Down),     // system error
    ("72", Verdict::Again),    // snapshot too old
    ("F0", Verdict::Down),     // configuration file error
    ("P0", Verdict::Row),      // raised by a trigger
    ("XX", Verdict::Down),     // internal error, corrupted data
];

/// The verdict on a SQLSTATE.
fn verdict(code: &str) -> Verdict {
    TABLE
        .iter()
        .filter(|(prefix, _)| code.starts_with(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map_or(Verdict::Row, |(_, verdict)| *verdict)
}

/// The verdict on an error; one that is not the server's word is the connection's end.
pub(crate) fn judge(error: &Error) -> Verdict {
    error.code().map_or(Verdict::Down, |code| verdict(code.code()))
}

/// What the server said, without DETAIL, which quotes whole rows.
pub(crate) fn describe(error: &Error) -> String {
    let Some(db) = error.as_db_error() else {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        return text;
    };
    let place = match (db.table(), db.constraint()) {
        (Some(table), Some(constraint)) => format!(" (table {table}, constraint {constraint})"),
        (Some(table), None) => format!(" (table {table})"),
        _ => String::new(),
    };
    format!("{} {}: {}{place}", db.severity(), db.code().code(), db.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_decides() {
        for (code, expected) in [
            ("08006", Verdict::Down),
            ("22021", Verdict::Row),
            ("23505", Verdict::Row),
            ("23514", Verdict::Row),
            ("25006", Verdict::Down),
            ("25P03", Verdict::Later),
            ("28P01", Verdict::Down),
            ("3D000", Verdict::Down),
            ("40001", Verdict::Again),
            ("40002", Verdict::Row),
            ("40P01", Verdict::Again),
            ("42501", Verdict::Down),
            ("53100", Verdict::Down),
            ("54000", Verdict::Row),
            ("55P03", Verdict::Locked),
            ("57014", Verdict::Later),
            ("57P01", Verdict::Down),
            ("P0001", Verdict::Row),
            ("XX000", Verdict::Down),
            ("HR042", Verdict::Row),
        ] {
            assert_eq!(verdict(code), expected, "{code}");
        }
    }
}
