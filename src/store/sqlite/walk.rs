//! Looking for rows by what has no index: in portions, so that no answer takes long, however much there is.

use jiff::Timestamp;
use rusqlite::{Row, Rows};

use super::convert::micros;
use crate::store::{Found, StoreError};

/// How many rows are looked at for one answer.
pub(super) const PORTION: u32 = 10_000;

/// From when on, and before when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    since: i64,
    until: i64,
}

impl Span {
    pub(super) fn new(since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        Self { since: since.map_or(i64::MIN, micros), until: until.map_or(i64::MAX, micros) }
    }

    /// All of time.
    pub(super) fn whole() -> Self {
        Self::new(None, None)
    }
}

/// A row that was looked at.
pub(super) struct Seen<T> {
    /// Its place.
    pub(super) place: i64,
    /// Its time.
    pub(super) at: i64,
    /// What it is, if it is looked for.
    pub(super) item: Option<T>,
}

/// What `rows` has of what is looked for, at most `limit`; `rows` ends after [`PORTION`]. `look` is asked of those in the
/// span. Rows go back in time but for a few, so a portion that is all before the span is the last.
pub(super) fn walk<T>(
    rows: &mut Rows<'_>,
    span: Span,
    limit: u32,
    mut look: impl FnMut(&Row<'_>) -> Result<Seen<T>, StoreError>,
) -> Result<Found<T, i64>, StoreError> {
    let mut items: Vec<(i64, T)> = Vec::new();
    let (mut seen, mut last, mut newest) = (0, None, i64::MIN);
    while let Some(row) = rows.next()? {
        let Seen { place, at, item } = look(row)?;
        (seen, last, newest) = (seen + 1, Some(place), newest.max(at));
        let Some(item) = item.filter(|_| (span.since..span.until).contains(&at)) else { continue };
        // One more than asked for shows that there is a next page.
        if items.len() >= limit as usize {
            let next = items.last().map(|(place, _)| *place);
            return Ok(Found { items: items.into_iter().map(|(_, item)| item).collect(), next });
        }
        items.push((place, item));
    }
    let next = last.filter(|_| seen >= PORTION && newest >= span.since);
    Ok(Found { items: items.into_iter().map(|(_, item)| item).collect(), next })
}
